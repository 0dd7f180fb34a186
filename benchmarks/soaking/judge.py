"""Whether a soak kept what is promised. A pure function over what was seen, so that it can itself be tested."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import median

from benchmarks.soaking.record import Counted, Held, Sample, Soak

MB = 1e6
FEWEST_CALM = 5  # samples of the second half: a slope of fewer says nothing
REPORT = re.compile(r"^(\d+) of (\d+) frames segmented(.*), [\d.]+ fps$", re.MULTILINE)
EXCEPTIONS = (
    "Traceback (most recent call last)",
    "Exception in thread",
    "our bug",
    "Fatal Python error",
    "never awaited",
)


@dataclass(frozen=True)
class Promises:
    memory_mb_a_minute: float = 1.0  # over the second half, when everything has its room
    more_handles: float = 1.0  # descriptors, and threads, over the second half
    recovery_s: float = 15.0
    look_s: float = 1.0  # between two looks: so much later a recovery may have been seen
    end_s: float = 5.0
    most_in_flight: int = 3  # of one source: one comes, one waits, one is with the model
    least_answers: float = 0.9  # share of the samples at which the page told the counts


@dataclass(frozen=True)
class Finding:
    promise: str
    found: str
    is_kept: bool


def judge(soak: Soak, promises: Promises = Promises()) -> list[Finding]:
    """Every promise, and what was found. Raises ValueError where too little was seen to judge."""
    calm = [sample for sample in _second_half(soak.samples) if sample.is_calm]
    if len({sample.at_s for sample in calm}) < FEWEST_CALM:
        raise ValueError(f"wanted {FEWEST_CALM} calm samples in the second half, found {len(calm)}; soak for longer")
    return [*_held(calm, promises), *_counted(soak, promises), *_recovered(soak, promises), *_ended(soak, promises)]


def _second_half(samples: Sequence[Sample]) -> list[Sample]:
    middle_s = (samples[0].at_s + samples[-1].at_s) / 2 if samples else 0.0
    return [sample for sample in samples if sample.at_s >= middle_s]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """By Theil and Sen: the median of the slopes between all pairs, which a few odd values do not move."""
    return median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x2 != x1)


def growth_a_second(samples: Sequence[Sample], of: Callable[[Held], float]) -> float:
    return slope([(sample.at_s, of(sample.held)) for sample in samples])


def _held(calm: Sequence[Sample], promises: Promises) -> Iterator[Finding]:
    most = promises.memory_mb_a_minute
    grows = 60 * growth_a_second(calm, lambda held: held.own_bytes) / MB
    yield Finding(f"memory grows by less than {most:g} MB a minute", f"{grows:+.2f} MB a minute", grows < most)
    lasted_s = calm[-1].at_s - calm[0].at_s
    for name, of in _HANDLES.items():
        more = lasted_s * growth_a_second(calm, of)
        values = [of(sample.held) for sample in calm]
        found = f"{more:+.1f}, {min(values):.0f} to {max(values):.0f}"
        yield Finding(f"{name} stay as they are", found, abs(more) <= promises.more_handles)


_HANDLES: dict[str, Callable[[Held], float]] = {
    "descriptors": lambda held: held.descriptors,
    "threads": lambda held: held.threads,
}


def _counted(soak: Soak, promises: Promises) -> Iterator[Finding]:
    told = [sample for sample in soak.samples if sample.counts]
    share = len(told) / len(soak.samples)
    yield Finding("the page answers", f"at {share:.0%} of the samples", share >= promises.least_answers)
    lost = [count for sample in told for count in sample.counts.values() if _left(count) != count.in_flight]
    checked = sum(len(sample.counts) for sample in told)
    yield Finding(
        "received = segmented + bad + dropped + in flight", f"{checked} times checked", not lost and checked > 0
    )
    flying = [count.in_flight for sample in told for count in sample.counts.values()]
    few = bool(flying) and min(flying) >= 0 and max(flying) <= promises.most_in_flight
    yield Finding(f"at most {promises.most_in_flight} frames of a source in flight", _range(flying), few)
    back = [name for one, next_ in pairwise(told) for name in next_.counts if _fell(one, next_, name)]
    yield Finding("counts never fall", ", ".join(sorted(set(back))) or "none fell", not back)
    yield _sent(soak, told)


def _left(count: Counted) -> int:
    return count.received - count.segmented - count.bad - count.dropped


def _range(values: Sequence[int]) -> str:
    return f"{min(values)} to {max(values)}" if values else "nothing told"


def _fell(before: Sample, after: Sample, name: str) -> bool:
    one, next_ = before.counts.get(name), after.counts[name]
    return one is not None and (next_.received < one.received or next_.segmented < one.segmented)


def _sent(soak: Soak, told: Sequence[Sample]) -> Finding:
    """What a camera never sent was never received."""
    last = told[-1].counts if told else {}
    pairs = {
        name: (last[name].received - last[name].bad, sent) for name, sent in soak.ending.sent.items() if name in last
    }
    invented = [name for name, (good, sent) in pairs.items() if good > sent]
    found = ", ".join(f"{name} {good} of {sent}" for name, (good, sent) in pairs.items())
    return Finding("no picture comes that was not sent", found, not invented and bool(pairs))


def _recovered(soak: Soak, promises: Promises) -> Iterator[Finding]:
    longest = max(soak.outages, key=lambda outage: outage.seconds, default=None)
    if longest is None:
        yield Finding("something is made to fail", "nothing was", False)
        return
    found = f"{len(soak.outages)} outages, the longest {longest.seconds:.1f} s: {longest.what}, {longest.fault}"
    is_kept = longest.seconds <= promises.recovery_s + promises.look_s
    yield Finding(f"all is well within {promises.recovery_s:g} s of a fault's end", found, is_kept)


def _ended(soak: Soak, promises: Promises) -> Iterator[Finding]:
    ending = soak.ending
    in_time = ending.exit_code == 0 and ending.seconds < promises.end_s
    found = f"exit code {ending.exit_code} after {ending.seconds:.1f} s"
    yield Finding(f"it ends with 0 within {promises.end_s:g} s of a signal", found, in_time)
    bad = [line for line in ending.log.splitlines() if any(word in line for word in EXCEPTIONS)]
    yield Finding("its log tells of no exception", bad[0] if bad else f"{ending.log.count(chr(10))} lines", not bad)
    yield _reported(ending.log)
    torn = [name for name, frames in ending.videos.items() if not frames]
    left = [*torn, *ending.unfinished]
    frames = sum(ending.videos.values())
    found = ", ".join(left) or f"{len(ending.videos)} recordings, {frames} frames"
    yield Finding("all that was recorded can be read", found, not left and frames > 0)


def _reported(log: str) -> Finding:
    """The report's own sum: nothing is in flight at the end."""
    match = REPORT.search(log)
    if not match:
        return Finding("every frame is accounted for at the end", "no report", False)
    segmented, received = int(match[1]), int(match[2])
    others = sum(int(number) for number in re.findall(r", (\d+) (?:bad|dropped)", match[3]))
    found = f"{received} received = {segmented} segmented + {others} bad or dropped"
    return Finding("every frame is accounted for at the end", found, received == segmented + others)
