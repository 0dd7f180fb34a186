"""runtime.bench.spells: measuring in turns, on a machine that others use too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from runtime.bench.ratios import Interval, is_different, paired_ratio
from runtime.bench.spells import Measured, Pace, measure
from runtime.session import open_session
from tests.runtime.bench.noisy_machine import NoisyMachine

FRAME_MS = 10.0
SHORT = Pace(limit_s=600.0, spells=3, rounds=2, block_s=0.03, warmup_s=0.0)


def ratio_of(measured: Measured) -> Interval:
    return paired_ratio(measured.spells_ms["b"], measured.spells_ms["a"])


def compared(seed: int, ratio: float, patch: pytest.MonkeyPatch, **others: float) -> tuple[Interval, Measured]:
    machine = NoisyMachine(seed, **others).patch(patch)
    openers = {"a": machine.opener(FRAME_MS), "b": machine.opener(ratio * FRAME_MS)}
    measured = measure(openers, Pace(), lambda sofar: ratio_of(sofar).half_width)
    return ratio_of(measured), measured


@pytest.mark.parametrize("others", [{"session": 0.003, "burst": 1.0}, {}, {"session": 0.02, "burst": 2.5}])
@pytest.mark.parametrize("ratio", [1.0, 1.1])
def test_a_ratio_is_in_its_interval_as_often_as_it_says(
    ratio: float, others: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the default pace, which goes on until the interval is narrow. So one model seldom differs from itself."""
    found = [compared(seed, ratio, monkeypatch, **others)[0] for seed in range(200)]
    held = sum(each.low <= ratio <= each.high for each in found)
    assert 0.92 <= held / len(found) <= 0.98
    if ratio == 1.0:
        assert sum(map(is_different, found)) / len(found) <= 0.06
    else:
        assert all(is_different(each) for each in found)


def test_two_runs_of_one_compare_agree_within_their_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [[compared(seed + run, 1.3, monkeypatch)[0] for run in (0, 1000)] for seed in range(50)]
    agree = sum(one.low <= other.high and other.low <= one.high for one, other in pairs)
    assert agree >= 48


class Recorded:
    """Sessions that tell when they are opened, work and are closed; a frame takes as long as its name says."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.events: list[str] = []
        self.now_s = 0.0
        patch.setattr("runtime.bench.spells.perf_counter", lambda: self.now_s)

    def opener(self, name: str, frame_ms: float, open_s: float = 0.0) -> Callable:
        @contextmanager
        def opened() -> Iterator[Callable[[], None]]:
            self.events.append(f"+{name}")
            self.now_s += open_s
            yield lambda: self._frame(name, frame_ms)
            self.events.append(f"-{name}")

        return opened

    def _frame(self, name: str, frame_ms: float) -> None:
        self.events.append(name)
        self.now_s += frame_ms / 1e3

    def blocks(self) -> list[str]:
        """Who worked, a letter for each stretch without a change."""
        names = [event for event in self.events if event[0] not in "+-"]
        return [name for name, before in zip(names, ["", *names[:-1]], strict=True) if name != before]


def test_every_spell_opens_all_anew_and_closes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(monkeypatch)
    measured = measure({name: recorded.opener(name, 10) for name in "ab"}, SHORT)
    doors = [event for event in recorded.events if event[0] in "+-"]
    assert [sorted(doors[start : start + 4]) for start in (0, 4, 8)] == [["+a", "+b", "-a", "-b"]] * 3
    assert len(doors) == 12 and measured.spells == 3


def test_blocks_take_turns_in_an_order_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(monkeypatch)
    pace = Pace(limit_s=600.0, spells=3, rounds=20, block_s=0.03, warmup_s=0.0)
    measured = measure({name: recorded.opener(name, 10) for name in "abc"}, pace)
    assert {len(blocks) for spells in measured.spells_ms.values() for blocks in spells} == {20}
    first = [order for order in zip(*[iter(recorded.blocks())] * 3, strict=False) if len(set(order)) == 3]
    assert len(set(first)) > 2


def test_the_seed_repeats_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = []
    for seed in (1, 1, 2):
        recorded = Recorded(monkeypatch)
        pace = Pace(limit_s=600.0, spells=3, rounds=8, block_s=0.03, warmup_s=0.0, seed=seed)
        measure({name: recorded.opener(name, 10) for name in "abc"}, pace)
        orders.append(recorded.events)
    assert orders[0] == orders[1] != orders[2]


def test_a_block_lasts_about_as_long_whatever_a_frame_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(monkeypatch)
    measured = measure({"fast": recorded.opener("fast", 1), "slow": recorded.opener("slow", 500)}, SHORT)
    blocks = SHORT.spells * SHORT.rounds
    assert {name: len(times) // blocks for name, times in measured.frames_ms.items()} == {"fast": 30, "slow": 1}


def test_the_first_frame_after_a_change_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other model's weights are in the caches then."""
    now_s, last = 0.0, ""

    def opener(name: str) -> Callable:
        @contextmanager
        def opened() -> Iterator[Callable[[], None]]:
            yield lambda: frame(name)

        return opened

    def frame(name: str) -> None:
        nonlocal now_s, last
        now_s += 0.010 if name == last else 0.025
        last = name

    monkeypatch.setattr("runtime.bench.spells.perf_counter", lambda: now_s)
    measured = measure({"a": opener("a"), "b": opener("b")}, SHORT)
    assert {round(value, 6) for times in measured.frames_ms.values() for value in times} == {10.0}


@pytest.mark.parametrize(("narrow_from", "spells"), [(1, 3), (7, 7)])
def test_it_goes_on_until_the_interval_is_narrow(
    narrow_from: int, spells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    openers = {"a": Recorded(monkeypatch).opener("a", 10)}
    measured = measure(openers, SHORT, lambda sofar: 0.02 if sofar.spells >= narrow_from else 0.04)
    assert measured.spells == spells


def test_the_limit_ends_what_does_not_get_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(monkeypatch)
    measured = measure({"a": recorded.opener("a", 10, open_s=1.0)}, Pace(limit_s=20.0), lambda sofar: 1.0)
    assert measured.spells >= 8 and 15 < measured.seconds <= 20


def test_rounds_are_fewer_where_the_spells_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(monkeypatch)
    openers = {name: recorded.opener(name, 400, open_s=0.5) for name in "ab"}
    measured = measure(openers, Pace(limit_s=60.0), lambda sofar: 1.0)
    assert measured.spells >= 8 and measured.seconds <= 62
    assert 2 <= len(measured.spells_ms["a"][0]) < 8


def test_an_interval_needs_three_spells_however_long_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Recorded(monkeypatch)
    assert measure({"a": recorded.opener("a", 5000)}, Pace(limit_s=1.0), lambda sofar: 1.0).spells == 3


def test_a_session_at_rest_takes_nothing_from_the_one_that_works(tiny_bundle: Path) -> None:
    """Threads that wait without sleeping would slow all others of a comparison."""
    frame = np.zeros((64, 96, 3), np.uint8)
    with ExitStack() as stack:
        sessions = [stack.enter_context(open_session(tiny_bundle, name)) for name in ("openvino", "onnxruntime")]
        for session in sessions * 2:
            session.infer(frame)
        began_s = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - began_s < 0.1
