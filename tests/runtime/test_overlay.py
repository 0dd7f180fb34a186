"""runtime.overlay: the three views and their legend."""

from __future__ import annotations

import cv2
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


def panel_of(labels: LabelSet, size_hw: tuple[int, int]) -> np.ndarray:
    panel = legend(labels, size_hw)
    assert panel is not None
    return panel


def clear_of_legend(picture: np.ndarray) -> np.ndarray:
    height, width = panel_of(STREET_LABELS, picture.shape[:2]).shape[:2]
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
    panel = panel_of(STREET_LABELS, (1080, 1920))
    line = panel.shape[0] // len(STREET_LABELS)
    swatches = [tuple(panel[row * line + line // 2, line // 2].tolist()) for row in range(len(STREET_LABELS))]
    assert swatches == [rgb[::-1] for rgb in STREET_LABELS.palette]


def test_the_legend_stands_in_the_top_right_corner() -> None:
    labels = LabelSet(("road",), ((0, 255, 0),))
    black = np.zeros((*LARGE, 3), np.uint8)
    picture = Overlay(labels).draw(black, np.full(LARGE, VOID, np.uint8), "mask")
    rows, columns = np.nonzero(picture.any(axis=2))
    height, width = panel_of(labels, LARGE).shape[:2]
    assert (rows.min(), columns.max()) == (0, LARGE[1] - 1)
    assert rows.max() < height and columns.min() >= LARGE[1] - width


LONG = LabelSet(("road", "a traffic light that is hung across a junction"), ((1, 2, 3), (4, 5, 6)))


@pytest.mark.parametrize("labels", [STREET_LABELS, LONG], ids=["street", "long"])
@pytest.mark.parametrize(
    "size_hw", [(120, 160), (240, 320), (360, 200), (360, 480), (1080, 300), (1080, 1920)], ids=str
)
def test_a_legend_fits_whole_or_stays_away(labels: LabelSet, size_hw: tuple[int, int]) -> None:
    panel = legend(labels, size_hw)
    if panel is None:
        return
    assert panel.shape[0] <= size_hw[0] and panel.shape[1] <= size_hw[1]
    ink = (panel != 24).any(axis=2)
    line = panel.shape[0] // len(labels)
    assert ink[:, line:].any() and not ink[:, -2:].any()  # no name is cut


def test_where_names_cannot_be_read_there_is_no_legend() -> None:
    assert legend(LONG, (360, 40)) is None
    assert legend(STREET_LABELS, (119, 160)) is None
    assert legend(LONG, (360, 300)) is not None


@pytest.mark.parametrize("view", VIEWS)
def test_without_its_legend_a_view_is_the_picture_alone(view: str) -> None:
    frame, mask = draw_street(1, size_hw=LARGE)
    overlay = Overlay(STREET_LABELS)
    shown = overlay.draw(frame, mask, view)
    overlay.has_legend = False
    bare = overlay.draw(frame, mask, view)
    clear = clear_of_legend(shown)
    assert np.array_equal(bare[clear], shown[clear])
    assert not np.array_equal(bare, shown)
    overlay.has_legend = True
    assert np.array_equal(overlay.draw(frame, mask, view), shown)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("size_hw", [(1, 1), (63, 97), LARGE], ids=str)
def test_every_pixel_is_as_plain_numpy_has_it(view: str, size_hw: tuple[int, int]) -> None:
    generator = np.random.default_rng(5)
    frame, mask = generator.integers(0, 256, (*size_hw, 3), np.uint8), generator.integers(0, 256, size_hw, np.uint8)
    picture = Overlay(STREET_LABELS, 0.25, has_legend=False).draw(frame, mask, view)
    wanted = COLOURS[mask]
    if view != "mask":
        wanted = cv2.addWeighted(frame, 0.75, wanted, 0.25, 0)
    if view == "split":
        middle = size_hw[1] // 2
        wanted[:, :middle] = frame[:, :middle]
        wanted[:, max(0, middle - 1) : middle + 1] = 255
    assert np.array_equal(picture, wanted)


@pytest.mark.parametrize("view", VIEWS)
def test_a_picture_is_the_callers_own(view: str) -> None:
    frame, mask = draw_street(1, size_hw=LARGE)
    kept = frame.copy(), mask.copy()
    overlay = Overlay(STREET_LABELS)
    first = overlay.draw(frame, mask, view)
    as_it_was = first.copy()
    second = overlay.draw(np.zeros_like(frame), np.zeros_like(mask), view)
    assert np.array_equal(first, as_it_was) and not np.shares_memory(first, second)
    first[:] = 7
    assert np.array_equal(frame, kept[0]) and np.array_equal(mask, kept[1])
    assert np.array_equal(overlay.draw(frame, mask, view), as_it_was)


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
