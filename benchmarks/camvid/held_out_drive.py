"""How well a training serves a day that it has not seen: train without one drive of CamVid, score on that drive.

CamVid's test pictures are of another drive (Seq05VD) and of the later half of one that train has the earlier half of
(0001TP, at dusk). Here train is cut the same way: `near` lacks the drive 0006R0 and the later half of 0001TP, which are
`far`. What follows `--` goes to `fcn-edge train`.

.venv/bin/python benchmarks/camvid/held_out_drive.py camvid:PATH/TO/camvid -o runs/held-out/paste -- --paste 0.7
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from fcn_edge.datasets import open_dataset
from fcn_edge.datasets.labelled import LabelledFiles
from fcn_edge.files import write_json

DRIVE, SHARED = "0006R0", "0001TP"
# Small crops of many pictures: 12 minutes of one thread, where whole pictures would take half an hour.
SHORT = ["--crop", "192x256", "--batch-size", "8", "--epochs", "30", "--validate-every", "30", "--workers", "0"]


@click.command()
@click.argument("data")
@click.option("-o", "--output", "run", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.argument("flags", nargs=-1)
def main(data: str, run: Path, flags: tuple[str, ...]) -> None:
    """Cut the data, train on `near`, score on `val` and `far`."""
    cut = f"camvid:{_cut(data, run.parent / 'data')}"
    if not (run / "best.safetensors").exists():
        resume = ["--resume"] if (run / "last.ckpt").exists() else [*SHORT, *flags]
        _fcn_edge("train", cut, "--split", "near", "-o", run, *resume)
    scores = {split: _scores(run, cut, split) for split in ("val", "far")}
    write_json(run / "held_out_drive.json", {"flags": [*SHORT, *flags], "scores": scores})
    for split, of_split in scores.items():
        classes = ", ".join(f"{name} {100 * (iou or 0):.1f}" for name, iou in of_split["per_class_iou"].items())
        print(f"{split}: mean IoU {100 * of_split['mean_iou']:.1f}; {classes}")


def _cut(data: str, folder: Path) -> Path:
    """A folder of links into the data: near, far and val."""
    train, val = open_dataset(data, "train"), open_dataset(data, "val")
    assert isinstance(train, LabelledFiles) and isinstance(val, LabelledFiles)
    drives = [path.name.split("_")[0] for path in train.image_paths]
    dusk = [index for index, drive in enumerate(drives) if drive == SHARED]
    far = {index for index, drive in enumerate(drives) if drive == DRIVE} | set(dusk[len(dusk) // 2 :])
    _link(train, set(range(len(train))) - far, folder, "near")
    _link(train, far, folder, "far")
    _link(val, range(len(val)), folder, "val")
    classes = Path(data.partition(":")[2]) / "classes.json"
    if classes.exists():
        (folder / "classes.json").write_bytes(classes.read_bytes())
    return folder


def _link(dataset: LabelledFiles, indices: Iterable[int], folder: Path, split: str) -> None:
    for name, paths in ((split, dataset.image_paths), (f"{split}annot", dataset.mask_paths)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in indices:
            link = folder / name / paths[index].name
            if not link.exists():
                link.symlink_to(paths[index].resolve())


def _scores(run: Path, data: str, split: str) -> dict[str, Any]:
    told = _fcn_edge("eval", run / "best.safetensors", data, "--split", split, "--json")
    return dict(json.loads(told))


def _fcn_edge(*words: object) -> str:
    command = [sys.executable, "-m", "fcn_edge", *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
