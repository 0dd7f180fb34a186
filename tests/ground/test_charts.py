"""charts.py: bars as long as their numbers, points where they belong, and no name that becomes markup."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import pytest

from fcn_edge.charts import HEIGHT, LEFT, bar_chart, scatter_chart
from fcn_edge.report import Section, html_page
from fcn_edge.svg import COLOURS, WIDTH

Element = ElementTree.Element
FRONT = [("all float", 41.2, 61.02), ("two kept", 33.0, 60.9), ("one kept", 29.1, 60.65), ("all int8", 28.4, 58.1)]


def parts(svg: str, tag: str) -> list[Element]:
    return list(ElementTree.fromstring(svg).iter(tag))


def words(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in parts(svg, "text")]


def lengths(svg: str, series: int = 0) -> list[float]:
    return [float(bar.get("width", "")) for bar in parts(svg, "rect") if bar.get("class") == f"s{series}"]


def test_bars_are_as_long_as_their_numbers_and_tell_them() -> None:
    svg = bar_chart({"sky": [30.0], "road": [15.0], "car": [0.3]}, ["share"], " %")
    sky, road, car = lengths(svg)
    assert WIDTH / 2 < sky < WIDTH
    assert (road / sky, car / sky) == (pytest.approx(0.5, abs=0.002), pytest.approx(0.01, abs=0.002))
    assert words(svg) == ["sky", "30.00 %", "road", "15.00 %", "car", "0.30 %"]


def test_series_stand_together_under_a_legend_in_colours_of_their_own() -> None:
    svg = bar_chart({"sky": [2.0, 1.0], "road": [4.0, 3.0]}, ["set", "all"])
    assert words(svg) == ["set", "all", "sky", "2", "1", "road", "4", "3"]
    bars = parts(svg, "rect")
    assert [bar.get("class") for bar in bars] == ["s0", "s1"] * 3  # the legend first
    assert {bar.get("fill") for bar in bars} == set(COLOURS[:2])
    tops = [float(bar.get("y", "")) for bar in bars[2:]]
    assert tops == sorted(tops) and tops[2] - tops[1] > tops[1] - tops[0]


def test_one_series_needs_no_legend() -> None:
    assert "the series" not in bar_chart({"sky": [1.0]}, ["the series"])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1.0, 20.0], ["1", "20"]),
        ([1234.5, 3.25], ["1234", "3"]),
        ([123.45, 3.25], ["123.5", "3.2"]),
        ([1.5, 0.25], ["1.50", "0.25"]),
        ([0.01234, 0.001], ["0.0123", "0.0010"]),
        ([0.0, 0.0], ["0", "0"]),
    ],
)
def test_numbers_have_the_places_that_the_largest_deserves(values: list[float], told: list[str]) -> None:
    assert words(bar_chart({"a": values}, ["x", "y"]))[-2:] == told


def test_what_is_no_length_has_no_bar() -> None:
    svg = bar_chart({"a": [float("nan")], "b": [float("inf")], "c": [-3.0], "d": [0.0], "e": [6.0]}, ["x"], " ms")
    assert lengths(svg)[:4] == [0, 0, 0, 0] and lengths(svg)[4] > 100
    assert words(svg) == ["a", "-", "b", "-", "c", "-3 ms", "d", "0 ms", "e", "6 ms"]
    assert lengths(bar_chart({"a": [0.0], "b": [0.0]}, ["x"])) == [0, 0]


def test_long_names_are_cut_and_leave_room_for_the_bars() -> None:
    svg = bar_chart({"long " * 40: [1.0], "自転車" * 30: [1.0]}, ["x"])
    assert all(len(name) <= 40 for name in words(svg))
    for bar in parts(svg, "rect"):
        assert float(bar.get("x", "")) + float(bar.get("width", "")) < WIDTH
        assert float(bar.get("width", "")) > 20


@pytest.mark.parametrize(
    "draw",
    [
        lambda name: bar_chart({name: [1.0, 2.0]}, [name, name], name),
        lambda name: scatter_chart([(name, 1.0, 2.0)], name, name),
    ],
)
def test_no_name_becomes_markup(draw: Callable[[str], str]) -> None:
    name = "</text><script>\"'&"
    assert "<script>" not in draw(name)
    assert sum(name in text for text in words(draw(name))) >= 3


@pytest.mark.parametrize("svg", [bar_chart({"a": [1, 2]}, ["x", "y"]), scatter_chart(FRONT, "ms", "mean IoU")])
def test_a_chart_has_the_pages_colours_and_wants_nothing_from_outside(svg: str) -> None:
    assert all(text.get("fill") == "currentColor" for text in parts(svg, "text"))
    assert not re.search(r"https?:|url\(|href", svg)
    assert "\n" not in svg


def test_points_lie_where_their_numbers_are_and_are_joined_in_order() -> None:
    svg = scatter_chart(FRONT, "ms", "mean IoU %")
    dots = [(float(dot.get("cx", "")), float(dot.get("cy", ""))) for dot in parts(svg, "circle")]
    for axis, sign in ((0, 1), (1, -1)):
        given = [point[axis + 1] for point in FRONT]
        drawn = [dot[axis] * sign for dot in dots]
        scale = (drawn[0] - drawn[-1]) / (given[0] - given[-1])
        assert scale > 0
        wanted = [drawn[0] + scale * (value - given[0]) for value in given]
        assert drawn == pytest.approx(wanted, abs=0.2)
    (line,) = parts(svg, "polyline")
    assert line.get("points") == " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
    for name in ("ms", "mean IoU %", *(point[0] for point in FRONT)):
        assert name in words(svg)


def test_a_front_is_joined_by_its_x_and_stands_out() -> None:
    points = [("slow", 40.0, 62.0), ("beaten", 30.0, 58.0), ("fast", 10.0, 60.0)]
    svg = scatter_chart(points, "ms", "mean IoU %", front=["slow", "fast"])
    slow, beaten, fast = parts(svg, "circle")
    assert [one.get("class") for one in (slow, beaten, fast)] == ["s0", "s5", "s0"]
    (line,) = parts(svg, "polyline")
    assert line.get("points") == " ".join(f"{one.get('cx')},{one.get('cy')}" for one in (fast, slow))


def test_a_span_reaches_from_end_to_end_at_the_height_of_its_point_and_stays_inside() -> None:
    svg = scatter_chart([("a", 10.0, 1.0), ("b", 20.0, 2.0)], "ms", "y", front=[], spans={"b": (5.0, 35.0)})
    one, other = [(float(dot.get("cx", "")), float(dot.get("cy", ""))) for dot in parts(svg, "circle")]
    (span,) = [line.get("points", "").split() for line in parts(svg, "polyline") if line.get("points")]
    (left, left_y), (right, right_y) = [tuple(map(float, end.split(","))) for end in span]
    step = (other[0] - one[0]) / 10
    assert (left, right) == pytest.approx((other[0] - 15 * step, other[0] + 15 * step), abs=0.3)
    assert left_y == right_y == other[1]
    assert LEFT <= left < right <= WIDTH


@pytest.mark.parametrize(
    ("low", "high"), [(28.4, 41.2), (0.0, 1.0), (-3.0, 7.0), (0.00012, 0.00018), (12345.1, 12345.9), (1e6, 9e6)]
)
def test_ticks_are_round_evenly_spaced_and_enclose_the_points(low: float, high: float) -> None:
    svg = scatter_chart([("a", low, 0.0), ("b", high, 1.0)], "x", "y")
    places = [(float(text.get("x", "")), "".join(text.itertext())) for text in parts(svg, "text")]
    shown = [(x, float(told)) for x, told in places if re.fullmatch(r"-?[\d.]+", told) and x > 60]
    ticks = [value for _, value in shown]
    assert 3 <= len(ticks) <= 7 and ticks[0] <= low and high <= ticks[-1]
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-6)
    assert f"{steps[0]:.1e}"[:3] in ("1.0", "2.0", "5.0")
    dots = [float(dot.get("cx", "")) for dot in parts(svg, "circle")]
    scale = (shown[-1][0] - shown[0][0]) / (ticks[-1] - ticks[0])
    assert dots == pytest.approx([shown[0][0] + scale * (value - ticks[0]) for value in (low, high)], abs=0.5)


@pytest.mark.parametrize("points", [[], [("a", 5.0, 5.0)], [("a", 0.0, 0.0), ("b", 0.0, 0.0)]])
def test_no_spread_is_no_division(points: list[tuple[str, float, float]]) -> None:
    svg = scatter_chart(points, "x", "y")
    assert len(parts(svg, "circle")) == len(points)
    for dot in parts(svg, "circle"):
        assert 0 <= float(dot.get("cx", "")) <= WIDTH and 0 <= float(dot.get("cy", "")) <= HEIGHT


def test_a_point_without_numbers_is_left_out() -> None:
    svg = scatter_chart([("good", 1.0, 2.0), ("bad", float("nan"), 1.0), ("worse", 1.0, float("inf"))], "x", "y")
    assert len(parts(svg, "circle")) == 1
    assert "good" in words(svg) and "bad" not in words(svg) and "worse" not in words(svg)


def test_names_of_neighbours_do_not_cover_one_another() -> None:
    crowd = [(f"point {number}", 10 + 0.2 * number, 50 + 0.02 * number) for number in range(3)]
    svg = scatter_chart([*crowd, ("far", 40.0, 60.0)], "x", "y")
    names = [
        (float(text.get("x", "")), float(text.get("y", "")))
        for text in parts(svg, "text")
        if "".join(text.itertext()).startswith("point")
    ]
    assert len(names) == 3
    for (x, y), (other_x, other_y) in itertools.combinations(names, 2):
        assert abs(y - other_y) >= 12 or abs(x - other_x) >= 50


def test_a_name_too_long_for_either_side_stays_inside() -> None:
    svg = scatter_chart([("a", 0.0, 0.0), ("W" * 60, 5.0, 5.0), ("b", 10.0, 10.0)], "x", "y")
    (x,) = [float(text.get("x", "")) for text in parts(svg, "text") if "".join(text.itertext()).startswith("WW")]
    assert 0 < x < WIDTH / 2


def test_a_page_shows_a_chart_below_its_table() -> None:
    chart = bar_chart({"sky": [1.0]}, ["x"])
    page = html_page("t", [Section("One", rows=[["a"], ["1"]], svg=chart), Section("Two")])
    places = [page.index(part) for part in ("<h2>One", "<td>1", chart, "<h2>Two")]
    assert places == sorted(places)
    assert page.count("<svg") == 1
