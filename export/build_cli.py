"""`fcn-edge build`: engines for the GPU of this machine, each proved before it is kept.

It needs neither torch nor onnx, and onnxruntime or OpenVINO only to have masks to compare with.
"""

from __future__ import annotations

import math
from pathlib import Path

import click

from export.buildable import ALL, Buildable, buildable
from export.engine_build import PRECISIONS, BuildOptions
from export.engine_proof import Gate, ProvedEngine, engine_rows, proved_engine, require_tensorrt
from export.engine_reference import STREETS, reference_for
from fcn_edge.datasets import KINDS, Dataset, open_dataset
from fcn_edge.errors import ModelError, SourceError, UsageError
from fcn_edge.files import json_text, require_writable
from fcn_edge.options import Names
from fcn_edge.progress import say
from fcn_edge.report import print_table
from runtime.engine_facts import ENGINE_SUFFIX

PATH = click.Path(path_type=Path)


@click.command(
    "build",
    epilog=f"KIND:FOLDER is one of {KINDS}.\n\n"
    "Example: fcn-edge build bundle --precision int8 --data camvid:data/camvid",
)
@click.argument("model", type=PATH)
@click.option(
    "--precision",
    "precisions",
    type=Names((ALL, *PRECISIONS)),
    default=ALL,
    show_default=True,
    help="Some of fp32,fp16,int8; all: those that the bundle holds.",
)
@click.option("--data", metavar="KIND:FOLDER", help="Labelled pictures that prove the engines; default: drawn streets.")
@click.option("--split", default="val", show_default=True)
@click.option(
    "--max-miou-drop",
    type=click.FloatRange(0, 100),
    default=0.5,
    show_default=True,
    help="Points of mean IoU that an engine may lose; more is refused.",
)
@click.option("--allow-drop", is_flag=True, help="Keep engines that lose more.")
@click.option(
    "--workspace", type=click.IntRange(1), metavar="MiB", help="Scratch memory of a kernel; default: no limit."
)
@click.option("--level", type=click.IntRange(0, 5), help="Of optimisation: 0 builds fast, 5 searches long.")
@click.option("--timing-cache", type=PATH, help="File of kernel timings; default: one per TensorRT and GPU.")
@click.option("--no-timing-cache", is_flag=True, help="Measure every kernel anew, and keep nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def build_command(
    model: Path,
    precisions: tuple[str, ...],
    data: str | None,
    split: str,
    max_miou_drop: float,
    allow_drop: bool,
    workspace: int | None,
    level: int | None,
    timing_cache: Path | None,
    no_timing_cache: bool,
    as_json: bool,
) -> None:
    """Build MODEL (a bundle or an ONNX file) into TensorRT engines for this machine's GPU, beside the ONNX files.

    Each engine is opened and compared with the fp32 file on a CPU, or, where no CPU engine is installed, with the
    scores of the export. One that loses more than --max-miou-drop is refused (exit 4); nothing of it is left.
    """
    if math.isnan(max_miou_drop):
        raise UsageError("wanted points of mean IoU as --max-miou-drop, found nan; give 0.5, or what you can afford")
    if timing_cache and no_timing_cache:
        raise UsageError("wanted --timing-cache or --no-timing-cache, found both; leave one out")
    source = buildable(model, precisions)
    pictures = _pictures(data, split)
    require_tensorrt()
    require_writable(source.plainest.absolute().parent)
    reference = reference_for(source, pictures)
    if pictures is None:
        say(f"without --data no accuracy is scored: only masks are compared, on {STREETS} drawn streets")
    options = BuildOptions(workspace, level, timing_cache, not no_timing_cache)
    built, refused = _build(source, options, Gate(reference, max_miou_drop / 100, allow_drop))
    _tell(model, reference.description, built, as_json)
    _raise(refused)


def _pictures(data: str | None, split: str) -> Dataset | None:
    if data is None:
        return None
    dataset = open_dataset(data, split)
    if not len(dataset):
        raise SourceError(f"wanted pictures to prove engines with, found none in {data}; name a split that has some")
    return dataset


def _build(source: Buildable, options: BuildOptions, gate: Gate) -> tuple[list[ProvedEngine], list[ModelError]]:
    """One engine after the other: what one loses is no reason to withhold the next."""
    built: list[ProvedEngine] = []
    refused: list[ModelError] = []
    for onnx in source.files.values():
        try:
            built.append(proved_engine(onnx, onnx.with_suffix(ENGINE_SUFFIX), options, gate))
        except ModelError as error:
            refused.append(error)
    return built, refused


def _raise(refused: list[ModelError]) -> None:
    """The last one as the verb's own failure, those before it as lines."""
    for error in refused[:-1]:
        say(f"refused: {error}")
    if refused:
        raise refused[-1]


def _tell(model: Path, reference: str, built: list[ProvedEngine], as_json: bool) -> None:
    if as_json:
        content = {"model": str(model), "reference": reference, "engines": [engine.to_json() for engine in built]}
        click.echo(json_text(content))
    elif built:
        print_table(f"{model} on {built[0].device}, against {reference}", engine_rows(built))
