"""Models side by side, measured in turns: what a frame takes, as ratios with intervals, and mean IoU beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets import Dataset
from fcn_edge.datasets.street import draw_street
from fcn_edge.images import fit_frame
from runtime.bench.contestants import Contestant
from runtime.bench.during import during, watched
from runtime.bench.miou import MeanIou, Scorer
from runtime.bench.ratios import Interval, is_different, median_ms, paired_ratio, verdict
from runtime.bench.spells import Measured, Pace, measure
from runtime.latency import summarise

SCHEMA_VERSION = 1
ALIKE = 0.05  # so much slower than another, a fraction, is as fast as it when it is better

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
    frames: int  # that were measured
    p50_ms: Interval
    p99_ms: float | None  # of P99_FROM frames at least
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
            "frames": self.frames,
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
    state: Mapping[str, Any] = field(default_factory=dict)  # of the machine, as a result's `state["during"]`

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
            "state": dict(self.state),
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
    openers = {one.name: one.contestant.opener(one.frame) for one in seen}
    with watched() as watch:
        measured = measure(openers, pace, lambda sofar: _widest(_ratios_to_first(sofar)))
    rows = tuple(_row(one, measured, seen) for one in seen)
    rounds, width = len(measured.spells_ms[rows[0].name][0]), _widest(_ratios_to_first(measured))
    return Comparison(rows, pace, measured.spells, rounds, measured.seconds, width, during(watch))


@dataclass(frozen=True)
class _Seen:
    """A contestant that was opened once, so that nothing is left to choose."""

    contestant: Contestant
    device: str
    model_hw: HW
    frame: NDArray[np.uint8]
    mean_iou: MeanIou | None

    @property
    def name(self) -> str:
        return self.contestant.name


def _first_seen(contestant: Contestant, frame_hw: HW | None, scorer: Scorer) -> _Seen:
    with contestant.open() as session:
        frame = drawn_frame(frame_hw or session.facts.size_hw)
        contestant.require_mask(session, frame)
        known = contestant.settled(session)
        return _Seen(known, session.device, session.facts.size_hw, frame, scorer(known, session))


def drawn_frame(frame_hw: HW) -> NDArray[np.uint8]:
    """A street (H, W, 3) BGR of that size."""
    return fit_frame(draw_street(0)[0], frame_hw)


def _row(one: _Seen, measured: Measured, seen: Sequence[_Seen]) -> Row:
    name, spells = one.name, measured.spells_ms
    others = {other.name: other.mean_iou for other in seen if other is not one}
    ratios = {other: paired_ratio(spells[name], spells[other]) for other in others}
    ahead = [other for other, mean_iou in others.items() if is_behind(ratios[other], one.mean_iou, mean_iou)]
    return Row(
        name,
        one.contestant.engine,
        one.contestant.precision,
        one.device,
        one.model_hw,
        (one.frame.shape[0], one.frame.shape[1]),
        len(measured.frames_ms[name]),
        median_ms(spells[name]),
        summarise(measured.frames_ms[name])["p99"],
        ratios.get(seen[0].name),
        one.mean_iou,
        min(ahead, key=lambda other: median_ms(spells[other]).value, default=None),
    )


def _ratios_to_first(measured: Measured) -> list[Interval]:
    first, *others = measured.spells_ms.values()
    return [paired_ratio(spells, first) for spells in others]


def _widest(ratios: Sequence[Interval]) -> float:
    return max(ratio.half_width for ratio in ratios)


def is_behind(ratio: Interval, own: MeanIou | None, others: MeanIou | None) -> bool:
    """Whether another, over whose time `ratio` is, dominates: it is no slower, no worse, and faster or better.

    Faster is who was seen to be, no slower who is within ALIKE by the whole interval; better is who is it in hundredths
    of a point, on the same pictures.
    """
    if own is None or others is None or not own.is_comparable(others):
        return False
    gain = own.shown - others.shown
    is_faster = is_different(ratio) and ratio.value > 1
    is_no_slower = is_faster or ratio.low >= 1 / (1 + ALIKE)
    return is_no_slower and gain <= 0 and (is_faster or gain < 0)
