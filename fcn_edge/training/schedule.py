"""Learning rate as a function of progress 0..1, and progress from steps or from the clock, whichever is further on."""

from __future__ import annotations

import math

WARM_UP = 0.03  # of a cosine training: batch norm's and Adam's first averages are noise
ONE_CYCLE_RISE = 0.3  # Smith and Topin, "Super-Convergence", 2018: up for about a third, then down
ONE_CYCLE_START = 1 / 25


def learning_rate(schedule: str, progress: float) -> float:
    """The factor on the peak learning rate at `progress`; it ends at 0, unless it is fixed."""
    if schedule == "fixed":
        return 1.0
    if schedule == "cosine":
        start, rise = 0.0, WARM_UP
    else:
        start, rise = ONE_CYCLE_START, ONE_CYCLE_RISE
    if progress < rise:
        return start + (1 - start) * progress / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - rise) / (1 - rise))))


def training_progress(step: int, total_steps: int, elapsed_s: float, limit_s: float | None) -> float:
    """How far a training is.

    With a time limit the schedule still ends properly on a machine too slow for all epochs.
    """
    by_clock = elapsed_s / limit_s if limit_s else 0.0
    return min(1.0, max(step / total_steps, by_clock))
