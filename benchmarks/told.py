"""How scripts tell what they measured: where and when, figures of many values, tables as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.machine import machine

Values = Sequence[float] | NDArray[np.float64]


def facts() -> dict[str, Any]:
    """What every file of results begins with: the date, and the machine."""
    return {"date": date.today().isoformat(), "machine": machine()}


def percentiles(values: Values, percents: Sequence[int]) -> dict[str, float]:
    """By their names: p50, p95."""
    found = np.percentile(np.asarray(values, np.float64), percents).tolist()
    return {f"p{percent}": value for percent, value in zip(percents, found, strict=True)}


def spread(ratios: Values) -> dict[str, float]:
    """The median, and what all but a tenth lie above and below."""
    p10, p50, p90 = percentiles(ratios, (10, 50, 90)).values()
    return {"median": p50, "p10": p10, "p90": p90}


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each figure over the rounds, all of which have it."""
    return {name: median(one[name] for one in rounds) for name in rounds[0]}


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head and whose first column is words."""
    head, *body = rows
    lines = [head, ["---", *("---:" for _ in head[1:])], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
