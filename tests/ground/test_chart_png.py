"""chart_png.py: the same chart as pixels, its strokes where the SVG has them."""

from __future__ import annotations

import numpy as np
import pytest

from fcn_edge.chart_png import MARGIN, SCALE, picture_of_chart
from fcn_edge.charts import bar_chart, colour_key, scatter_chart
from fcn_edge.confusion_chart import confusion_chart
from fcn_edge.curves import curves_chart
from fcn_edge.labels import LabelSet
from fcn_edge.svg import WIDTH, cell, drawing, polyline, rectangle, text

LABELS = LabelSet(("sky", "Straße", "自転車"), ((0, 0, 0), (255, 255, 255), (10, 200, 30)))
CHARTS = [
    bar_chart({"sky": [50.0, float("nan")], "road": [0.0, 1.0]}, ["a", "b"], " %", full=100),
    scatter_chart([("a", 1.0, 2.0), ("b", 2.0, 1.0)], "x", "y"),
    colour_key(LABELS),
    curves_chart({"loss": {1: 1.0, 2: 0.5}}, peaks=["loss"]),
    confusion_chart(np.array([[3, 1], [0, 0]]), ["sky", "long " * 30]),
]


def ink(picture: np.ndarray) -> np.ndarray:
    """Rows and columns (y, x) that are not paper, in the chart's pixels."""
    return np.argwhere((picture != 255).any(2)) / SCALE - MARGIN


@pytest.mark.parametrize("svg", CHARTS)
def test_a_chart_is_drawn_at_its_own_size_with_a_margin(svg: str) -> None:
    picture = picture_of_chart(svg)
    assert picture.dtype == np.uint8 and picture.shape[1] == (WIDTH + 2 * MARGIN) * SCALE
    assert ink(picture).size and (picture[0] == 255).all() and (picture[-1] == 255).all()


def test_a_rectangle_has_its_place_and_colour() -> None:
    picture = picture_of_chart(drawing(100, 50, [rectangle(10, 20, 30, 11)]))
    found = ink(picture)
    assert found.min(0).tolist() == [20, 10] and found.max(0).tolist() == [30.5, 39.5]
    assert picture[(25 + MARGIN) * SCALE, (25 + MARGIN) * SCALE].tolist() == [0xC4, 0x82, 0x3B]  # BGR


def test_a_bar_of_no_length_leaves_no_ink() -> None:
    assert not ink(picture_of_chart(drawing(100, 50, [rectangle(10, 20, 0, 11)]))).size


def test_a_cell_lets_the_paper_through() -> None:
    weak, strong = (picture_of_chart(drawing(50, 50, [cell(10, 10, 20, share, "")])).min() for share in (0.1, 0.9))
    assert 200 < weak < 255 and strong < 100


def test_a_polyline_goes_from_point_to_point() -> None:
    found = ink(picture_of_chart(drawing(100, 50, [polyline([(10, 40), (90, 5)])])))
    assert found.min(0) == pytest.approx([5, 10], abs=1.5) and found.max(0) == pytest.approx([40, 90], abs=1.5)


@pytest.mark.parametrize(
    ("anchor", "left", "right"), [("start", True, False), ("middle", True, True), ("end", False, True)]
)
def test_words_stand_at_their_anchor(anchor: str, left: bool, right: bool) -> None:
    found = ink(picture_of_chart(drawing(400, 100, [text(200, 60, "words of a chart", anchor)])))
    assert (found[:, 1].max() > 205, found[:, 1].min() < 195) == (left, right)
    assert 45 < found[:, 0].min() and found[:, 0].max() < 66


@pytest.mark.parametrize(("anchor", "above"), [("start", True), ("end", False)])
def test_turned_words_run_upwards_from_their_anchor(anchor: str, above: bool) -> None:
    found = ink(picture_of_chart(drawing(400, 400, [text(200, 200, "words of a chart", anchor, turned=True)])))
    assert (found[:, 0].min() < 150 and found[:, 0].max() < 203) if above else (found[:, 0].max() > 250)
    assert 185 < found[:, 1].min() and found[:, 1].max() < 206


def test_words_of_a_font_of_its_own_where_the_machine_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from fcn_edge import chart_png

    monkeypatch.setattr(chart_png, "FONTS", ())
    chart_png._font.cache_clear()
    assert len(ink(picture_of_chart(drawing(200, 50, [text(10, 30, "words", "start")])))) > 100
    chart_png._font.cache_clear()
