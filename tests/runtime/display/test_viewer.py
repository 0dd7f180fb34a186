"""runtime.display.viewer: what is seen, and what keys change; no window is needed for that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcn_edge.datasets.street import draw_street
from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.images import read_image, read_mask, restore_mask
from runtime.display.viewer import ESCAPE, HELP_S, LEAST_HEIGHT, NOTE_S, TAB, Viewer
from runtime.overlay import VIEWS, Overlay

FRAME, MASK = draw_street(1, size_hw=(240, 320))
OTHER, _ = draw_street(2, size_hw=(240, 320))
MODEL_MASK = np.ascontiguousarray(MASK[::2, ::2])


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def viewer(clock: Clock, tmp_path: Path) -> Viewer:
    """One that has shown its first frame and its keys long ago."""
    viewer = Viewer(Overlay(STREET_LABELS), "overlay", tmp_path, clock)
    viewer.meet("front")
    viewer.take(FRAME, MASK)
    clock.now_s += HELP_S + 1
    assert viewer.is_stale
    return viewer


def press(viewer: Viewer, *keys: str) -> None:
    for key in keys:
        viewer.press(ord(key))


def wait_for_notes_to_go(viewer: Viewer, clock: Clock) -> None:
    clock.now_s += NOTE_S
    assert viewer.is_stale


@pytest.mark.parametrize("view", VIEWS)
def test_a_frame_is_shown_as_its_overlay(viewer: Viewer, view: str) -> None:
    viewer.view = view
    assert np.array_equal(viewer.picture(), Overlay(STREET_LABELS).draw(FRAME, MASK, view))
    assert not viewer.is_stale


def test_a_mask_of_the_models_size_is_brought_to_the_frames(viewer: Viewer) -> None:
    viewer.take(FRAME, MODEL_MASK)
    wanted = Overlay(STREET_LABELS).draw(FRAME, restore_mask(MODEL_MASK, (240, 320)), "overlay")
    assert np.array_equal(viewer.picture(), wanted)


def test_before_the_first_frame_there_is_something_to_see() -> None:
    viewer = Viewer(Overlay(STREET_LABELS), "overlay")
    assert viewer.is_stale and viewer.picture().any() and not viewer.has_frame
    press(viewer, "s", "n", " ", "\t")
    assert viewer.picture().any()


def test_the_keys_are_shown_for_a_while_from_the_first_frame_on(clock: Clock) -> None:
    viewer = Viewer(Overlay(STREET_LABELS), "overlay", now_s=clock)
    viewer.picture()
    clock.now_s += 1000  # until the first frame comes
    viewer.take(FRAME, MASK)
    plain = Overlay(STREET_LABELS).draw(FRAME, MASK, "overlay")
    assert not np.array_equal(viewer.picture(), plain)
    clock.now_s += HELP_S / 2
    assert not viewer.is_stale
    viewer.take(OTHER, MASK)  # which does not begin anew
    clock.now_s += HELP_S / 2
    assert viewer.is_stale
    viewer.take(FRAME, MASK)
    assert np.array_equal(viewer.picture(), plain)


@pytest.mark.parametrize("key", ["h", "H"])
def test_h_shows_the_keys_until_it_is_pressed_again(viewer: Viewer, clock: Clock, key: str) -> None:
    plain = viewer.picture()
    press(viewer, key)
    assert viewer.is_stale and not np.array_equal(viewer.picture(), plain)
    clock.now_s += 3600
    assert not viewer.is_stale
    press(viewer, key)
    assert np.array_equal(viewer.picture(), plain)


@pytest.mark.parametrize("key", [ord("q"), ord("Q"), ESCAPE, 0x100000 | ord("q")])
def test_q_and_escape_quit(viewer: Viewer, key: int) -> None:
    assert not viewer.has_quit
    viewer.press(key)
    assert viewer.has_quit


@pytest.mark.parametrize("key", [TAB, ord("v"), ord("V")])
def test_tab_and_v_go_through_the_views(viewer: Viewer, clock: Clock, key: int) -> None:
    seen = []
    for _ in range(4):
        viewer.press(key)
        seen.append(viewer.view)
    assert seen == ["mask", "split", "overlay", "mask"]
    wait_for_notes_to_go(viewer, clock)
    assert np.array_equal(viewer.picture(), Overlay(STREET_LABELS).draw(FRAME, MASK, "mask"))


@pytest.mark.parametrize(
    ("keys", "alpha"), [("+", 0.6), ("=", 0.6), ("-", 0.4), ("+-", 0.5), ("+" * 9, 1.0), ("-" * 9, 0.0)]
)
def test_plus_and_minus_change_the_masks_share(viewer: Viewer, clock: Clock, keys: str, alpha: float) -> None:
    press(viewer, *keys)
    assert viewer.overlay.alpha == alpha
    wait_for_notes_to_go(viewer, clock)
    assert np.array_equal(viewer.picture(), Overlay(STREET_LABELS, alpha).draw(FRAME, MASK, "overlay"))


@pytest.mark.parametrize(("key", "alpha"), [(0xFFAB, 0.6), (0x100000 | 0xFFAD, 0.4)])
def test_those_of_the_keypad_do_too(viewer: Viewer, key: int, alpha: float) -> None:
    viewer.press(key)
    assert viewer.overlay.alpha == alpha


def test_l_takes_the_legend_away_and_brings_it_back(viewer: Viewer) -> None:
    press(viewer, "l")
    assert np.array_equal(viewer.picture(), Overlay(STREET_LABELS, has_legend=False).draw(FRAME, MASK, "overlay"))
    press(viewer, "L")
    assert np.array_equal(viewer.picture(), Overlay(STREET_LABELS).draw(FRAME, MASK, "overlay"))


def test_space_holds_the_picture_and_lets_it_go(viewer: Viewer) -> None:
    plain = viewer.picture()
    press(viewer, " ")
    assert viewer.is_held
    held = viewer.picture()
    assert not np.array_equal(held, plain)  # it says so
    assert np.array_equal(held[:160], plain[:160])
    press(viewer, " ")
    assert not viewer.is_held
    assert np.array_equal(viewer.picture(), plain)


def test_n_goes_through_the_sources(viewer: Viewer) -> None:
    assert viewer.title == "fcn-edge"
    for source in ("back", "front", "left"):
        viewer.meet(source)
    seen = [viewer.source]
    for _ in range(3):
        press(viewer, "n")
        seen.append(viewer.source)
    assert seen == ["front", "back", "left", "front"]
    assert viewer.title == "fcn-edge: front"


def test_to_choose_another_source_lets_a_held_picture_go(viewer: Viewer) -> None:
    viewer.meet("back")
    press(viewer, " ", "n")
    assert not viewer.is_held


def test_s_saves_frame_mask_and_view_without_words_over_it(viewer: Viewer, tmp_path: Path) -> None:
    press(viewer, "\t", " ", "h", "s")
    files = {path.stem.rpartition("-")[2]: path for path in tmp_path.iterdir()}
    assert set(files) == {"frame", "mask", "view"}
    assert np.array_equal(read_image(files["frame"]), FRAME)
    assert np.array_equal(read_mask(files["mask"]), MASK)
    assert np.array_equal(read_image(files["view"]), Overlay(STREET_LABELS).draw(FRAME, MASK, "mask"))


def test_snapshots_of_one_second_have_names_of_their_own(viewer: Viewer, tmp_path: Path) -> None:
    press(viewer, "s", "s", "S")
    assert len(list(tmp_path.iterdir())) == 9


def test_a_snapshot_that_cannot_be_saved_is_told_and_harms_nothing(clock: Clock, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    viewer = Viewer(Overlay(STREET_LABELS), "overlay", tmp_path / "file", clock)
    viewer.take(FRAME, MASK)
    clock.now_s += HELP_S
    assert viewer.is_stale
    plain = viewer.picture()
    press(viewer, "s")
    assert not np.array_equal(viewer.picture(), plain)
    wait_for_notes_to_go(viewer, clock)
    assert np.array_equal(viewer.picture(), plain)


@pytest.mark.parametrize("key", [ord("x"), 0, 255, 1 << 16, ord("7"), 0xFF51, 0xFF53, 0x100000 | 0xFF51])
def test_a_key_without_a_meaning_does_nothing(viewer: Viewer, key: int) -> None:
    plain = viewer.picture()
    viewer.press(key)
    assert not viewer.is_stale and np.array_equal(viewer.picture(), plain)


@pytest.mark.parametrize("size_hw", [(1, 1), (64, 96), (239, 10), (LEAST_HEIGHT, 320)], ids=str)
def test_a_small_frame_is_enlarged_until_words_can_be_read(viewer: Viewer, size_hw: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)
    viewer.overlay.has_legend = False
    viewer.overlay.alpha = 0.0
    viewer.take(frame, np.zeros(size_hw, np.uint8))
    picture = viewer.picture()
    times = picture.shape[0] // size_hw[0]
    assert LEAST_HEIGHT <= picture.shape[0] < 2 * LEAST_HEIGHT
    assert np.array_equal(picture, np.kron(frame, np.ones((times, times, 1), np.uint8)))


def test_frames_and_masks_that_were_given_stay_as_they_are(viewer: Viewer) -> None:
    frame, mask = FRAME.copy(), MASK.copy()
    viewer.take(frame, mask)
    press(viewer, "h", "\t", "+", " ")
    for _ in VIEWS:
        viewer.press(TAB)
        viewer.picture()
    assert np.array_equal(frame, FRAME) and np.array_equal(mask, MASK)
