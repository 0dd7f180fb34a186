"""The figures of `limits` as Markdown tables and as a chart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import nan
from typing import Any

from benchmarks.roofline.work import INPUT
from benchmarks.told import markdown
from fcn_edge.charts import bar_chart

Rows = Mapping[str, Mapping[str, Any]]


def stages_table(engine: str, stages: Rows, whole: Mapping[str, Any]) -> str:
    """A row per stage, then what the profiler leaves out, then the whole pass by the clock."""
    head = [f"INT8 on {engine}", "GOP (on padding)", "MB", "operations, ms", "bytes, ms", "took, ms", "times the limit"]
    rows = [[name, *_work(row), *_times(row)] for name, row in stages.items()]
    summed_ms = sum(row["ms"] for row in stages.values())
    rows.append(["between them", "", "", "", "", f"{whole['median_ms'] - summed_ms:.2f}", ""])
    limit_ms = whole["stages_limit_ms"]
    longest = f"{whole['operations_limit_ms']:.2f} ({limit_ms:.2f} with the bytes of each stage)"
    factor = f"{whole['factor']['median']:.2f} ({whole['median_ms'] / limit_ms:.2f})"
    rows.append(["**whole pass**", *_work(whole), longest, "", f"{whole['median_ms']:.2f}", factor])
    return markdown([head, *rows])


def _work(row: Mapping[str, Any]) -> list[str]:
    operations = row["int8_operations"] + row["float_operations"]
    padding = f" ({1e-9 * row['padding_operations']:.2f})" if row["padding_operations"] else ""
    return [f"{1e-9 * operations:.2f}{padding}", f"{1e-6 * row['bytes_moved']:.1f}"]


def _times(row: Mapping[str, Any]) -> list[str]:
    factor = "" if row["factor"] is None else f"{row['factor']:.1f}"
    return [f"{row['operations_ms']:.2f}", f"{row['bytes_ms']:.2f}", f"{row['ms']:.2f}", factor]


def steps_table(camera_hw: tuple[int, int], steps: Rows) -> str:
    head = [f"around the model, {camera_hw[0]}x{camera_hw[1]}", "MB", "bytes, ms", "took, ms", "times the limit"]
    rows = [
        [name, f"{1e-6 * row['bytes_moved']:.1f}", f"{row['bytes_ms']:.2f}", f"{row['ms']:.2f}", f"{row['factor']:.1f}"]
        for name, row in steps.items()
    ]
    return markdown([head, *rows])


def whole_table(peaks: Rows, models: Rows) -> str:
    """The peaks, with their slowest and fastest round beside the models, then each model."""
    head = ["", "ms", "GOP/s", "times the limit (p10 - p90)", "against plain fp32 (p10 - p90)"]
    rows = []
    for kind, peak in peaks.items():
        speeds = [1e-9 * speed for speed in peak["operations_per_s"]]
        fastest = 1e-9 * peak["fastest_operations_per_s"]
        told = f"{fastest:.0f} (in turns {min(speeds):.0f} - {max(speeds):.0f})"
        rows.append([f"{kind} peak: {peak['convolutions']}", "", told, "1", ""])
    for name, row in models.items():
        speed = 1e-6 * (row["int8_operations"] + row["float_operations"]) / row["median_ms"]
        figures = [f"{row['median_ms']:.1f}", f"{speed:.0f}", _told(row["factor"])]
        rows.append([name, *figures, _told(row["ratio"])])
    return markdown([head, *rows])


def promises_table(promises: Iterable[Mapping[str, Any]]) -> str:
    head = ["promise", "wanted", "reached (p10 - p90)", "the peaks allow", ""]
    rows = [
        [row["promise"], f"{row['wanted']:.1f}", _told(row["reached"]), f"{row['at_limit']:.1f}", _kept(row["kept"])]
        for row in promises
    ]
    return markdown([head, *rows])


def _kept(kept: bool) -> str:
    return "kept" if kept else "**not kept**"


def _told(spread: Mapping[str, float]) -> str:
    return f"{spread['median']:.2f} ({spread['p10']:.2f} - {spread['p90']:.2f})"


def chart(stages: Rows) -> str:
    """SVG: of each stage, what it took beside its limit."""
    rows = {
        name: [row["ms"], max(row["operations_ms"], row["bytes_ms"]) if name != INPUT else nan]
        for name, row in stages.items()
    }
    return bar_chart(rows, ["took", "limit"], " ms")
