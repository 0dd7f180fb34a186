"""Models side by side, measured in turns: what a frame takes, as ratios with intervals, and mean IoU beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets import Dataset
from fcn_edge.datasets.street import draw_street
from fcn_edge.images import fit_frame
from runtime.bench.contestants import Contestant
from runtime.bench.miou import MeanIou, Scorer
from runtime.bench.ratios import Interval, is_different, median_ms, paired_ratio, verdict
from runtime.bench.spells import Measured, Opener, Pace, Step, measure
from runtime.segmenter import Segmenter
from runtime.session_protocol import Session

SCHEMA_VERSION = 1

HW = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """One of those that were compared."""

    name: str
    engine: str
    precision: str
    device: str
    model_hw: HW
    frame_hw: HW
    p50_ms: Interval
    p99_ms: float
    ratio: Interval | None  # its time over that of the first, which has none
    mean_iou: MeanIou | None
    behind: str | None  # who is no slower, no worse, and faster or better: the fastest of those

    @property
    def served_by(self) -> str:
        return f"{self.engine} {self.precision}"

    @property
    def is_on_front(self) -> bool:
        return self.mean_iou is not None and self.behind is None

    def to_json(self) -> dict[str, Any]:
        """With the intervals as objects of value, low, high."""
        iou = self.mean_iou
        return {
            "name": self.name,
            "engine": self.engine,
            "precision": self.precision,
            "device": self.device,
            "model_hw": list(self.model_hw),
            "frame_hw": list(self.frame_hw),
            "p50_ms": self.p50_ms.to_json(),
            "p99_ms": self.p99_ms,
            "time_over_first": self.ratio.to_json() if self.ratio else None,
            "mean_iou": iou.value if iou else None,
            "mean_iou_of": iou.origin if iou else None,
            "on_front": self.is_on_front,
            "behind": self.behind,
        }


@dataclass(frozen=True)
class Comparison:
    """All rows, in the order in which they were named, and how they were measured."""

    rows: tuple[Row, ...]
    pace: Pace
    spells: int
    rounds: int  # of a spell
    seconds: float
    half_width: float  # of the widest ratio's interval, as a fraction

    @property
    def is_narrow(self) -> bool:
        return self.half_width <= self.pace.within

    def to_json(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "models": [row.to_json() for row in self.rows],
            "verdicts": self.verdicts(),
            "pace": asdict(self.pace),
            "spells": self.spells,
            "rounds": self.rounds,
            "seconds": self.seconds,
            "half_width": self.half_width,
            "is_narrow": self.is_narrow,
        }

    def verdicts(self) -> list[str]:
        """Of each against the first."""
        first = self.rows[0].name
        return [verdict(row.name, first, row.ratio) for row in self.rows if row.ratio]


def compare(
    contestants: Sequence[Contestant], pace: Pace, frame_hw: HW | None = None, dataset: Dataset | None = None
) -> Comparison:
    """Raises what keeps one of them from being opened, or from giving a mask.

    Frames have `frame_hw`, or each model's own size. Mean IoU is measured on the dataset or, without one, taken from
    where each was exported.
    """
    scorer = Scorer(dataset)
    seen = [_first_seen(contestant, frame_hw, scorer) for contestant in contestants]
    openers = {one.contestant.name: one.opener for one in seen}
    measured = measure(openers, pace, lambda sofar: _widest(_ratios_to_first(sofar)))
    rows = tuple(_row(one, measured, seen) for one in seen)
    rounds = len(measured.spells_ms[rows[0].name][0])
    return Comparison(rows, pace, measured.spells, rounds, measured.seconds, _widest(_ratios_to_first(measured)))


@dataclass(frozen=True)
class _Seen:
    """A contestant that was opened once, so that nothing is left to choose."""

    contestant: Contestant
    device: str
    model_hw: HW
    frame: NDArray[np.uint8]
    mean_iou: MeanIou | None

    @property
    def opener(self) -> Opener:
        return partial(_opened, self.contestant, self.frame)


def _first_seen(contestant: Contestant, frame_hw: HW | None, scorer: Scorer) -> _Seen:
    with contestant.open() as session:
        frame = drawn_frame(session, frame_hw)
        contestant.require_mask(session, frame)
        known = contestant.settled(session)
        return _Seen(known, session.device, session.facts.size_hw, frame, scorer(known, session))


def drawn_frame(session: Session, frame_hw: HW | None) -> NDArray[np.uint8]:
    """A street (H, W, 3) BGR of that size, or the model's."""
    return fit_frame(draw_street(0)[0], frame_hw or session.facts.size_hw)


@contextmanager
def _opened(contestant: Contestant, frame: NDArray[np.uint8]) -> Iterator[Step]:
    with contestant.open_again() as session:
        yield partial(Segmenter(session), frame)


def _row(one: _Seen, measured: Measured, seen: Sequence[_Seen]) -> Row:
    name, spells = one.contestant.name, measured.spells_ms
    reference = spells[seen[0].contestant.name]
    ahead = [other.contestant.name for other in seen if _is_behind(one, other, spells)]
    return Row(
        name,
        one.contestant.engine,
        one.contestant.precision,
        one.device,
        one.model_hw,
        (one.frame.shape[0], one.frame.shape[1]),
        median_ms(spells[name]),
        measured.percentile_ms(name, 99),
        None if one is seen[0] else paired_ratio(spells[name], reference),
        one.mean_iou,
        min(ahead, key=lambda other: median_ms(spells[other]).value, default=None),
    )


def _ratios_to_first(measured: Measured) -> list[Interval]:
    first, *others = measured.spells_ms.values()
    return [paired_ratio(spells, first) for spells in others]


def _widest(ratios: Sequence[Interval]) -> float:
    return max(ratio.half_width for ratio in ratios)


def _is_behind(one: _Seen, other: _Seen, spells: Mapping[str, Sequence[Sequence[float]]]) -> bool:
    """Whether the other dominates it: faster is who was seen to be, better is who is it in hundredths of a point."""
    if one.mean_iou is None or other.mean_iou is None or one is other:
        return False
    ratio = paired_ratio(spells[one.contestant.name], spells[other.contestant.name])
    pace = ratio.value - 1 if is_different(ratio) else 0.0  # above 0 where it is the slower one
    gain = one.mean_iou.shown - other.mean_iou.shown
    return pace >= 0 and gain <= 0 and (pace > 0 or gain < 0)
