"""The paper's full FCN-8s (134 M weights) through the whole export, with 32 calibration pictures: time and peak memory.

.venv/bin/python -m benchmarks.full_size camvid:PATH/TO/camvid

Its weights are random, so its masks mean nothing; its size, its work and its memory are those of a trained one.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

import click
import cv2

from benchmarks.exported import checkpoint_of
from benchmarks.told import facts
from fcn_edge.datasets import open_dataset
from fcn_edge.files import write_json
from fcn_edge.training.checkpoint import save_checkpoint
from fcn_edge.training.segmentation import parameter_count

RESULT = Path(__file__).parent / "results" / "full_size.json"
OPTIONS = "--size 352x480 --calibration-count 32 --calibration-method minmax --allow-drop --no-sensitivity".split()


def _few_pictures(data: str, folder: Path) -> Path:
    """Eight labelled pictures and those that calibrate: how many prove a file does not change what memory it takes."""
    for split, count in (("val", 8), ("train", 32)):
        dataset = open_dataset(data, split)
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
        for index in range(count):
            cv2.imwrite(str(folder / "images" / split / f"{index}.png"), dataset.image(index))
            cv2.imwrite(str(folder / "masks" / split / f"{index}.png"), dataset.mask(index))
    write_json(folder / "labels.json", {"classes": dataset.labels.to_json()})
    return folder


@click.command()
@click.argument("data")
def main(data: str) -> None:
    """Export in a process of its own, whose peak resident memory the system counts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "full.safetensors"
        checkpoint = checkpoint_of("full", data)
        parameters = parameter_count(checkpoint.network)
        save_checkpoint(path, checkpoint)
        few = f"folder:{_few_pictures(data, Path(folder) / 'few')}"
        command = [sys.executable, "-m", "fcn_edge", "export", str(path), "-o", f"{folder}/bundle", "--data", few]
        started = monotonic()
        subprocess.run([*command, *OPTIONS], check=True)
        minutes = (monotonic() - started) / 60
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
    result = {**facts(), "parameters": parameters, "options": OPTIONS}
    write_json(RESULT, {**result, "minutes": round(minutes, 1), "peak_gigabytes": round(peak, 2)})
    print(f"{parameters:,} weights: {minutes:.1f} minutes, at most {peak:.2f} GB; {result['machine']}")


if __name__ == "__main__":
    main()
