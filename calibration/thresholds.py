"""Where to cut a histogram of activations, so that eight bits show what matters: one function per method.

Percentiles keep a share of all values; `entropy` is the KL divergence of Migacz ("8-bit Inference with TensorRT",
GTC 2017); `mse` is the cut of least squared error, clipped and rounded values together.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from calibration.ranges import BINS, Histogram, Histograms

LEVELS = 128  # of a non-negative value in symmetric int8, the coarser of the two files
STEP = 8  # bins between two cuts that are tried


def minmax(histogram: Histogram) -> float:
    """The largest value seen."""
    return histogram.maximum


def percentile(histogram: Histogram, share: float) -> float:
    """The value below which `share` percent of all values lie (upper end of its bin), at most the largest one."""
    cumulated = np.cumsum(histogram.counts)
    index = int(np.searchsorted(cumulated, share / 100 * cumulated[-1]))
    return min(histogram.maximum, _edge(histogram, index + 1))


def entropy(histogram: Histogram) -> float:
    """The cut whose quantised distribution is nearest to the clipped one by KL divergence."""
    live = histogram.copy()
    live.counts[0] = max(1, live.counts[1])  # any cut shows zeros exactly, and half of all values are zero
    return _best_cut(live, _divergence)


def mse(histogram: Histogram) -> float:
    """The cut with the least expected squared error."""
    return _best_cut(histogram, _squared_error)


METHODS: dict[str, Callable[[Histogram], float]] = {
    "minmax": minmax,
    "percentile-99.999": partial(percentile, share=99.999),
    "percentile-99.99": partial(percentile, share=99.99),
    "entropy": entropy,
    "mse": mse,
}


def thresholds(histograms: Histograms, method: str) -> dict[str, float]:
    """Layer -> the largest value that its INT8 output can show; positive, for a dead layer 1."""
    return {layer: METHODS[method](histogram) or 1.0 for layer, histogram in histograms.items()}


def _edge(histogram: Histogram, index: int) -> float:
    return histogram.high * index / BINS


def _best_cut(histogram: Histogram, cost: Callable[[NDArray[np.float64], int], float]) -> float:
    """The cut of least cost, from LEVELS bins up to the last that is not empty."""
    counts = histogram.counts.astype(np.float64)
    used = int(np.flatnonzero(counts)[-1]) + 1
    cuts = [*range(LEVELS, used, STEP), used]
    best = min(cuts, key=lambda cut: cost(counts, cut))
    return min(histogram.maximum, _edge(histogram, best))


def _squared_error(counts: NDArray[np.float64], cut: int) -> float:
    values = np.arange(len(counts)) + 0.5  # in bins
    step = cut / (LEVELS - 1)
    shown = np.clip(np.round(values / step), 0, LEVELS - 1) * step
    return float((counts * (values - shown) ** 2).sum())


def _divergence(counts: NDArray[np.float64], cut: int) -> float:
    """KL(clipped || quantised), both as distributions over the bins below `cut`."""
    clipped = counts[:cut].copy()
    clipped[-1] += counts[cut:].sum()
    level = np.arange(cut) * LEVELS // cut
    occupied = counts[:cut] > 0
    mass = np.bincount(level, counts[:cut], LEVELS)
    bins = np.bincount(level, occupied, LEVELS)
    spread = np.where(occupied, (mass / np.maximum(bins, 1))[level], 0)
    p, q = clipped / clipped.sum(), spread / max(spread.sum(), 1e-30)
    told = p > 0
    return float((p[told] * np.log(p[told] / np.maximum(q[told], 1e-12))).sum())
