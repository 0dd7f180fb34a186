"""Latency samples per stage, and the figures told of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

import numpy as np

PERCENTILES = (50, 90, 95, 99)
PART = "."  # a stage "infer.h2d" is a part of "infer", whose time holds it
P99_FROM = 100  # samples below which a p99 would be the maximum under another name


class Stopwatch:
    """What each step of some work took, in milliseconds: `with watch("encode"): ...`."""

    def __init__(self) -> None:
        self.times_ms: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = perf_counter()
        yield
        self.times_ms[stage] = self.times_ms.get(stage, 0.0) + 1e3 * (perf_counter() - started)


def total_ms(times_ms: Mapping[str, float]) -> float:
    """The sum of the stages; their parts are in them already."""
    return sum(value for stage, value in times_ms.items() if PART not in stage)


def summarise(values_ms: Iterable[float]) -> dict[str, float | None]:
    """n, mean, percentiles (linear between samples) and maximum of at least one sample; a p99 wants 100."""
    values = np.fromiter(values_ms, np.float64)
    figures: dict[str, float | None] = {"n": len(values), "mean": float(values.mean())}
    for percent, value in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True):
        figures[f"p{percent}"] = None if percent >= 99 and len(values) < P99_FROM else float(value)
    return {**figures, "max": float(values.max())}


def latency_rows(summary: Mapping[str, Mapping[str, float | None]]) -> list[list[str]]:
    """A table: the header, then a row of milliseconds per stage."""
    columns = ["mean", *(f"p{percentile}" for percentile in PERCENTILES), "max"]
    rows = [
        [stage, str(int(figures["n"] or 0)), *(_told(figures[column]) for column in columns)]
        for stage, figures in summary.items()
    ]
    return [["stage", "n", *columns], *rows]


def _told(value_ms: float | None) -> str:
    return "-" if value_ms is None else f"{value_ms:.2f}"
