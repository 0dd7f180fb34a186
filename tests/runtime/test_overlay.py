"""runtime.overlay: the three views and their legend."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_edge.datasets.street import draw_street
from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.labels import VOID, LabelSet
from runtime.overlay import VIEWS, Overlay, legend

SMALL, LARGE = (64, 96), (240, 320)
COLOURS = np.zeros((256, 3), np.uint8)
COLOURS[: len(STREET_LABELS)] = np.array(STREET_LABELS.palette, np.uint8)[:, ::-1]


def drawn(view: str, size_hw: tuple[int, int], alpha: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    frame, mask = draw_street(1, size_hw=size_hw)
    return Overlay(STREET_LABELS, alpha).draw(frame, mask, view), frame, mask


def clear_of_legend(picture: np.ndarray) -> np.ndarray:
    height, width = legend(STREET_LABELS, picture.shape[0]).shape[:2]
    clear = np.ones(picture.shape[:2], bool)
    clear[:height, -width:] = False
    assert clear.mean() > 0.4
    return clear


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    "size_hw", [(1, 1), (1, 2), (2, 1), (20, 20), SMALL, (119, 160), (120, 1), (120, 160), (1080, 20), (1080, 1920)]
)
def test_a_view_fits_frames_of_any_size(view: str, size_hw: tuple[int, int]) -> None:
    frame, mask = np.full((*size_hw, 3), 90, np.uint8), np.full(size_hw, 3, np.uint8)
    picture = Overlay(STREET_LABELS).draw(frame, mask, view)
    assert (picture.shape, picture.dtype) == ((*size_hw, 3), np.uint8)
    assert (frame == 90).all() and (mask == 3).all()


@pytest.mark.parametrize("size_hw", [SMALL, LARGE])
def test_the_mask_view_shows_the_palette(size_hw: tuple[int, int]) -> None:
    picture, _, mask = drawn("mask", size_hw)
    clear = clear_of_legend(picture) if size_hw == LARGE else np.ones(size_hw, bool)
    assert np.array_equal(picture[clear], COLOURS[mask][clear])


def test_void_is_black() -> None:
    picture = Overlay(STREET_LABELS).draw(np.full((9, 9, 3), 90, np.uint8), np.full((9, 9), VOID, np.uint8), "mask")
    assert not picture.any()


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 1.0])
def test_alpha_is_the_masks_share(alpha: float) -> None:
    picture, frame, mask = drawn("overlay", LARGE, alpha)
    wanted = (1 - alpha) * frame + alpha * COLOURS[mask]
    assert np.abs(picture - wanted)[clear_of_legend(picture)].max() <= 0.5 + 1e-6


def test_split_shows_the_frame_left_and_the_overlay_right() -> None:
    picture, frame, _ = drawn("split", SMALL)
    overlay, _, _ = drawn("overlay", SMALL)
    assert np.array_equal(picture[:, :47], frame[:, :47])
    assert (picture[:, 47:49] == 255).all()
    assert np.array_equal(picture[:, 49:], overlay[:, 49:])


def test_the_legend_has_a_swatch_of_every_class() -> None:
    panel = legend(STREET_LABELS, 1080)
    line = panel.shape[0] // len(STREET_LABELS)
    swatches = [tuple(panel[row * line + line // 2, line // 2].tolist()) for row in range(len(STREET_LABELS))]
    assert swatches == [rgb[::-1] for rgb in STREET_LABELS.palette]


def test_the_legend_stands_in_the_top_right_corner() -> None:
    labels = LabelSet(("road",), ((0, 255, 0),))
    black = np.zeros((*LARGE, 3), np.uint8)
    picture = Overlay(labels).draw(black, np.full(LARGE, VOID, np.uint8), "mask")
    rows, columns = np.nonzero(picture.any(axis=2))
    height, width = legend(labels, LARGE[0]).shape[:2]
    assert (rows.min(), columns.max()) == (0, LARGE[1] - 1)
    assert rows.max() < height and columns.min() >= LARGE[1] - width


@pytest.mark.parametrize("order", [(SMALL, LARGE), (LARGE, SMALL), (LARGE, (480, 640))])
def test_the_legend_follows_a_change_of_size(order: tuple[tuple[int, int], ...]) -> None:
    overlay = Overlay(STREET_LABELS)
    for size_hw in order:
        frame, mask = draw_street(1, size_hw=size_hw)
        assert np.array_equal(overlay.draw(frame, mask, "overlay"), Overlay(STREET_LABELS).draw(frame, mask, "overlay"))


@pytest.mark.parametrize("classes", [1, 21, 120, 150, 255])
@pytest.mark.parametrize("height", [120, 240, 1080])
def test_a_view_fits_any_number_of_classes(classes: int, height: int) -> None:
    labels = LabelSet(tuple(f"class {i}" for i in range(classes)), tuple((i, i, i) for i in range(classes)))
    frame, mask = np.zeros((height, 160, 3), np.uint8), np.zeros((height, 160), np.uint8)
    assert Overlay(labels).draw(frame, mask, "overlay").shape == frame.shape
