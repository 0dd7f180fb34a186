"""CamVid from nothing to scored files, by the commands of the README: each class, several seeds, the curve, the cost.

.venv/bin/python -m benchmarks.camvid.train camvid:PATH/TO/camvid -o runs/accurate --seeds 0,1

Seed 0 is trained in runs/accurate, seed 1 in runs/accurate-seed1; what is trained there is taken, and what was broken
off goes on. `--trained` takes it alone.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.camvid.runs import (
    evaluated,
    fcn_edge,
    is_trained,
    processor_minutes,
    seeds_of,
    spread,
    timed_train,
)
from benchmarks.told import facts, markdown
from fcn_edge.files import write_json
from fcn_edge.report import HEADLINES
from fcn_edge.training.checkpoint import Checkpoint, load_checkpoint
from fcn_edge.training.cli import train_command
from fcn_edge.training.options import settings_of
from fcn_edge.training.recipe import read_recipe
from fcn_edge.training.segmentation import parameter_count

RESULTS = Path(__file__).parents[1] / "results"
RECIPE = "accurate"
FLAGS = ["--recipe", RECIPE, "--max-minutes", "112"]
SIZE_HW = (360, 480)
SIZE = "x".join(map(str, SIZE_HW))


@click.command()
@click.argument("data")
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), default=Path("runs/accurate"))
@click.option("--seeds", default="0,1", show_default=True)
@click.option("--split", "splits", multiple=True, default=["val"], show_default=True, help="To score on; repeat it.")
@click.option("--trained", is_flag=True, help="Train nothing.")
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS)
@click.argument("flags", nargs=-1)
def main(
    data: str, folder: Path, seeds: str, splits: tuple[str, ...], trained: bool, results: Path, flags: tuple[str, ...]
) -> None:
    """Train each seed, score it, export the first, score its files. What follows -- goes to `fcn-edge train` too."""
    runs = {seed: _run_of(folder, seed) for seed in seeds_of(seeds)}
    for seed, run in runs.items():
        _train(data, run, [*FLAGS, *flags, "--seed", str(seed)], trained=trained)
        if not flags:
            require_recipe(run, seed)
    first = next(iter(runs.values()))
    result = {
        **facts(),
        "commands": _commands(flags),
        "cost": {seed: _cost(run) for seed, run in runs.items()},
        "curves": {seed: evaluated(run, data, "val")["curves"] for seed, run in runs.items()},
        "scores": {split: [_scores(evaluated(run, data, split)) for run in runs.values()] for split in splits},
        **_exported(first, data),
    }
    write_json(results / "camvid.json", result)
    shutil.copy(first / "curves.png", results / "camvid.png")
    print(*(_told(split, scores) for split, scores in result["scores"].items()), sep="\n\n")
    print("\n" + _files(result["artifacts"]), _costs(result["cost"]), sep="\n\n")


def _train(data: str, run: Path, flags: Sequence[str], *, trained: bool) -> None:
    if trained and not is_trained(run):
        raise click.UsageError(f"wanted a training to its end, found none in {run}; leave --trained out")
    timed_train(data, run, flags)


def _exported(run: Path, data: str) -> dict[str, Any]:
    """What the bundle's report holds."""
    bundle = run.with_name(f"{run.name}-bundle")
    if not bundle.exists():
        fcn_edge("export", run / "best.safetensors", "-o", bundle, "--size", SIZE, "--data", data)
    report = json.loads((bundle / "report.json").read_text(encoding="utf-8"))
    return {name: report[name] for name in ("artifacts", "contests", "sensitivity")}


def _run_of(folder: Path, seed: int) -> Path:
    return folder.with_name(f"{folder.name}-seed{seed}") if seed else folder


def _commands(flags: Sequence[str]) -> list[str]:
    run, data = "runs/accurate", "camvid:data/camvid"
    return [
        " ".join([f"fcn-edge train {data} -o {run}", *FLAGS, *flags]),
        f"fcn-edge export {run}/best.safetensors -o {run}-bundle --size {SIZE} --data {data}",
    ]


def require_recipe(run: Path, seed: int) -> None:
    """A run that was trained by hand may have been trained otherwise."""
    wanted = read_recipe(RECIPE, settings_of(click.Context(train_command)))
    found = json.loads((run / "config.json").read_text(encoding="utf-8"))
    for name, value in {**wanted, "seed": seed}.items():
        value = list(map(int, value.split("x"))) if name == "crop_hw" else value
        if found.get(name, value) != value:  # it may be of before there was such a setting
            raise click.UsageError(f"wanted a training by {RECIPE}, {name} {value}, found {found[name]} in {run}")


def _scores(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    names = (*(key for key, _ in HEADLINES), "per_class_iou", "border")
    return {"pictures": len(evaluation["mean_iou_of_pictures"]), **{name: evaluation[name] for name in names}}


def _cost(run: Path) -> dict[str, Any]:
    best = load_checkpoint(run / "best.safetensors")
    last = torch.load(run / "last.ckpt", map_location="cpu", weights_only=False, mmap=True)
    return {
        "weights": parameter_count(best.network),
        "operations": _operations(best),
        "epochs": last["epochs_done"],
        "best_epoch": best.provenance["epoch"],
        "steps": last["global_step"],
        "minutes": last["elapsed_s"] / 60,
        "processor_minutes": processor_minutes(run),
    }


def _operations(checkpoint: Checkpoint) -> int:
    """Multiplications and additions of a frame."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        checkpoint.network(torch.zeros(1, 3, *SIZE_HW))
    return int(counter.get_total_flops())


def _told(split: str, seeds: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: each score in percent, its mean over the seeds and its spread."""
    rows = [[f"CamVid {split}, {seeds[0]['pictures']} pictures, {len(seeds)} seeds, %", "mean (least - largest)"]]
    rows += [[told, spread([one[key] for one in seeds])] for key, told in HEADLINES]
    pixels = seeds[0]["border"]["pixels"]
    rows.append([f"mean IoU within {pixels} pixels of a border", spread([one["border"]["mean_iou"] for one in seeds])])
    for name in seeds[0]["per_class_iou"]:
        rows.append([name, spread([one["per_class_iou"][name] for one in seeds])])
    return markdown(rows)


def _files(artifacts: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: a column per file of the first seed's bundle."""
    shown = {
        "mean IoU": "mean_iou",
        "lost": "mean_iou_drop",
        "masks that agree": "agreement",
        "the same at borders": "boundary_agreement",
    }
    rows = [["val, %", *artifacts]]
    rows += [[told, *(f"{100 * one[key]:.2f}" for one in artifacts.values())] for told, key in shown.items()]
    for name in next(iter(artifacts.values()))["per_class_iou"]:
        rows.append([name, *(spread([one["per_class_iou"][name]]) for one in artifacts.values())])
    return markdown(rows)


def _costs(costs: Mapping[int, Mapping[str, Any]]) -> str:
    rows = [["seed", "epochs", "the best", "steps", "minutes", "processor minutes"]]
    for seed, one in costs.items():
        used = one["processor_minutes"]
        minutes = [f"{one['minutes']:.0f}", "-" if used is None else f"{used:.0f}"]
        rows.append([str(seed), *(str(one[key]) for key in ("epochs", "best_epoch", "steps")), *minutes])
    first = next(iter(costs.values()))
    size = f"{first['weights']:,} weights, {first['operations'] / 1e9:.1f} G operations a frame of {SIZE}"
    return f"{size}\n\n{markdown(rows)}"


if __name__ == "__main__":
    main()
