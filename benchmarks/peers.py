"""Latency on CPUs: what people use today, on the same weights and the same frame, against our files, in one run.

.venv/bin/python -m benchmarks.peers runs/edge/best.safetensors camvid:PATH/TO/camvid --size 360x480
.venv/bin/python -m benchmarks.peers full synthetic: --size 352x480   # random weights, width 1, fc_dim 4096

Peers are torch eager and compiled, and a plain export on onnxruntime, OpenVINO and OpenCV's DNN. Each mask is compared
with torch eager's, so that whoever computes something else is seen; a peer that fails is told with its error.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.exported import PLAIN, RANDOM, checkpoint_of, exported, kind_of
from benchmarks.processors import cores, threads
from benchmarks.told import facts, spread
from fcn_edge.datasets import open_dataset
from fcn_edge.errors import first_line
from fcn_edge.files import write_json
from fcn_edge.images import fit_frame
from fcn_edge.options import SIZE
from fcn_edge.training.checkpoint import Checkpoint
from fcn_edge.training.evaluate import CheckpointSession
from runtime.bench.interleaved import interleaved
from runtime.session import open_session

RESULTS = Path(__file__).parent / "results"
EAGER, COMPILED, OPENCV = "torch eager", "torch.compile", f"OpenCV DNN, {PLAIN}"
REFERENCE = f"onnxruntime, {PLAIN}"
ENGINES = ("onnxruntime", "openvino")

Frame = NDArray[np.uint8]
Infer = Callable[[Frame], Frame]
Open = Callable[[], Infer]


@click.command()
@click.argument("checkpoint")
@click.argument("data")
@click.option("--size", "size_hw", type=SIZE, default="360x480", show_default=True)
@click.option("--rounds", default=9, show_default=True)
@click.option("--frames", default=5, show_default=True, help="Of each in a round; their median counts.")
@click.option("--threads", "counts", default=sorted({1, cores()}), multiple=True, show_default=True)
def main(
    checkpoint: str, data: str, size_hw: tuple[int, int], rounds: int, frames: int, counts: tuple[int, ...]
) -> None:
    """Measure everything in turns, so that a noisy neighbour disturbs all alike; the ratios count."""
    opened = checkpoint_of(checkpoint, data)
    frame = fit_frame(open_dataset(data, "val").image(0), size_hw)
    result: dict[str, Any] = {**facts(), "size_hw": list(size_hw)}
    result |= {"torch": torch.__version__, "opencv": cv2.__version__, "weights": "random"}
    if checkpoint not in RANDOM:
        result["weights"] = Path(checkpoint).name
    with tempfile.TemporaryDirectory() as folder:
        files = exported(opened, data, size_hw, Path(folder))
        for count in counts:
            with threads(count), ExitStack() as stack:
                told = measured(_openers(opened, files, count, stack), frame, rounds, frames)
            result[f"{count} threads"] = told
            print(f"\n{table(told, count)}", flush=True)
    write_json(RESULTS / f"peers.{kind_of(opened)}.json", result)
    print(result["machine"])


def _openers(checkpoint: Checkpoint, files: dict[str, Path], threads: int, stack: ExitStack) -> dict[str, Open]:
    """By name: what opens it, once `threads` of torch and OpenCV are set."""
    openers: dict[str, Open] = {
        EAGER: lambda: CheckpointSession(checkpoint).infer,
        COMPILED: lambda: _compiled(checkpoint),
        OPENCV: lambda: _opencv(files[PLAIN]),
    }
    for engine in ENGINES:
        for name, path in files.items():
            openers[f"{engine}, {name}"] = partial(_session, path, engine, threads, stack)
    return openers


def _session(path: Path, engine: str, threads: int, stack: ExitStack) -> Infer:
    return stack.enter_context(open_session(path, engine, threads=threads)).infer


def _compiled(checkpoint: Checkpoint) -> Infer:
    """Everything from the frame to its mask in one compiled function; compiled at the first frame."""
    torch.compiler.reset()  # what was compiled for another number of threads
    whole = CheckpointSession(checkpoint)

    def masks(frames: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = whole.network(checkpoint.preprocessing.normalise(frames))
        return scores.argmax(1).to(torch.uint8)

    compiled = torch.compile(masks)

    def infer(frame: Frame) -> Frame:
        with torch.inference_mode():
            return np.asarray(compiled(torch.from_numpy(frame)[None])[0])

    return infer


def _opencv(path: Path) -> Infer:
    network = cv2.dnn.readNetFromONNX(str(path))

    def infer(frame: Frame) -> Frame:
        network.setInput(frame[None])
        return np.asarray(network.forward()[0], np.uint8)

    return infer


def measured(openers: Mapping[str, Open], frame: Frame, rounds: int, frames: int) -> dict[str, Any]:
    """name -> median milliseconds, times faster than the reference, the share of pixels that are torch's; or an error.

    The reference and torch eager must not fail.
    """
    told: dict[str, Any] = {name: {} for name in openers}
    infers, masks = {}, {}
    for name, opener in openers.items():
        try:
            infer = opener()
            masks[name] = infer(frame)
            infers[name] = infer
        except Exception as error:  # of a peer, which may raise anything
            told[name] = {"error": first_line(error)}
    times = interleaved(infers, frame, rounds, frames)
    reference = np.array(times[REFERENCE])
    for name, values in times.items():
        ratio = spread(reference / np.array(values))
        row = {"median_ms": median(values), "ratio": ratio["median"], "ratio_p10_p90": [ratio["p10"], ratio["p90"]]}
        told[name] = {**row, "agreement": float((masks[name] == masks[EAGER]).mean())}
    return told


def table(told: Mapping[str, Any], threads: int) -> str:
    """Markdown."""
    lines = [f"| threads: {threads} | ms | against plain fp32 | p10 - p90 | pixels as torch's % |"]
    lines.append("|---|---:|---:|---:|---:|")
    for name, row in told.items():
        if "error" in row:
            lines.append(f"| {name} | {row['error']} | | | |")
            continue
        low, high = row["ratio_p10_p90"]
        cells = [f"{row['median_ms']:.1f}", f"{row['ratio']:.2f}x", f"{low:.2f} - {high:.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} | {100 * row['agreement']:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
