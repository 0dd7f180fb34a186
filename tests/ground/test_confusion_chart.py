"""confusion_chart.py: a row for each true class, stronger where more of its pixels went."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from fcn_edge.confusion_chart import confusion_chart

Element = ElementTree.Element
COUNTS = np.array([[60, 40, 0], [0, 0, 0], [1, 0, 999]])
NAMES = ("sky", "road", "car")


def cells(svg: str) -> list[Element]:
    return [part for part in ElementTree.fromstring(svg).iter("rect") if part.get("class") == "cell"]


def words(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter("text")]


def test_a_cell_is_as_strong_as_its_share_of_the_row() -> None:
    told = {
        "".join(cell.itertext()): float(cell.get("fill-opacity", "")) for cell in cells(confusion_chart(COUNTS, NAMES))
    }
    assert told == {
        "sky taken for sky: 60.0 %": 0.6,
        "sky taken for road: 40.0 %": 0.4,
        "car taken for car: 99.9 %": 0.999,
    }


def test_true_classes_go_down_and_what_they_were_taken_for_across() -> None:
    sky, as_road, car = ((float(c.get("x", "")), float(c.get("y", ""))) for c in cells(confusion_chart(COUNTS, NAMES)))
    assert as_road[1] == sky[1] and as_road[0] > sky[0]
    assert car[0] - sky[0] == pytest.approx(car[1] - sky[1], abs=0.11) and car[0] > as_road[0]


def test_a_class_without_pixels_has_its_name_and_an_empty_row() -> None:
    svg = confusion_chart(COUNTS, NAMES)
    assert words(svg).count("road") == 2
    assert not any("".join(cell.itertext()).startswith("road") for cell in cells(svg))
    assert not cells(confusion_chart(np.zeros((3, 3), np.int64), NAMES))


def test_numbers_are_written_where_they_fit() -> None:
    assert {"60", "40", "100"} < set(words(confusion_chart(COUNTS, NAMES)))
    many = confusion_chart(np.eye(60, dtype=np.int64), [f"c{number}" for number in range(60)])
    assert "100" not in words(many) and len(cells(many)) == 60


@pytest.mark.parametrize("count", [1, 2, 60, 255])
@pytest.mark.parametrize("letters", [1, 80])
def test_everything_lies_inside(count: int, letters: int) -> None:
    names = [f"{number:W>{letters}}" for number in range(count)]
    svg = ElementTree.fromstring(
        confusion_chart(np.ones((count, count), np.int64) + np.eye(count, dtype=np.int64), names)
    )
    width, height = float(svg.get("width", "")), float(svg.get("height", ""))
    for line in svg.iter("line"):
        assert all(0 <= float(line.get(end, "")) <= width for end in ("x1", "x2"))
        assert all(0 <= float(line.get(end, "")) <= height for end in ("y1", "y2"))
    assert min(float(text.get("font-size", "")) for text in svg.iter("text")) >= 10


def test_no_name_becomes_markup() -> None:
    name = "</text><script>"
    svg = confusion_chart(np.eye(1, dtype=np.int64), [name])
    assert "<script>" not in svg and words(svg).count(name) == 2
