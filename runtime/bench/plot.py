"""The plot of a bench: latency over time, how often each came, where the time goes; with the words of the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from fcn_edge.report import Section
from runtime.bench.histogram_chart import histogram_chart
from runtime.bench.measure import Bench
from runtime.bench.result import TOTAL
from runtime.bench.stage_chart import stage_chart
from runtime.bench.time_chart import time_chart
from runtime.bench.told import lines
from runtime.latency import latency_rows


def plot_sections(bench: Bench) -> Sequence[Section]:
    """For `plot_file`; the charts among them make the picture."""
    result, samples = bench.result, bench.samples
    return [
        Section("Latency", "; ".join(lines(result)), latency_rows(result.stages_ms)),
        Section("Over time", svg=time_chart(samples.came_s, samples.totals_ms)),
        Section("How often", svg=histogram_chart(samples.totals_ms, result.stages_ms[TOTAL])),
        Section("Where the time goes", svg=stage_chart(samples.stages_ms)),
    ]
