"""Latency on CPUs: torch, plain exports and our files, on onnxruntime and OpenVINO, one and two threads, in one run.

.venv/bin/python benchmarks/cpu.py runs/camvid/best.safetensors camvid:PATH/TO/camvid --size 360x480
.venv/bin/python benchmarks/cpu.py full camvid:PATH/TO/camvid --size 352x480   # random weights, width 1, fc_dim 4096

A plain export is what `torch.onnx.export` makes of the network followed by an argmax: batch norm folded, nothing else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import torch
from full_size import full_checkpoint
from numpy.typing import NDArray

from calibration.image_set import pick
from calibration.ranges import observe
from calibration.thresholds import thresholds
from export.onnx_export import onnx_from_checkpoint
from export.prover import Prover, Recipe
from fcn_edge.datasets import open_dataset
from fcn_edge.files import write_json
from fcn_edge.images import fit_frame
from fcn_edge.manifest import ModelFacts
from fcn_edge.options import SIZE
from fcn_edge.scoring import Answers
from fcn_edge.training.checkpoint import Checkpoint, load_checkpoint
from fcn_edge.training.evaluate import CheckpointSession
from runtime.bench import interleaved
from runtime.machine import machine
from runtime.session import open_session

RESULTS = Path(__file__).parent / "results"
REFERENCE = "onnxruntime, plain fp32"
ENGINES = ("onnxruntime", "openvino")
FILES = ("plain fp32", "fp32", "int8-cpu")
CALIBRATION = 8  # pictures: enough for ranges that make realistic numbers

Infer = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@click.command()
@click.argument("checkpoint")
@click.argument("data")
@click.option("--size", "size_hw", type=SIZE, default="360x480")
@click.option("--rounds", default=9)
@click.option("--frames", default=5)
def main(checkpoint: str, data: str, size_hw: tuple[int, int], rounds: int, frames: int) -> None:
    """Measure everything in turns, so that a noisy neighbour disturbs all alike; the ratios count."""
    opened = full_checkpoint(data) if checkpoint == "full" else load_checkpoint(Path(checkpoint))
    frame = fit_frame(open_dataset(data, "val").image(0), size_hw)
    result: dict[str, Any] = {"date": date.today().isoformat(), "machine": machine(), "size_hw": list(size_hw)}
    with tempfile.TemporaryDirectory() as folder:
        files = _export(opened, data, size_hw, Path(folder))
        for threads in (1, 2):
            with ExitStack() as stack:
                infers = _opened(opened, files, threads, stack)
                result[f"{threads} threads"] = _told(interleaved(infers, frame, rounds, frames), threads)
    write_json(RESULTS / f"cpu.{'full' if checkpoint == 'full' else 'edge'}.json", result)
    print(result["machine"])


def _export(checkpoint: Checkpoint, data: str, size_hw: tuple[int, int], folder: Path) -> dict[str, Path]:
    files = {name: folder / f"model.{name.replace(' ', '-')}.onnx" for name in FILES}
    facts = ModelFacts(checkpoint.labels, size_hw, "fp32")
    onnx_from_checkpoint(checkpoint, facts, files["plain fp32"], rewrites=frozenset())
    onnx_from_checkpoint(checkpoint, facts, files["fp32"])
    histograms = list(observe(files["fp32"], pick(open_dataset(data, "train"), CALIBRATION), size_hw))[-1]
    unasked = Answers(checkpoint.labels.names, (), (), None)
    prover = Prover(files["fp32"], facts, open_dataset(data, "val"), unasked, "auto")
    prover.write(Recipe("int8-cpu", thresholds(histograms, "minmax")), files["int8-cpu"])
    return files


def _opened(checkpoint: Checkpoint, files: dict[str, Path], threads: int, stack: ExitStack) -> dict[str, Infer]:
    torch.set_num_threads(threads)
    infers: dict[str, Infer] = {"torch eager": CheckpointSession(checkpoint).infer}
    for engine in ENGINES:
        for name, path in files.items():
            session = stack.enter_context(open_session(path, engine, threads=threads))
            infers[f"{engine}, {name}"] = session.infer
    return infers


def _told(rounds: dict[str, list[float]], threads: int) -> dict[str, Any]:
    """Print a table; name -> median milliseconds, ratio to the reference and its spread over the rounds."""
    reference = np.array(rounds[REFERENCE])
    told = {}
    print(f"\n| threads: {threads} | ms | against plain fp32 | p10 - p90 |\n|---|---:|---:|---:|")
    for name, values in rounds.items():
        ratios = reference / np.array(values)
        low, middle, high = np.percentile(ratios, (10, 50, 90))
        told[name] = {"median_ms": median(values), "ratio": middle, "ratio_p10_p90": [low, high]}
        print(f"| {name} | {median(values):.1f} | {middle:.2f}x | {low:.2f} - {high:.2f} |", flush=True)
    return told


if __name__ == "__main__":
    main()
