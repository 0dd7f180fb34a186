"""`fcn-edge calibration`: choose the pictures that INT8 ranges are taken from, and look at such a choice."""

from __future__ import annotations

from pathlib import Path

import click

from calibration.appearance import class_rows
from calibration.image_set import CalibrationSet, drawn, pick_from, pool_of
from calibration.listing import read_list, write_list
from calibration.pages import Cuts, page, survey
from fcn_edge.datasets import KINDS, open_dataset
from fcn_edge.errors import UsageError
from fcn_edge.files import require_writable, whole_file
from fcn_edge.report import print_table

PATH = click.Path(path_type=Path)


@click.group("calibration")
def calibration_command() -> None:
    """Choose calibration pictures, and inspect the choice."""


@calibration_command.command(
    "pick",
    epilog=f"KIND:FOLDER is one of {KINDS}.\n\n"
    "Example: fcn-edge calibration pick camvid:data/camvid --count 64 -o calibration.json",
)
@click.argument("data", metavar="KIND:FOLDER")
@click.option("--split", default="train", show_default=True)
@click.option("--count", type=click.IntRange(1), default=64, show_default=True, help="Pictures to choose.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the pool to choose from.")
@click.option("-o", "--output", "path", type=PATH, required=True, help="The list to write, JSON.")
def pick_command(data: str, split: str, count: int, seed: int, path: Path) -> None:
    """Choose pictures of KIND:FOLDER and write a list of them.

    Of pictures with masks, those that show rare classes, from a pool drawn by lot; of others, by lot. The list holds
    their names and a digest; `fcn-edge export` takes it as --calibration-list.
    """
    dataset = open_dataset(data, split)
    require_writable(path.absolute().parent)
    pool = pool_of(dataset, count, seed)
    pictures = pick_from(pool, count)
    write_list(path, pictures, data, split)
    rows: list[list[str]] = []
    if pool.shares is not None:
        chosen = pool.shares[[pool.indices.index(index) for index in pictures.indices]]
        rows = class_rows(dataset.labels.names, chosen, pool.shares, len(dataset))
    _tell(f"{path}: {_origin(pictures)}", rows)


@calibration_command.command(
    "inspect",
    epilog=f"KIND:FOLDER is one of {KINDS}.\n\n"
    "Example: fcn-edge calibration inspect calibration.json --model bundle -o inspect.html",
)
@click.argument("listed", type=PATH, metavar="LIST")
@click.option("--data", metavar="KIND:FOLDER", help="Where the pictures are now; default: where they were.")
@click.option("-m", "--model", type=PATH, help="A bundle or an fp32 ONNX file, whose ranges to show.")
@click.option(
    "-o", "--output", "path", type=PATH, default=Path("inspect.html"), show_default=True, help="The page to write."
)
def inspect_command(listed: Path, data: str | None, model: Path | None, path: Path) -> None:
    """Show what the pictures of a list hold, as a table and a page.

    The page has classes and brightness beside those of the pictures that the set was chosen from, the first pictures,
    and, with --model, where each method would cut the ranges of its layers.
    """
    pictures = read_list(listed, data)
    if path.exists() and path.samefile(listed):
        raise UsageError(f"wanted another place for the page, found the list {listed}; choose another -o")
    require_writable(path.absolute().parent)
    cuts = _cuts(model, pictures) if model else None
    found = survey(pictures, drawn(pictures.dataset, len(pictures), pictures.seed))
    with whole_file(path) as partial:
        partial.write_text(page(listed.name, _origin(pictures), found, cuts), encoding="utf-8")
    _tell(f"{listed}: {_origin(pictures)}", found.rows())
    click.echo(f"page: {path}")


def _cuts(model: Path, pictures: CalibrationSet) -> Cuts:
    from calibration.model_ranges import cuts, fp32_graph

    path, size_hw = fp32_graph(model)
    return cuts(path, pictures, size_hw)


def _origin(pictures: CalibrationSet) -> str:
    return f"{len(pictures)} of {len(pictures.dataset)} pictures, chosen by {pictures.chosen}, seed {pictures.seed}"


def _tell(title: str, rows: list[list[str]]) -> None:
    if rows:
        print_table(title, rows)
    else:
        click.echo(f"{title}; no labels")
