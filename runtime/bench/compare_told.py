"""A comparison for people: the table, the sentences below it, and the picture that one chooses by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from fcn_edge.charts import bar_chart, scatter_chart
from fcn_edge.report import Section
from runtime.bench.compare import Comparison, Row
from runtime.bench.miou import MEASURED
from runtime.bench.ratios import Interval
from runtime.bench.told import conditions


def rows_told(comparison: Comparison) -> list[list[str]]:
    """A table: the header, then a row for each; a column that would tell nothing is left out."""
    has_iou = any(row.mean_iou for row in comparison.rows)
    header = ["model", "served by", "n", "p50 ms", "p99 ms", "time / first"]
    rows = [_row(number, row) for number, row in enumerate(comparison.rows, start=1)]
    if not has_iou:
        return [header, *rows]
    numbers = {row.name: number for number, row in enumerate(comparison.rows, start=1)}
    accuracy = [_accuracy(row, numbers) for row in comparison.rows]
    return [[*header, "mIoU %", "front"], *([*row, *more] for row, more in zip(rows, accuracy, strict=True))]


def _row(number: int, row: Row) -> list[str]:
    ratio = f"{row.ratio.value:.2f} ({_ends(row.ratio)})" if row.ratio else "1"
    p99 = "-" if row.p99_ms is None else f"{row.p99_ms:.2f}"
    return [f"{number} {row.name}", row.served_by, str(row.frames), _p50(row), p99, ratio]


def _p50(row: Row) -> str:
    return f"{row.p50_ms.value:.2f} ({_ends(row.p50_ms)})"


def _accuracy(row: Row, numbers: Mapping[str, int]) -> list[str]:
    """A star marks what was not measured here."""
    if row.mean_iou is None:
        return ["-", "-"]
    star = "" if row.mean_iou.origin == MEASURED else "*"
    return [f"{row.mean_iou.shown:.2f}{star}", f"behind {numbers[row.behind]}" if row.behind else "on it"]


def _ends(interval: Interval) -> str:
    return f"{interval.low:.2f}-{interval.high:.2f}"


def sentences(comparison: Comparison) -> list[str]:
    """What the table means, and how far to trust it."""
    return [*comparison.verdicts(), *doubts(comparison.rows), _measured(comparison), *conditions(comparison.state)]


def doubts(rows: Sequence[Row]) -> list[str]:
    """Why figures that stand side by side may not be compared."""
    known = [row.mean_iou for row in rows if row.mean_iou]
    told = []
    if not all(one.is_comparable(other) for one, other in pairwise(known)):
        told.append("their mean IoUs are of different pictures and cannot be compared: give --data")
    if any(iou.origin != MEASURED for iou in known):
        origins = " and ".join(sorted({iou.origin for iou in known} - {MEASURED}))
        told.append(f"* mean IoU as told by the {origins}; --data measures it here")
    if len({row.frame_hw for row in rows}) > 1:
        told.append("each gets frames of its model's size; --frame gives all the same")
    return told


def _measured(comparison: Comparison) -> str:
    width = 100 * comparison.half_width
    told = f"{comparison.spells} spells of {comparison.rounds} rounds in {comparison.seconds:.0f} s"
    if comparison.is_narrow:
        return f"{told}; 95 % intervals, of ratios {width:.1f} % to either side at most"
    return (
        f"{told}: the time was over before the 95 % intervals, {width:.1f} % to either side of a ratio, were within "
        f"{100 * comparison.pace.within:g} %; a longer --seconds narrows them"
    )


def chart_of(comparison: Comparison) -> str:
    """Latency against mean IoU as SVG, the front joined; who has no mean IoU is not in it."""
    shown = [row for row in comparison.rows if row.mean_iou]
    points = [(row.name, row.p50_ms.value, row.mean_iou.shown) for row in shown if row.mean_iou]
    spans = {row.name: (row.p50_ms.low, row.p50_ms.high) for row in shown}
    front = [row.name for row in shown if row.is_on_front]
    title = "ms a frame, p50; the line is the front"
    return scatter_chart(points, title, "mean IoU %", front=front, spans=spans)


def plot_sections(comparison: Comparison) -> list[Section]:
    """The chart, and below it the table with what it means; latencies alone where nobody tells a mean IoU."""
    words = " ".join(f"{line}." for line in sentences(comparison))
    bars = {row.name: [row.p50_ms.value] for row in comparison.rows}
    has_iou = any(row.mean_iou for row in comparison.rows)
    return [
        Section("Latency against mean IoU", svg=chart_of(comparison))
        if has_iou
        else Section("Latency", svg=bar_chart(bars, ["p50"], " ms")),
        Section("Side by side", words, rows_told(comparison)),
    ]
