"""CamVid from scratch to a scored bundle, by the commands of the README; prints and stores the table that stands there.

.venv/bin/python benchmarks/camvid.py camvid:PATH/TO/camvid -o runs/camvid
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import click

from fcn_edge.files import write_json
from fcn_edge.training.checkpoint import load_checkpoint
from fcn_edge.training.segmentation import parameter_count
from runtime.machine import machine

RESULT = Path(__file__).parent / "results" / "camvid.json"
RECIPE = shlex.split("--epochs 50 --batch-size 4 --learning-rate 1.5e-3 --validate-every 2 --max-minutes 40")
SIZE = "360x480"
COMMANDS = [
    f"fcn-edge train camvid:data/camvid -o runs/camvid {shlex.join(RECIPE)}",
    f"fcn-edge export runs/camvid/best.safetensors -o runs/camvid-bundle --size {SIZE} --data camvid:data/camvid",
]


@click.command()
@click.argument("data")
@click.option("-o", "--output", "run", type=click.Path(path_type=Path), default=Path("runs/camvid"))
@click.option("--trained", is_flag=True, help="The run is there already, trained by the same recipe.")
def main(data: str, run: Path, trained: bool) -> None:
    """Train, export at 360x480, score every file on val."""
    bundle = run.with_name(run.name + "-bundle")
    if not trained:
        _do("train", data, "-o", run, *RECIPE)
    first, last = (run / name for name in ("config.json", "best.safetensors"))
    minutes = (last.stat().st_mtime - first.stat().st_mtime) / 60
    _do("export", run / "best.safetensors", "-o", bundle, "--size", SIZE, "--data", data)
    report = json.loads((bundle / "report.json").read_text(encoding="utf-8"))
    result = {
        "date": date.today().isoformat(),
        "commands": COMMANDS,
        "machine": machine(),
        "training_minutes": round(minutes, 1),
        "parameters": parameter_count(load_checkpoint(run / "best.safetensors").network),
        "pictures_scored": report["pictures_scored"],
        "artifacts": report["artifacts"],
        "contests": report["contests"],
        "sensitivity": report["sensitivity"],
    }
    write_json(RESULT, result)
    print(_table(result))


def _do(*words: object) -> None:
    command = ["fcn-edge", *map(str, words)]
    print(f"$ {shlex.join(command)}", flush=True)
    subprocess.run([sys.executable, "-m", "fcn_edge", *command[1:]], check=True)


def _table(result: dict[str, Any]) -> str:
    """Markdown: the four scores and each class's IoU in percent, a column per artifact."""
    artifacts = result["artifacts"]
    rows = [["", *artifacts], ["---", *("---:" for _ in artifacts)]]
    for key in ("mean_iou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou"):
        rows.append([key.replace("_", " "), *(f"{100 * scores[key]:.2f}" for scores in artifacts.values())])
    for name in next(iter(artifacts.values()))["per_class_iou"]:
        rows.append([name, *(f"{100 * (scores['per_class_iou'][name] or 0):.1f}" for scores in artifacts.values())])
    head = f"{result['parameters']:,} parameters, {result['training_minutes']} minutes, {result['machine']}"
    return "\n".join([head, "", *("| " + " | ".join(row) + " |" for row in rows)])


if __name__ == "__main__":
    main()
