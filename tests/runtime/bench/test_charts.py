"""The charts of a bench: nothing that one looks for gets lost in them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from fcn_edge.svg import WIDTH
from runtime.bench.histogram_chart import RatioAxis, histogram_chart
from runtime.bench.stage_chart import stage_chart
from runtime.bench.time_chart import MOST_POINTS, thinned, time_chart
from runtime.latency import summarise

Element = ElementTree.Element


def parts(svg: str, tag: str) -> list[Element]:
    return [element for element in ElementTree.fromstring(svg).iter() if element.tag == tag]


def words(svg: str) -> list[str]:
    return [element.text or "" for element in parts(svg, "text")]


def number(element: Element, name: str) -> float:
    return float(element.get(name, "nan"))


def test_one_slow_frame_in_a_hundred_thousand_is_drawn() -> None:
    latencies = [10.0] * 100_000
    latencies[54_321] = 1000.0
    came = [0.01 * place for place in range(100_000)]
    points = thinned(came, latencies)
    assert (543.21, 1000.0) in points and len(points) <= 2 * MOST_POINTS
    assert [at for at, _ in points] == sorted(at for at, _ in points)


def test_few_frames_are_all_drawn_in_the_order_of_time() -> None:
    """Those that made way are told by their own times, which lie before their answer's."""
    assert thinned([0.0, 0.2, 0.1], [5.0, 6.0, 7.0]) == [(0.0, 5.0), (0.1, 7.0), (0.2, 6.0)]


@pytest.mark.parametrize("latencies", [[5.0], [5.0, 5.0], [10.0] * 500 + [1000.0]])
def test_the_course_stays_within_its_picture(latencies: list[float]) -> None:
    svg = time_chart([0.1 * place for place in range(len(latencies))], latencies)
    (course,) = parts(svg, "polyline")
    points = [tuple(map(float, pair.split(","))) for pair in course.get("points", "").split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= 300 for x, y in points)
    assert "latency of each frame, ms" in words(svg)


def test_a_pause_stands_beside_the_usual_and_is_high_enough_to_be_seen() -> None:
    latencies = [10.0] * 9_999 + [1000.0]
    svg = histogram_chart(latencies, summarise(latencies))
    bars = [bar for bar in parts(svg, "rect") if bar.get("class") == "s0"]
    assert len(bars) == 2 and min(number(bar, "height") for bar in bars) >= 2
    assert number(bars[0], "x") < 100 and number(bars[1], "x") > WIDTH - 200
    assert {"10", "100", "1000"} <= set(words(svg))


def test_percentiles_are_marked_where_they_are_known() -> None:
    latencies = np.linspace(10, 20, 50).tolist()
    told = words(histogram_chart(latencies, summarise(latencies)))
    assert "p50 15 ms" in told and "p95 19.5 ms" in told
    assert not [word for word in told if word.startswith("p99")]  # of fifty there is none


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (9.5, 1050.0, [10, 20, 50, 100, 200, 500, 1000]),
        (20.0, 53.0, [20, 30, 40, 50]),
        (0.019, 0.52, [0.02, 0.05, 0.1, 0.2, 0.5]),
    ],
)
def test_a_scale_of_ratios_has_round_numbers_enough(low: float, high: float, ticks: list[float]) -> None:
    assert RatioAxis(low, high).ticks == pytest.approx(ticks)


@pytest.mark.parametrize("value", [0.0001, 5.0, 100_000.0])
def test_a_single_latency_has_a_histogram_too(value: float) -> None:
    svg = histogram_chart([value], summarise([value]))
    assert len([bar for bar in parts(svg, "rect") if bar.get("class") == "s0"]) == 1


def test_stages_add_up_and_the_slowest_masks_show_what_made_them_slow() -> None:
    """Of a hundred masks five waited: their bar is longer, by the wait."""
    stages = {"wait": [0.0] * 95 + [90.0] * 5, "infer": [10.0] * 100, "infer.h2d": [1.0] * 100}
    svg = stage_chart(stages)
    assert {"all masks", "slowest 5 %", "14.5 ms", "100.0 ms", "wait", "infer"} <= set(words(svg))
    assert "infer.h2d" not in words(svg)  # it is in infer
    waits = [number(bar, "width") for bar in parts(svg, "rect") if bar.get("class") == "s0"]
    infers = [number(bar, "width") for bar in parts(svg, "rect") if bar.get("class") == "s1"]
    assert waits[1] == pytest.approx(9 * infers[1], rel=0.01) and infers[0] == pytest.approx(infers[1], rel=0.01)
