"""`fcn-edge bench MODEL --card FILE` and `--against FILE`: their options, and what they print."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from fcn_edge.files import json_text, write_json
from fcn_edge.options import NumberRange
from fcn_edge.progress import say
from runtime.bench.again import card_of, contestant_from, identity_of, spells_of
from runtime.bench.against import Outcome, Where, outcome, require_not_slower, require_same_model
from runtime.bench.card import read_card, write_card
from runtime.bench.compare import drawn_frame
from runtime.bench.contestants import Contestant
from runtime.bench.during import during, watched
from runtime.bench.result import BenchResult, now_told
from runtime.bench.spells import Pace
from runtime.bench.told import conditions
from runtime.machine import machine

FILE = click.Path(path_type=Path)
PACE = Pace(limit_s=120.0)  # a slow model takes its time

OPTIONS = (
    click.option(
        "--card",
        type=FILE,
        help="Also keep all that another machine can measure again, as JSON; takes up to two minutes more.",
    ),
    click.option(
        "--against",
        type=FILE,
        metavar="CARD",
        help="Only measure as it says, and tell faster or slower.",
    ),
    click.option("--allow-other-model", is_flag=True, help="With --against: it need not be the card's file."),
    click.option(
        "--fail-if-slower",
        type=NumberRange(0),
        metavar="PERCENT",
        help="With --against: exit code 4 where the 95 % interval lies beyond.",
    ),
)

Command = TypeVar("Command", bound=Callable[..., None])


def card_options(command: Command) -> Command:
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def keep_card(path: Path, contestant: Contestant, frame_hw: tuple[int, int] | None, result: BenchResult) -> None:
    """Measure the spells of a settled contestant, and write its card; raises OutputError."""
    frame = drawn_frame(frame_hw or result.settings.model_hw)
    measured = spells_of(contestant, frame, PACE)
    write_card(path, card_of(contestant, frame, result, measured, PACE))
    say(f"the card is in {path}: {measured.spells} spells in {measured.seconds:.0f} s")


@dataclass(frozen=True)
class AgainstOptions:
    """What was asked for on the command line."""

    card: Path
    allow_other_model: bool
    fail_if_slower: float | None  # percent
    json_path: Path | None  # - for standard output


def bench_against(model: Path, options: AgainstOptions, *, trust_engine: bool) -> None:
    """Measure as the card says, and tell; raises ModelError for another model, or one too slow where that was asked."""
    card = read_card(options.card)
    contestant = contestant_from(card, model, trust_engine=trust_engine)
    if not options.allow_other_model:
        require_same_model(card, identity_of(contestant))
    with contestant.open() as session:
        frame = drawn_frame(card.served.frame_hw)
        contestant.require_mask(session, frame)
        contestant, device = contestant.settled(session), session.device
    with watched() as watch:
        measured = spells_of(contestant, frame, card.pace)
    result = outcome(card, measured, Where(device, during(watch)))
    _tell(result, model, options)
    if options.fail_if_slower is not None:
        require_not_slower(result, options.fail_if_slower)


def _tell(result: Outcome, model: Path, options: AgainstOptions) -> None:
    figures = {"date": now_told(), **result.to_json()}
    if str(options.json_path) == "-":
        click.echo(json_text(figures))
        return
    click.echo(f"{model} against {options.card} of {result.date}: {result.verdict}")
    for line in lines(result):
        click.echo(line)
    if options.json_path:
        write_json(options.json_path, figures)


def lines(result: Outcome) -> list[str]:
    """What the verdict rests on, a sentence each."""
    times = f"a frame takes {result.now_ms.told()} ms, then {result.then_ms.told()} ms"
    if result.machine_ratio:
        fixed = f"a fixed computation takes {result.machine_ratio.told()} times as long as then, on the same cores"
        told = [times, f"{fixed}: that leaves {result.ratio.told()} times as long to the model"]
    else:
        told = [f"{times}: {result.ratio.told()} times as long"]
    kind = "the same" if result.is_same_kind else "another"
    return [
        *told,
        "in brackets 95 % intervals, of the spread between spells; the last allows "
        f"{100 * result.allowance:.1f} % more for what differs between runs",
        f"on a machine of {kind} kind",
        *result.changes,
        *conditions(result.state),
        *_doubts(result),
    ]


def _doubts(result: Outcome) -> list[str]:
    """Two cores that were moved apart made a model of two threads a fifth slower, and no fixed computation at all."""
    if machine()["container"] and result.verdict in ("slower", "faster"):
        return ["in a container, whose host may have moved its cores: --compare with the model of then tells for sure"]
    return []
