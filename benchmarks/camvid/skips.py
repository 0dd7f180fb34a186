"""What the skips bring, the paper's claim: fcn32s, fcn16s, fcn8s and fcn4s, all from nothing, on one budget.

.venv/bin/python -m benchmarks.camvid.skips camvid:PATH/TO/camvid -o runs/skips --seeds 0,1

Coarse maps fail at borders, so mean IoU is told within each of 1 to 20 pixels of one too, as in Kraehenbuehl and
Koltun, NIPS 2011, section 5. What is trained in the folder is taken, and what was broken off goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import cv2
import numpy as np
import torch

from benchmarks.camvid.band_chart import band_chart
from benchmarks.camvid.runs import evaluated, seeds_of, spread, train
from benchmarks.told import facts, markdown
from fcn_edge.chart_png import picture_of_chart
from fcn_edge.datasets import Dataset, labelled_picture, open_dataset
from fcn_edge.files import write_json
from fcn_edge.labels import VOID
from fcn_edge.metrics import confusion, scores_of
from fcn_edge.progress import tracked
from fcn_edge.scoring import boundary_band
from fcn_edge.training.checkpoint import load_checkpoint
from fcn_edge.training.evaluate import CheckpointSession

RESULTS = Path(__file__).parents[1] / "results"
VARIANTS = ("fcn32s", "fcn16s", "fcn8s", "fcn4s")
# Small crops of many pictures: 18 minutes of one thread, where whole pictures would take an hour and a half.
BUDGET = ["--crop", "192x256", "--batch-size", "8", "--workers", "0", "--validate-every", "10"]
WIDEST = 20  # pixels
TOLD = (1, 3, 10)  # widths of a band that the table tells

Run = tuple[str, int]  # variant, seed


@click.command()
@click.argument("data")
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), default=Path("runs/skips"))
@click.option("--seeds", default="0,1", show_default=True)
@click.option("--epochs", default=80, show_default=True)
@click.option("--jobs", default=2, show_default=True, help="Trainings at a time, a thread each.")
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS)
def main(data: str, folder: Path, seeds: str, epochs: int, jobs: int, results: Path) -> None:
    """Train every variant with every seed, score it on val, print the table, draw the bands."""
    flags = [*BUDGET, "--epochs", str(epochs)]
    runs = {(variant, seed): folder / f"{variant}-{seed}" for seed in seeds_of(seeds) for variant in VARIANTS}

    def trained(run: Run) -> None:
        train(data, runs[run], [*flags, "--variant", run[0], "--seed", str(run[1])], threads=1)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(trained, runs))
    mean_iou = {run: float(evaluated(path, data, "val")["mean_iou"]) for run, path in runs.items()}
    bands = {run: bands_of(path / "best.safetensors", open_dataset(data, "val")) for run, path in runs.items()}
    numbers = [
        {"variant": run[0], "seed": run[1], "mean_iou": mean_iou[run], "within_pixels": bands[run]} for run in runs
    ]
    write_json(results / "skips.json", {**facts(), "flags": flags, "runs": numbers})
    curves = {variant: mean_curve([bands[run] for run in runs if run[0] == variant]) for variant in VARIANTS}
    cv2.imwrite(str(results / "skips.png"), picture_of_chart(band_chart(curves)))
    print(table(mean_iou, bands))


def bands_of(checkpoint: Path, dataset: Dataset) -> list[float]:
    """Mean IoU within 1, 2, ... WIDEST pixels of a border in the truth."""
    torch.set_num_threads(1)
    session = CheckpointSession(load_checkpoint(checkpoint))
    size = len(dataset.labels)
    counts = np.zeros((WIDEST, size, size), np.int64)
    for index in tracked(range(len(dataset)), f"bands of {checkpoint.parent.name}", len(dataset)):
        image, truth = labelled_picture(dataset, index)
        mask = session.segment(image)
        for width in range(1, WIDEST + 1):
            inside = np.where(boundary_band(truth, width), truth, np.uint8(VOID))
            counts[width - 1] += confusion(inside, mask, size)
    return [scores_of(of_band, dataset.labels.names).mean_iou for of_band in counts]


def mean_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    return [float(value) for value in np.mean(curves, axis=0)]


def table(mean_iou: Mapping[Run, float], bands: Mapping[Run, Sequence[float]]) -> str:
    """Markdown: a row per variant, its mean over the seeds and its spread."""
    rows = [["%", "mean IoU", *(f"within {width} px of a border" for width in TOLD)]]
    for variant in VARIANTS:
        seeds = [run for run in mean_iou if run[0] == variant]
        within = [spread([bands[run][width - 1] for run in seeds]) for width in TOLD]
        rows.append([variant, spread([mean_iou[run] for run in seeds]), *within])
    return markdown(rows)


if __name__ == "__main__":
    main()
