"""runtime.bench.interleaved: models in turns."""

from __future__ import annotations

import numpy as np
import pytest

import runtime.bench.interleaved
from runtime.bench.interleaved import interleaved

FRAME = np.zeros((4, 6, 3), np.uint8)


def test_models_are_measured_in_turns_after_a_warm_up() -> None:
    """So that whoever else uses the machine disturbs all alike."""
    seen: list[str] = []
    segments = {name: lambda frame, name=name: seen.append(name) or frame[..., 0] for name in "ab"}
    rounds = interleaved(segments, FRAME, rounds=3, frames=2)
    assert "".join(seen) == "aabb" + 3 * "aabb"
    assert {name: len(medians) for name, medians in rounds.items()} == {"a": 3, "b": 3}


def test_each_round_tells_the_median_of_its_frames_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    durations = iter([9, 9, 9, *(0.001, 0.002, 0.5), *(0.003, 0.004, 0.001)])

    def segment(frame: np.ndarray) -> np.ndarray:
        clock[0] += next(durations)
        return frame[..., 0]

    monkeypatch.setattr(runtime.bench.interleaved, "perf_counter", lambda: clock[0])
    assert interleaved({"a": segment}, FRAME, rounds=2, frames=3) == {"a": [pytest.approx(2.0), pytest.approx(3.0)]}
