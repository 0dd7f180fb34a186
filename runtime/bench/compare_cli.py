"""`fcn-edge bench --compare A B ...`: its options, and what it prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from fcn_edge import __version__
from fcn_edge.datasets import Dataset, open_dataset, require_masks
from fcn_edge.files import json_text, write_json
from fcn_edge.progress import say
from fcn_edge.report import print_table
from runtime.bench.compare import Comparison, compare
from runtime.bench.compare_told import doubts, plot_sections, rows_told, sentences
from runtime.bench.contestants import contestant_served, contestants_of
from runtime.bench.plot_file import save_plot
from runtime.bench.result import now_told
from runtime.bench.spells import Pace
from runtime.machine import machine

OPTIONS = (
    click.option("--compare", is_flag=True, help="Measure several models in turns."),
    click.option("--data", metavar="KIND:FOLDER", help="With --compare: labelled pictures that mean IoU is of."),
    click.option("--split", default="val", show_default=True, help="Of --data."),
)

Command = TypeVar("Command", bound=Callable[..., None])


def compare_options(command: Command) -> Command:
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class CompareOptions:
    """What was asked for on the command line."""

    frame_hw: tuple[int, int] | None
    data: str | None
    split: str
    plot: Path | None
    most_s: float
    json_path: Path | None  # - for standard output

    def dataset(self) -> Dataset | None:
        return require_masks(open_dataset(self.data, self.split), self.data) if self.data else None


def compare_models(words: tuple[str, ...], serving: dict[str, Any], options: CompareOptions) -> None:
    """Measure them, print and save what was found; `serving`, as of `open_session`, is for what they leave open."""
    contestants = contestants_of(words, contestant_served(Path(), serving))
    comparison = compare(contestants, Pace(options.most_s), options.frame_hw, options.dataset())
    _tell(comparison, options)


def _tell(comparison: Comparison, options: CompareOptions) -> None:
    here = machine()
    title = f"{len(comparison.rows)} models in turns on {here['processor']}"
    figures = {"date": now_told(), **comparison.to_json(), "doubts": doubts(comparison.rows), "machine": here}
    figures["version"] = __version__
    if str(options.json_path) == "-":
        click.echo(json_text(figures))
    else:
        print_table(title, rows_told(comparison))
        for line in sentences(comparison):
            click.echo(line)
        if options.json_path:
            write_json(options.json_path, figures)
    if options.plot:
        save_plot(options.plot, title, plot_sections(comparison))
        say(f"drawn: {options.plot}")
