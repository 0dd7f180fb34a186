"""Where a frame's time goes, as SVG: its stages one behind the other, of all masks and of the slowest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fcn_edge.svg import FONT_PX, WIDTH, drawing, rectangle, swatch, text, width_of
from fcn_edge.svg import colour as colour_of
from runtime.latency import PART

BAR, GAP, SWATCH = 22, 14, 12  # pixels: of a bar's height, between bars, of a colour in the legend
SLOWEST = 0.05  # of all masks

Stages = Mapping[str, Sequence[float]]  # milliseconds of each mask; as many of each stage


def stage_chart(stages_ms: Stages) -> str:
    """Means add up, percentiles do not: so the slow ones are told by the mean of the slowest 5 %, one mask at least."""
    whole = {stage: np.array(values) for stage, values in stages_ms.items() if PART not in stage}
    order = np.argsort(sum(whole.values()))
    slow = order[-max(1, round(SLOWEST * len(order))) :]
    rows = {
        "all masks": {stage: float(values.mean()) for stage, values in whole.items()},
        f"slowest {100 * SLOWEST:g} %": {stage: float(values[slow].mean()) for stage, values in whole.items()},
    }
    legend = SWATCH + 2.0 * GAP
    return drawing(WIDTH, legend + len(rows) * (BAR + GAP), [*_legend(list(whole)), *_bars(rows, legend)])


def _legend(stages: Sequence[str]) -> Iterator[str]:
    x = 1.0
    for number, stage in enumerate(stages):
        yield swatch(x, 1, SWATCH, colour_of(number)) + text(x + SWATCH + 6, SWATCH, stage, "start")
        x += SWATCH + 24 + width_of(stage)


def _bars(rows: Mapping[str, Mapping[str, float]], top: float) -> Iterator[str]:
    left = max(map(width_of, rows)) + 10
    most = max(sum(times.values()) for times in rows.values())
    scale = (WIDTH - left - width_of(f"{most:.1f} ms") - 10) / most
    for place, (name, times) in enumerate(rows.items()):
        x, y = left, top + place * (BAR + GAP)
        yield text(left - 8, y + BAR / 2 + FONT_PX / 3, name, "end")
        for number, value in enumerate(times.values()):
            yield rectangle(x, y, scale * value, BAR, number)
            x += scale * value
        yield text(x + 6, y + BAR / 2 + FONT_PX / 3, f"{sum(times.values()):.1f} ms", "start")
