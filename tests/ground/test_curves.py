"""curves.py and axis.py: the course of a training, a panel for each figure over the same epochs."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from fcn_edge.axis import axis
from fcn_edge.curves import BETWEEN, PANEL, curves_chart

LOSS = {epoch: 2 / epoch for epoch in range(1, 37)}
IOU = {2: 0.3, 4: 0.52, 6: 0.41}


def words(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter("text")]


def paths(svg: str) -> list[list[tuple[float, float]]]:
    lines = ElementTree.fromstring(svg).iter("polyline")
    return [[(float(x), float(y)) for x, y in (p.split(",") for p in line.get("points", "").split())] for line in lines]


def test_every_figure_has_a_panel_below_the_one_before() -> None:
    svg = curves_chart({"loss": LOSS, "mean IoU": IOU})
    loss, iou = paths(svg)
    assert (len(loss), len(iou)) == (36, 3)
    assert max(y for _, y in loss) < min(y for _, y in iou)
    assert words(svg).index("loss") < words(svg).index("mean IoU") and words(svg)[-1] == "epoch"


def test_panels_share_their_epochs() -> None:
    loss, iou = paths(curves_chart({"loss": LOSS, "mean IoU": IOU}))
    assert [x for x, _ in iou] == [loss[epoch - 1][0] for epoch in IOU]


def test_values_lie_where_they_belong_in_their_own_panel() -> None:
    _, ((_, first), (_, peak), (_, last)) = paths(curves_chart({"loss": LOSS, "mean IoU": IOU}))
    assert peak < last < first and first - peak < PANEL
    assert (last - peak) / (first - peak) == pytest.approx(0.5, abs=0.01)


def test_the_highest_value_is_told_where_it_was_reached() -> None:
    svg = curves_chart({"loss": LOSS, "mean IoU": IOU}, peaks=["mean IoU"])
    assert [told for told in words(svg) if told.startswith("highest")] == ["highest 0.52 in epoch 4"]


@pytest.mark.parametrize(("last", "ticks"), [(1, ["0", "1"]), (8, list("012345678")), (36, "0 5 10 15 20 25 30 35 40")])
def test_epochs_are_whole_and_start_at_none(last: int, ticks: list[str] | str) -> None:
    svg = curves_chart({"loss": {epoch: 1.0 for epoch in range(1, last + 1)}})
    wanted = ticks if isinstance(ticks, list) else ticks.split()
    assert words(svg)[-1 - len(wanted) : -1] == wanted


@pytest.mark.parametrize("epochs", [9, 10, 99, 250, 1000, 12345])
def test_few_ticks_reach_the_last_epoch(epochs: int) -> None:
    told = [int(word) for word in words(curves_chart({"loss": {1: 0.5, epochs: 0.7}})) if word.isdigit()]
    assert max(told) >= epochs and len(told) <= 10


@pytest.mark.parametrize("curves", [{}, {"loss": {}}, {"loss": {1: 2.0}}, {"loss": {1: 0.0}}])
def test_a_training_that_hardly_began_has_a_chart_too(curves: dict[str, dict[int, float]]) -> None:
    svg = curves_chart(curves, peaks=["loss"])
    assert ElementTree.fromstring(svg).get("height") and "epoch" in words(svg)


def test_a_panel_more_is_a_panel_higher() -> None:
    heights = [
        float(ElementTree.fromstring(curves_chart(dict(list(two)))).get("height", ""))
        for two in ([("a", LOSS)], [("a", LOSS), ("b", IOU)])
    ]
    assert heights[1] - heights[0] == PANEL + BETWEEN


def test_a_value_alone_lies_in_the_middle_of_its_axis() -> None:
    for value in (0.0, 3.7, -2.0):
        found = axis([value], 100, 200)
        assert found.ticks[0] < value < found.ticks[-1] and 100 < found.place(value) < 200
