"""Cost as work grows: latency and memory over input size and width, and what each further camera costs.

.venv/bin/python -m benchmarks.scaling

Networks have random weights. Every point is measured in a process of its own, in turns; the median over rounds counts.
A law cost = factor * work ** exponent is fitted through the points, with the exponent's 95 % interval.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import cv2

from benchmarks.child import NO_CACHE, figures_of
from benchmarks.exported import OURS, ours, random_checkpoint
from benchmarks.growth.growth import (
    Model,
    cameras_table,
    growths,
    laws_json,
    laws_table,
    models_table,
    side_by_side,
)
from benchmarks.processors import cores
from benchmarks.told import facts, medians
from fcn_edge.datasets import open_dataset
from fcn_edge.files import write_json
from fcn_edge.progress import tracked

RESULT = Path(__file__).parent / "results" / "scaling.json"
DATA = "synthetic:"  # for its classes, and to calibrate on
WIDTH, SIZE_HW = 0.25, (288, 384)  # of the networks whose other measure grows
SIZES_HW = ((192, 256), SIZE_HW, (384, 512), (576, 768), (768, 1024))  # multiples of 32: nothing is padded
WIDTHS = (0.125, WIDTH, 0.5, 1.0)
FC_DIM = 2048  # at width 1; of `fcn-edge train`'s quarter width it makes 512
CAMERAS = (1, 2, 4, 8)

T = TypeVar("T")


@click.command()
@click.option("--engine", default="openvino", show_default=True)
@click.option("--threads", default=cores(), show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--seconds", default=1.5, show_default=True, help="Of each model in a round.")
@click.option("--rate", default=15.0, show_default=True, help="Frames a second of each camera.")
@click.option("--camera-seconds", default=12.0, show_default=True, help="Of each number of cameras.")
@click.option("--points", type=click.IntRange(2), default=5, show_default=True, help="Of each growth, at most.")
def main(
    engine: str, threads: int, rounds: int, seconds: float, rate: float, camera_seconds: float, points: int
) -> None:
    """Print the tables; keep them as JSON and PNG."""
    told: dict[str, Any] = {**facts(), "engine": engine}
    with tempfile.TemporaryDirectory() as folder:
        files = exported(Path(folder), points)
        words = [engine, str(threads), str(seconds)]
        models = in_turns({model: ["model_point", str(path), *words] for model, path in files.items()}, rounds)
        served = ["stream_point", str(files[Model(WIDTH, SIZE_HW, "int8-cpu")]), engine]
        cameras = in_turns({n: [*served, str(n), str(rate), str(camera_seconds)] for n in CAMERAS[:points]}, rounds=1)
    found = growths(models, cameras, WIDTH, SIZE_HW)
    figures = {"models": {str(model): row for model, row in models.items()}, "cameras": cameras}
    write_json(RESULT, {**told, "threads": threads, "rate": rate, **figures, "laws": laws_json(found)})
    cv2.imwrite(str(RESULT.with_suffix(".png")), side_by_side(found), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print(f"{models_table(models)}\n\n{cameras_table(cameras, rate)}\n\n{laws_table(found)}\n{told['machine']}")


def exported(folder: Path, points: int) -> dict[Model, Path]:
    """The first so many sizes at one width and widths at one size, in both precisions."""
    wanted = [(WIDTH, size_hw) for size_hw in SIZES_HW[:points]] + [(width, SIZE_HW) for width in WIDTHS[:points]]
    labels, files = open_dataset(DATA, "val").labels, {}
    for number, (width, size_hw) in enumerate(tracked(dict.fromkeys(wanted), "exporting networks", len(set(wanted)))):
        place = folder / str(number)
        place.mkdir()
        made = ours(random_checkpoint(labels, width, round(FC_DIM * width)), DATA, size_hw, place)
        files.update({Model(width, size_hw, precision): made[precision] for precision in OURS})
    return files


def in_turns(commands: Mapping[T, Sequence[str]], rounds: int) -> dict[T, dict[str, float]]:
    """The median of each figure over rounds of child processes, modules of `benchmarks.growth` with arguments."""
    found: dict[T, list[dict[str, float]]] = {key: [] for key in commands}
    turns = [key for _ in range(rounds) for key in commands]
    for key in tracked(turns, "measuring", len(turns)):
        found[key].append(_child(*commands[key]))
    return {key: medians(rows) for key, rows in found.items()}


def _child(module: str, *words: str) -> dict[str, float]:
    """Without the cache of compiled models: to read it would cost less memory than to compile."""
    return figures_of("-m", f"benchmarks.growth.{module}", *words, XDG_CACHE_HOME=NO_CACHE)


if __name__ == "__main__":
    main()
