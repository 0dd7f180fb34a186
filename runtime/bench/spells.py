"""Measuring in spells: everything is opened anew, and runs in short blocks, in turns and in shuffled order.

Whoever else uses the machine disturbs all alike, and no one sits always behind the same neighbour. What was found is
the affair of `ratios`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

import numpy as np

from fcn_edge.progress import progress
from runtime.bench.ratios import FEWEST, Blocks

FEWEST_ROUNDS = 2  # of a spell
MOST_FRAMES = 1000  # of a block

Step = Callable[[], object]  # one frame
Opener = Callable[[], AbstractContextManager[Step]]


@dataclass(frozen=True)
class Pace:
    """How long to measure."""

    limit_s: float = 60.0
    within: float = 0.03  # of a ratio: enough to choose by
    spells: int = 8  # at least, unless the limit comes first; with fewer, chance makes some intervals too narrow
    rounds: int = 8  # of a spell: fewer where the spells would not fit into the limit
    block_s: float = 0.1  # shorter than what disturbs a machine, longer than what the caches remember
    warmup_s: float = 0.2  # after each opening
    seed: int = 0


@dataclass
class Measured:
    """By name: the block medians of each spell, and the milliseconds of every frame."""

    spells_ms: dict[str, list[Blocks]] = field(default_factory=dict)
    frames_ms: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def spells(self) -> int:
        return min(map(len, self.spells_ms.values()), default=0)


def measure(openers: Mapping[str, Opener], pace: Pace, width: Callable[[Measured], float] | None = None) -> Measured:
    """Spell after spell until `width` of what was measured is within the pace's, or its time is over.

    Without `width` there are as many spells as the pace says at least. There are FEWEST in any case.
    """
    spells = _Spells(openers, pace)
    measured = Measured({name: [] for name in openers}, {name: [] for name in openers})
    started = perf_counter()
    with progress("measuring, spells", None) as step:
        while not _is_enough(measured, pace, width):
            spells.add_one(measured)
            measured.seconds = perf_counter() - started
            step(f"within {100 * width(measured):.1f} %" if width and measured.spells >= FEWEST else "")
    return measured


def _is_enough(measured: Measured, pace: Pace, width: Callable[[Measured], float] | None) -> bool:
    done = measured.spells
    if done < FEWEST:
        return False
    if measured.seconds * (done + 1) / done > pace.limit_s:  # another one would not fit
        return True
    return done >= pace.spells and (width is None or width(measured) <= pace.within)


class _Spells:
    def __init__(self, openers: Mapping[str, Opener], pace: Pace) -> None:
        self._openers, self._pace = openers, pace
        self._chance = np.random.default_rng(pace.seed)
        self._frames: dict[str, int] = {}  # of a block, fixed by the first spell, as are the rounds
        self._rounds = 0

    def add_one(self, measured: Measured) -> None:
        started = perf_counter()
        with ExitStack() as stack:
            steps = {name: stack.enter_context(self._openers[name]()) for name in self._shuffled()}
            for name, step in steps.items():
                frame_s = _warm_up(step, self._pace.warmup_s)
                self._frames.setdefault(name, int(min(max(1, self._pace.block_s / frame_s), MOST_FRAMES)))
            blocks: dict[str, list[float]] = {name: [] for name in steps}
            opened = perf_counter()
            self._round(steps, blocks, measured)
            now = perf_counter()
            self._rounds = self._rounds or self._fitting(opened - started, now - opened)
            for _ in range(self._rounds - 1):
                self._round(steps, blocks, measured)
        for name, medians in blocks.items():
            measured.spells_ms[name].append(tuple(medians))

    def _shuffled(self) -> list[str]:
        names = list(self._openers)
        return [names[index] for index in self._chance.permutation(len(names))]

    def _round(self, steps: Mapping[str, Step], blocks: dict[str, list[float]], measured: Measured) -> None:
        for name in self._shuffled():
            times_ms = _block(steps[name], self._frames[name])
            blocks[name].append(median(times_ms))
            measured.frames_ms[name] += times_ms

    def _fitting(self, open_s: float, round_s: float) -> int:
        """Rounds with which the pace's spells take no longer than its limit."""
        room = self._pace.limit_s / self._pace.spells - open_s
        return int(min(max(FEWEST_ROUNDS, room / round_s), self._pace.rounds))


def _warm_up(step: Step, seconds: float) -> float:
    """What a frame takes when warm, in seconds; of two frames at least, for the first allocates."""
    times_ms = [_timed_ms(step), _timed_ms(step)]
    while sum(times_ms) < 1e3 * seconds:
        times_ms.append(_timed_ms(step))
    return max(median(times_ms[len(times_ms) // 2 :]), 1e-3) / 1e3


def _block(step: Step, frames: int) -> list[float]:
    """A first frame is not counted, unless it is the only one: it finds another model's weights in the caches."""
    if frames > 1:
        step()
    return [_timed_ms(step) for _ in range(frames)]


def _timed_ms(step: Step) -> float:
    started = perf_counter()
    step()
    return 1e3 * (perf_counter() - started)
