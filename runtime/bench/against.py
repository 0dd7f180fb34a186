"""A model now, against its card: faster, slower or the same, and what else has changed since."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fcn_edge.errors import ModelError, printable
from runtime.bench import yardstick
from runtime.bench.again import MODEL
from runtime.bench.card import OF_MACHINES, Card, Identity, installed_libraries
from runtime.bench.ratios import Blocks, Interval, is_different, median_ms, ratio_of_runs
from runtime.bench.spells import Measured
from runtime.engines import DEVICES
from runtime.machine import machine

SCHEMA_VERSION = 1

# Runs of one model on one machine differ by more than their spells show: where memory came to lie, how warm it is.
RUNS_APART = 0.02
# No two programs slow down quite alike: where the yardstick took 24 times as long, a model took 18 times; that is a
# tenth of the logarithm, and a quarter is allowed for.
UNLIKE = 0.25
TELLS = 0.07  # an interval within this to either side of 1 tells that nothing changed; a wider one tells nothing


@dataclass(frozen=True)
class Where:
    """What `machine` does not know: the session's device, and the machine's state while it was measured."""

    device: str
    state: Mapping[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        """Which processor or GPU, and a Jetson's power mode."""
        _, place, *_ = [*self.device.split(", "), ""]
        return {"device": place, "power mode": self.state.get("power_mode")}


@dataclass(frozen=True)
class Outcome:
    """`ratio`, which the verdict is of, is the time of a frame now over that on the card, `machine_ratio` the same of
    the yardstick; the former is divided by the latter, spell by spell.

    `machine_ratio` is None where it says nothing: on a machine of another kind, with another numpy, of a GPU's engine.
    """

    ratio: Interval
    then_ms: Interval
    now_ms: Interval
    machine_ratio: Interval | None
    allowance: float  # in the interval of `ratio`, beside what the spells show: a fraction to either side
    is_same_kind: bool  # of machine
    changes: tuple[str, ...]  # of machine and libraries, in words
    date: str  # of the card
    state: Mapping[str, Any]  # of the machine now, as a result's `state["during"]`

    @property
    def verdict(self) -> str:
        """A word, or two."""
        if is_different(self.ratio):
            return "slower" if self.ratio.value > 1 else "faster"
        is_near = 1 / (1 + TELLS) <= self.ratio.low and self.ratio.high <= 1 + TELLS
        return "the same" if is_near else "cannot tell"

    def to_json(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "verdict": self.verdict,
            "time_over_cards": self.ratio.to_json(),
            "then_ms": self.then_ms.to_json(),
            "now_ms": self.now_ms.to_json(),
            "machine_over_then": self.machine_ratio.to_json() if self.machine_ratio else None,
            "allowance": self.allowance,
            "same_kind_of_machine": self.is_same_kind,
            "changes": list(self.changes),
            "card_date": self.date,
            "state": dict(self.state),
        }


def outcome(card: Card, now: Measured, where: Where) -> Outcome:
    """Of `again.spells_of` the card's model.

    The interval holds the spread of the spells of both runs, RUNS_APART, and UNLIKE of what the machine changed by.
    """
    spells, yards = now.spells_ms[MODEL], now.spells_ms[yardstick.NAME]
    changes = _machine_changes(card, where)
    is_same_kind = not changes
    if is_same_kind and _has_yardstick(card):
        machine_ratio = ratio_of_runs(yards, card.yardstick_ms)
        shift = abs(math.log(machine_ratio.value))
        allowance = RUNS_APART + math.expm1(UNLIKE * shift)
        now_relative, then_relative = _relative(spells, yards), _relative(card.spells_ms, card.yardstick_ms)
        ratio = ratio_of_runs(now_relative, then_relative, allowance)
    else:
        machine_ratio, allowance = None, RUNS_APART
        ratio = ratio_of_runs(spells, card.spells_ms, allowance)
    ends = median_ms(card.spells_ms), median_ms(spells)
    changes += _library_changes(card)
    return Outcome(ratio, *ends, machine_ratio, allowance, is_same_kind, tuple(changes), card.result.date, where.state)


def _relative(spells: Sequence[Blocks], yards: Sequence[Blocks]) -> list[list[float]]:
    """Each block's time over that of the yardstick in the same round."""
    return [[block / yard for block, yard in zip(*pair, strict=True)] for pair in zip(spells, yards, strict=True)]


def require_same_model(card: Card, found: Identity) -> None:
    """Raises ModelError for another file than the card's."""
    wanted = card.model
    if found.onnx_sha256 != wanted.onnx_sha256:
        raise ModelError(
            f"{found.name}: wanted the model of the card, {wanted.name} with sha256 {wanted.onnx_sha256[:12]}, found "
            f"{found.onnx_sha256[:12]}; give that model, or --allow-other-model"
        )


def require_not_slower(result: Outcome, percent: float) -> None:
    """Raises ModelError where even the interval's lower end is slower by more than so much."""
    if result.ratio.low > 1 + percent / 100:
        raise ModelError(
            f"wanted a frame to take at most {percent:g} % longer than on the card, found {result.ratio.told()} times "
            "as long; look at what changed, or make a new card with --card"
        )


def _has_yardstick(card: Card) -> bool:
    """The same computation, which numpy's version is part of, and one that the model's engine has to do with."""
    numpy = installed_libraries().get("numpy")
    is_same = card.yardstick_version == yardstick.VERSION and card.libraries.get("numpy") == numpy
    return is_same and DEVICES.get(card.served.engine) == "CPU"


def _library_changes(card: Card) -> list[str]:
    return _differences(card.libraries, installed_libraries())


def _machine_changes(card: Card, where: Where) -> list[str]:
    then, now = card.result.machine, machine()
    machines = ({name: facts.get(name) for name in OF_MACHINES} for facts in (then, now))
    before = Where(card.result.device, card.result.state.get("during", {}))
    places = (before.facts, where.facts)
    return _differences(*({**one, **place} for one, place in zip(machines, places, strict=True)))


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} {_told(then.get(name))} then, {_told(now.get(name))} now"
        for name in [*then, *sorted(now.keys() - then.keys())]
        if then.get(name) != now.get(name)
    ]


def _told(fact: Any) -> str:
    """Of a card, which is anybody's file."""
    if fact is None:
        return "none"
    return printable(" ".join(map(str, fact)) if isinstance(fact, list) else str(fact))
