"""The pictures of the live page, in a real browser: they move, and what is chosen shows the right pixels."""

from __future__ import annotations

from collections.abc import Callable
from time import sleep

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fcn_edge.datasets.synthetic import STREET_LABELS
from tests.runtime.web.browser import Page
from tests.runtime.web.conftest import Live, until
from tests.runtime.web.drawn_stream import segmented

MakeLive = Callable[..., Live]
Points = list[tuple[int, int, int]]  # row and column of a screenshot, class id

SHOWN = "window.fcnEdge.lastShown"
TARGET_HW = (240, 320)
CAMERA_PIXEL = """([x, y]) => {{
  const c = document.getElementById("camera-1"), r = c.getBoundingClientRect();
  const at = [Math.floor((x - r.left) / r.width * c.width), Math.floor((y - r.top) / r.height * c.height)];
  return [...c.getContext("2d").getImageData(...at, 1, 1).data].slice(0, 3).reverse();
}}"""


def open_still(page: Page, live: MakeLive) -> tuple[Live, Points]:
    """A page with one frame that stays, and points well inside regions of a class."""
    street = live(fps=0, size_hw=TARGET_HW)
    street.show(3)
    page.go(street.url)
    page.wait_for(f"{SHOWN}?.index === 3")
    page.wait_for("document.querySelectorAll('.class').length > 0")
    sleep(0.5)  # the layout settles, and the picture has been brightened up
    return street, points_inside(page)


def points_inside(page: Page) -> Points:
    mask = segmented(3, "gate", TARGET_HW, 5).model_mask
    assert mask is not None
    left, top, width, height = page.evaluate(
        "(r => [r.left, r.top, r.width, r.height])(document.getElementById('mask-1').getBoundingClientRect())"
    )
    found: Points = []
    for label in np.unique(mask):
        inside = np.uint8(mask == label)
        inside[[0, -1]] = inside[:, [0, -1]] = 0  # the picture has round corners
        inside = cv2.erode(inside, np.ones((9, 9), np.uint8))  # no edge is near
        if label < len(STREET_LABELS) and inside.any():
            rows, columns = np.nonzero(inside)
            for place in {columns.argmin(), columns.argmax()}:
                row, column = (rows[place] + 0.5) / mask.shape[0], (columns[place] + 0.5) / mask.shape[1]
                found.append((int(top + row * height), int(left + column * width), int(label)))
    assert len(found) >= 4
    return found


def palette_bgr(label: int) -> list[int]:
    return list(STREET_LABELS.palette[label][::-1])


def camera_bgr(page: Page, row: int, column: int) -> NDArray[np.float64]:
    return np.array(page.evaluate(f"({CAMERA_PIXEL.format()})([{column}, {row}])"), np.float64)


def settled(page: Page) -> NDArray[np.float64]:
    sleep(0.3)
    return page.screenshot().astype(np.float64)


def test_the_picture_moves_and_the_figures_change(page: Page, live: MakeLive) -> None:
    page.go(live().url)
    page.wait_for(SHOWN)
    figures = (
        "['fps-out', 'mask-p50', 'stage-age-value', 'state-name'].map(id => document.getElementById(id).innerText)"
    )
    before, index, told = page.screenshot(), page.evaluate(f"{SHOWN}.index"), page.evaluate(figures)
    page.wait_for(f"{SHOWN}.index > {index} + 5 && {figures}.slice(0, 3).every((f, i) => f !== {told}[i])")
    after = page.screenshot()
    x, y = map(round, page.middle("#camera-1"))
    region = np.s_[y - 100 : y + 100, x - 100 : x + 100]
    assert np.abs(after[region].astype(int) - before[region]).max() > 20
    assert told[3] == "RUNNING"


def test_what_was_drawn_is_told_to_benchmarks(page: Page, live: MakeLive) -> None:
    page.go(live().url)
    shown = page.wait_for(SHOWN)
    assert shown["source"] == "gate" and shown["canvas"] == "camera-1"
    assert shown["received_ns"] < shown["masked_ns"] < shown["encoded_ns"]
    assert abs(page.evaluate("Date.now()") - shown["shownAt"]) < 10_000
    assert page.evaluate("document.getElementById('camera-1').getContext('2d').getImageData(0, 0, 1, 1).data[3]") == 255


def test_the_mask_view_shows_the_palette_and_nothing_else(page: Page, live: MakeLive) -> None:
    _, points = open_still(page, live)
    page.press("v")
    picture = settled(page)
    assert [list(picture[row, column]) for row, column, _ in points] == [palette_bgr(label) for *_, label in points]
    x, y = map(round, page.middle("#mask-1"))
    found = {tuple(pixel) for pixel in picture[y - 250 : y + 250, x - 300 : x + 300].reshape(-1, 3)}
    assert found <= {tuple(palette_bgr(label)) for label in range(len(STREET_LABELS))} | {(0, 0, 0)}  # black is void


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_opacity_is_the_share_of_the_mask(page: Page, live: MakeLive, alpha: float) -> None:
    _, points = open_still(page, live)
    for _ in range(10):
        page.press("-" if alpha < 0.5 else "+") if alpha != 0.5 else None
    picture = settled(page)
    for row, column, label in points:
        wanted = (1 - alpha) * camera_bgr(page, row, column) + alpha * np.array(palette_bgr(label))
        # The camera's picture is scaled smoothly, so a pixel is that of its canvas only roughly.
        assert np.abs(picture[row, column] - wanted).max() <= 2 + 30 * (1 - alpha), (row, column, label)


def test_the_split_view_has_the_camera_left_of_a_line_that_moves(page: Page, live: MakeLive) -> None:
    _, points = open_still(page, live)
    page.press("v"), page.press("v")
    for _ in range(10):
        page.press("+")
    middle = page.middle(".divider")[0]
    picture = settled(page)
    right = [(row, column, label) for row, column, label in points if column > middle + 30]
    left = [(row, column, label) for row, column, label in points if column < middle - 30]
    assert left and right
    assert all(list(picture[row, column]) == palette_bgr(label) for row, column, label in right)
    assert any(list(picture[row, column]) != palette_bgr(label) for row, column, label in left)
    page.drag(page.middle(".divider"), (1, page.middle(".divider")[1]))
    picture = settled(page)
    still = [point for point in left if list(picture[point[:2]]) != palette_bgr(point[2])]
    assert not still


def test_the_line_of_the_split_view_is_moved_by_arrows(page: Page, live: MakeLive) -> None:
    open_still(page, live)
    page.press("v"), page.press("v")
    page.evaluate("document.querySelector('.divider').focus()")
    page.press("ArrowRight", 39)
    assert page.evaluate("document.querySelector('.divider').getAttribute('aria-valuenow')") == "52"
    page.press("Home", 36)
    assert page.evaluate("document.querySelector('.divider').getAttribute('aria-valuenow')") == "0"


def test_pointing_at_a_class_lights_it_alone(page: Page, live: MakeLive) -> None:
    _, points = open_still(page, live)
    page.press("v")  # the mask alone, in which a dim class is nearly black
    lit = points[0][2]
    page.point(*page.middle(f"#class-list li:nth-child({lit + 1}) button"))
    picture = settled(page)
    for row, column, label in points:
        shown, full = picture[row, column], np.array(palette_bgr(label))
        assert list(shown) == list(full) if label == lit else shown.max() < 0.3 * full.max(), label
    page.point(2, 2)
    picture = settled(page)
    assert all(list(picture[row, column]) == palette_bgr(label) for row, column, label in points)


def test_a_class_that_was_clicked_stays_lit_in_frames_to_come(page: Page, live: MakeLive) -> None:
    street, points = open_still(page, live)
    page.press("v")
    lit = points[-1][2]
    page.evaluate(f"document.querySelector('#class-list li:nth-child({lit + 1}) button').click()")
    street.show(3 + 64)  # the same street again: drawn_stream counts to 64
    page.wait_for(f"{SHOWN}.index === 67")
    picture = settled(page)
    assert {label for row, column, label in points if list(picture[row, column]) == palette_bgr(label)} == {lit}


def test_a_paused_picture_stands_still_and_goes_on(page: Page, live: MakeLive) -> None:
    page.go(live().url)
    page.wait_for(SHOWN)
    page.press(" ")
    sleep(0.3)  # one may be on its way to the screen
    index = page.evaluate(f"{SHOWN}.index")
    sleep(0.7)
    assert page.evaluate(f"{SHOWN}.index") == index
    assert page.evaluate("document.querySelector('.paused').checkVisibility()")
    page.press(" ")
    page.wait_for(f"{SHOWN}.index > {index} + 3")


def test_sources_stand_side_by_side_and_are_chosen_by_number(page: Page, live: MakeLive) -> None:
    street = live(names=("gate", "north"))
    page.go(street.url)
    page.wait_for("document.querySelectorAll('.tile').length === 2")
    page.press("2")
    assert page.evaluate("[...document.querySelectorAll('.name')].map(n => n.innerText)") == ["north"]
    page.wait_for(f"{SHOWN}?.source === 'north'")
    until(lambda: street.sink.facts()["viewers"] == 1)  # the other's connection is given back
    page.press("0")
    assert page.evaluate("document.querySelectorAll('.tile').length") == 2
