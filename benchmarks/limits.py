"""How near a frame comes to what this machine can do at most, per stage and as a whole, and the design's ratios.

.venv/bin/python -m benchmarks.limits runs/edge/best.safetensors camvid:PATH/TO/camvid --size 360x480
.venv/bin/python -m benchmarks.limits full synthetic: --size 352x480      # random weights, width 1, fc_dim 4096

The limit of a stage is the longer of two times: its operations over the measured peak (of int8 where it is quantised,
else of float32), and its bytes over the bandwidth measured at their size. A peak is the fastest that was seen, alone
and in turns with the models: whatever disturbs a peak would flatter the models. Stages come from the engines'
profilers, whole passes from the clock.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.exported import PLAIN, checkpoint_of, exported, kind_of
from benchmarks.processors import cores
from benchmarks.roofline.frame_steps import frame_steps
from benchmarks.roofline.limit import Machine
from benchmarks.roofline.peaks import Dense, bandwidth, best_dense
from benchmarks.roofline.profiles import PROFILERS, Nodes, per_stage
from benchmarks.roofline.tables import chart, promises_table, stages_table, steps_table, whole_table
from benchmarks.roofline.work import Graph, Work
from benchmarks.told import facts, spread
from fcn_edge.chart_png import picture_of_chart
from fcn_edge.datasets import open_dataset
from fcn_edge.files import write_json
from fcn_edge.images import fit_frame
from fcn_edge.options import SIZE
from runtime.bench.interleaved import interleaved
from runtime.session import open_session

RESULTS = Path(__file__).parent / "results"
REFERENCE = f"onnxruntime, {PLAIN}"
QUANTISED = {engine: f"{engine}, int8-cpu" for engine in ("openvino", "onnxruntime")}
MODELS = (REFERENCE, "openvino, fp32", *QUANTISED.values())

# The design's section 5 (of a CPU with AMX), and how near the limit OpenVINO's INT8 shall come.
RATIOS = {"edge": {"openvino": 6.0, "onnxruntime": 2.0}, "full": {"openvino": 10.0}}
FACTORS = {"edge": 2.0, "full": 1.1}

Rounds = Mapping[str, list[float]]  # what -> milliseconds of each round


@click.command()
@click.argument("checkpoint")
@click.argument("data")
@click.option("--size", "size_hw", type=SIZE, default="360x480", show_default=True)
@click.option("--camera", "camera_hw", type=SIZE, default="720x1280", show_default=True, help="Of the camera's frames.")
@click.option("--threads", default=cores(), show_default=True)
@click.option("--rounds", default=9, show_default=True)
@click.option("--frames", default=5, show_default=True, help="Of each in a round; their median counts.")
def main(
    checkpoint: str,
    data: str,
    size_hw: tuple[int, int],
    camera_hw: tuple[int, int],
    threads: int,
    rounds: int,
    frames: int,
) -> None:
    """Print the tables; keep them as JSON, and the stages as a chart."""
    opened = checkpoint_of(checkpoint, data)
    name = kind_of(opened)
    frame = fit_frame(open_dataset(data, "val").image(0), size_hw)
    cv2.setNumThreads(threads)
    here_and_now = {**facts(), "size_hw": list(size_hw), "threads": threads}
    with tempfile.TemporaryDirectory() as folder:
        files = exported(opened, data, size_hw, Path(folder))
        graphs = {model: Graph(files[model.split(", ")[1]]) for model in MODELS}
        peaks, times, passes = in_turns(files, frame, threads, rounds, frames)
    int8, fp32 = (peak["fastest_operations_per_s"] for peak in peaks.values())
    here = Machine(int8, fp32, bandwidth(threads))
    models = {model: _whole(graph.work(), times, model, here) for model, graph in graphs.items()}
    stages = {model: _stages(graphs[model], passes[model], here) for model in QUANTISED.values()}
    steps = _steps(frame_steps(camera_hw, size_hw, opened.labels), frame, rounds, here)
    promises = _promises(name, models)
    told = {"peaks": peaks, "bandwidth": here.bandwidth, "models": models, "stages": stages}
    write_json(RESULTS / f"limits.{name}.json", {**here_and_now, **told, "frame_steps": steps, "promises": promises})
    cv2.imwrite(str(RESULTS / f"limits.{name}.png"), picture_of_chart(chart(stages[QUANTISED["openvino"]])))
    for engine, model in QUANTISED.items():
        print(f"\n{stages_table(engine, stages[model], models[model])}")
    print(f"\n{steps_table(camera_hw, steps)}\n\n{whole_table(peaks, models)}\n\n{promises_table(promises)}")
    print(here_and_now["machine"])


def in_turns(
    files: Mapping[str, Path], frame: NDArray[np.uint8], threads: int, rounds: int, frames: int
) -> tuple[dict[str, dict[str, Any]], Rounds, dict[str, list[Nodes]]]:
    """The machine's peaks, int8 first; milliseconds of every model; what the profilers saw of the quantised ones."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        dense = {kind: best_dense(kind == "int8", threads, Path(folder)) for kind in ("int8", "fp32")}
        runs: dict[str, Any] = {kind: lambda _, run=best.run: run() for kind, best in dense.items()}
        for model in MODELS:
            engine, file = model.split(", ")
            runs[model] = stack.enter_context(open_session(files[file], engine, threads=threads)).infer
        watched = {model: PROFILERS[engine](files["int8-cpu"], threads) for engine, model in QUANTISED.items()}
        runs |= {f"{model}, profiled": profiled.infer for model, profiled in watched.items()}
        times = interleaved(runs, frame, rounds, frames)
        passes = {model: profiled.passes()[frames:] for model, profiled in watched.items()}  # without the warm-up
    return {kind: _peak(best, times[kind]) for kind, best in dense.items()}, times, passes


def _peak(dense: Dense, times_ms: list[float]) -> dict[str, Any]:
    speeds = [dense.shape.operations / (1e-3 * ms) for ms in times_ms]
    return {
        "convolutions": str(dense.shape),
        "fastest_operations_per_s": max(*speeds, *dense.engines.values()),
        "operations_per_s": speeds,
        "engines_operations_per_s": dense.engines,
    }


def _whole(stages: Mapping[str, Work], times: Rounds, model: str, here: Machine) -> dict[str, Any]:
    """Of a whole pass; the factor is of operations alone."""
    work = sum(stages.values(), Work())
    limit_ms = here.operations_ms(work)
    return {
        "median_ms": median(times[model]),
        **asdict(work),
        "operations_limit_ms": limit_ms,
        "stages_limit_ms": sum(here.limit_ms(stage) for stage in stages.values()),
        "factor": spread(np.array(times[model]) / limit_ms),
        "ratio": spread(np.array(times[REFERENCE]) / times[model]),
        "ratio_at_limit": median(times[REFERENCE]) / limit_ms,
    }


def _stages(graph: Graph, passes: list[Nodes], here: Machine) -> dict[str, Any]:
    ms = per_stage(passes, graph.stage_of())
    return {stage: _row(ms.get(stage, 0.0), work, here) for stage, work in graph.work().items()}


def _steps(steps: Mapping[str, Any], frame: NDArray[np.uint8], rounds: int, here: Machine) -> dict[str, Any]:
    runs: dict[str, Any] = {name: lambda _, run=run: run() for name, (run, _) in steps.items()}
    times = interleaved(runs, frame, rounds, 5)
    return {name: _row(median(times[name]), Work(bytes_moved=moved), here) for name, (_, moved) in steps.items()}


def _row(ms: float, work: Work, here: Machine) -> dict[str, float | None]:
    limit_ms = here.limit_ms(work)
    limits = {"operations_ms": here.operations_ms(work), "bytes_ms": here.bytes_ms(work.bytes_moved)}
    return {"ms": ms, **asdict(work), **limits, "factor": ms / limit_ms if limit_ms else None}


def _promises(name: str, models: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was wanted of this network, if anything, what was reached, and what the peaks allow at most."""
    rows = []
    for engine, wanted in RATIOS.get(name, {}).items():
        model = models[QUANTISED[engine]]
        promise = f"INT8 on {engine}, times as fast as a plain fp32 export on onnxruntime"
        row = {"promise": promise, "wanted": wanted, "reached": model["ratio"], "at_limit": model["ratio_at_limit"]}
        rows.append({**row, "kept": model["ratio"]["median"] >= wanted})
    if name not in FACTORS:
        return rows
    factor = models[QUANTISED["openvino"]]["factor"]
    row = {"promise": "INT8 on openvino, times as long as its operations take at the peak", "wanted": FACTORS[name]}
    return [*rows, {**row, "reached": factor, "at_limit": 1.0, "kept": factor["median"] <= FACTORS[name]}]


if __name__ == "__main__":
    main()
