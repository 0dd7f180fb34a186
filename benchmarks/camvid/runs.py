"""Trainings and evaluations by the commands that users type, each done once: what is there already is taken."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from fcn_edge.files import write_json

COST = "cost.json"  # in a run's folder: the processor time of each start of its training


def seeds_of(text: str) -> list[int]:
    return [int(seed) for seed in text.split(",")]


def fcn_edge(*words: object, threads: int | None = None) -> None:
    """Runs it and tells the command; raises CalledProcessError."""
    command = ["fcn-edge", *map(str, words)]
    print(f"$ {shlex.join(command)}", file=sys.stderr, flush=True)
    environment = os.environ if threads is None else {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run(
        [sys.executable, "-m", "fcn_edge", *command[1:]], check=True, stdout=subprocess.DEVNULL, env=environment
    )


def is_trained(run: Path) -> bool:
    """To its end: the report is written last."""
    return (run / "report.json").exists()


def train(data: str, run: Path, flags: Sequence[str], threads: int | None = None) -> None:
    """A training to its end; goes on with one that was broken off."""
    if not is_trained(run):
        how = ["--resume"] if (run / "last.ckpt").exists() else flags
        fcn_edge("train", data, "-o", run, *how, threads=threads)


def timed_train(data: str, run: Path, flags: Sequence[str]) -> None:
    """As `train`, and adds up the processor time in the run's folder."""
    before = _children_s()
    train(data, run, flags)
    if (used_s := _children_s() - before) > 1:
        earlier = processor_minutes(run) if (run / COST).exists() else 0.0
        write_json(run / COST, {"processor_minutes": (earlier or 0.0) + used_s / 60})


def processor_minutes(run: Path) -> float | None:
    """None of a run that was trained by hand."""
    return float(_json(run / COST)["processor_minutes"]) if (run / COST).exists() else None


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def evaluated(run: Path, data: str, split: str) -> dict[str, Any]:
    """What a report holds of the best checkpoint; that of val is the run's own."""
    folder = run if split == "val" else run / split
    if not (folder / "report.json").exists():
        fcn_edge("eval", run / "best.safetensors", data, "--split", split, "--report", folder)
    return _json(folder / "report.json")


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def spread(values: Sequence[float | None]) -> str:
    """In percent: the mean and, of several, from the least to the largest."""
    known = [100 * value for value in values if value is not None]
    if not known:
        return "-"
    return f"{mean(known):.1f}" + (f" ({min(known):.1f} - {max(known):.1f})" if len(known) > 1 else "")
