"""runtime.bench.samples and .stability: windows, and whether they agree."""

from __future__ import annotations

from statistics import median

import pytest

from runtime.bench.loops import Answer
from runtime.bench.samples import GPU_SUM, WINDOW_FRAMES, Samples
from runtime.bench.stability import stability


def filled(latencies_ms: list[float], window_s: float = 1.0) -> Samples:
    """Of a closed loop with these latencies."""
    samples, at = Samples(window_s), 0.0
    for latency in latencies_ms:
        at += latency / 1e3
        samples.add(Answer(at, {"infer": latency}, (latency,)))
    return samples


def test_a_window_lasts_its_time_and_tells_its_median() -> None:
    samples = filled([10.0] * 100 + [20.0] * 50 + [500.0] + [10.0] * 60)
    assert samples.windows_ms == [10.0, 20.0, 10.0]


def test_a_slow_models_window_lasts_longer_for_some_frames_must_be_in_it() -> None:
    samples = filled([400.0] * (3 * WINDOW_FRAMES + 5))
    assert samples.windows_ms == [400.0] * 3


def test_frames_dropped_for_a_newer_one_count_in_totals_and_not_in_stages() -> None:
    samples = Samples(1.0)
    samples.add(Answer(1.0, {"wait": 1.0, "infer": 9.0}, (60.0, 10.0)))
    summary = samples.summary()
    assert {stage: row["n"] for stage, row in summary.items()} == {"wait": 1, "infer": 1, "total": 2}
    assert (samples.frames, samples.masks) == (2, 1)
    assert samples.came_s == pytest.approx([0.94, 0.99])


def test_a_frame_is_late_when_the_next_was_due_before_its_mask() -> None:
    samples = Samples(1.0)
    samples.add(Answer(1.0, {"infer": 9.0}, (60.0, 49.0, 51.0)))
    assert samples.late(20) == 2


def test_what_trtexec_calls_latency_is_told_where_the_gpu_tells_its_parts() -> None:
    samples = Samples(1.0)
    parts = {"infer": 7.0, "infer.h2d": 1.0, "infer.compute": 3.0, "infer.d2h": 2.0, "restore": 1.0}
    samples.add(Answer(0.01, parts, (8.0,)))
    assert samples.stages_ms[GPU_SUM] == [6.0]
    assert list(samples.stages_ms) == ["infer", "infer.h2d", "infer.compute", "infer.d2h", GPU_SUM, "restore"]


@pytest.mark.parametrize("parts", [{"infer.d2h": 2.0}, {}])
def test_where_it_tells_less_there_is_no_such_sum(parts: dict[str, float]) -> None:
    samples = Samples(1.0)
    samples.add(Answer(0.01, {"infer": 7.0, **parts}, (8.0,)))
    assert GPU_SUM not in samples.stages_ms


@pytest.mark.parametrize(
    ("windows", "stable", "word"),
    [
        ([], False, "0 of 3 windows"),
        ([4.0, 4.0], False, "2 of 3 windows"),
        ([4.0, 4.2, 4.4], True, "agree within 10.0 %"),
        ([4.1, 5.2, 4.0], False, "4.1, 5.2, 4 ms"),
        ([9.0, 5.0, 4.0, 4.1, 4.0], True, "the last 3 of 5 windows agree within 2.5 %"),
        ([4.0, 4.0, 4.0, 4.0, 5.0], False, "4, 4, 5 ms"),
        ([4.0, 4.0, 4.0, 8.0, 8.0, 8.0], False, "the last 3 of 6 windows have 8 ms, all frames 6"),
    ],
)
def test_three_windows_in_a_row_must_agree_within_a_tenth(windows: list[float], stable: bool, word: str) -> None:
    verdict = stability(windows, median(windows or [4.0]))
    assert verdict.stable == stable and word in verdict.why
