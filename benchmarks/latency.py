"""Latency of a bundle's files and of the checkpoint in torch, interleaved in one run; the ratios count.

.venv/bin/python benchmarks/latency.py runs/camvid-bundle runs/camvid/best.safetensors
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import click
import numpy as np

from export.score import open_artifact
from fcn_edge.datasets.street import draw_street
from fcn_edge.files import write_json
from fcn_edge.images import fit_frame
from fcn_edge.manifest import read_manifest
from fcn_edge.scoring import Segment
from runtime.bench import machine

RESULT = Path(__file__).parent / "results" / "latency.json"
ROUNDS, PER_ROUND, WARM_UP = 15, 10, 10


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("checkpoint", type=click.Path(path_type=Path))
def main(bundle: Path, checkpoint: Path) -> None:
    """Measure frame to mask for each artifact, in turns, so that a noisy neighbour disturbs all alike."""
    manifest = read_manifest(bundle)
    frame = fit_frame(draw_street(0)[0], manifest.size_hw)
    with ExitStack() as stack:
        segments: dict[str, Segment] = {"torch eager": stack.enter_context(open_artifact(checkpoint)).segment}
        for precision in manifest.precisions:
            opened = open_artifact(bundle, precision=precision)
            segments[f"onnxruntime {precision}"] = stack.enter_context(opened).segment
        rounds = _measure(segments, frame)
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "size_hw": list(manifest.size_hw),
        "medians_ms": {name: [round(value, 3) for value in values] for name, values in rounds.items()},
        "versions": manifest.provenance["versions"],
    }
    write_json(RESULT, result)
    print(result["machine"])
    reference = rounds["onnxruntime fp32"]
    for name, values in rounds.items():
        ratios = np.array(reference) / np.array(values)
        low, high = np.percentile(ratios, (10, 90))
        print(f"{name:24} median {median(values):7.2f} ms   {median(ratios):.2f}x fp32 (p10 {low:.2f}, p90 {high:.2f})")


def _measure(segments: dict[str, Segment], frame: Any) -> dict[str, list[float]]:
    """The median milliseconds of each round."""
    for segment in segments.values():
        for _ in range(WARM_UP):
            segment(frame)
    rounds: dict[str, list[float]] = {name: [] for name in segments}
    for _ in range(ROUNDS):
        for name, segment in segments.items():
            rounds[name].append(median(_timed(segment, frame) for _ in range(PER_ROUND)))
    return rounds


def _timed(segment: Segment, frame: Any) -> float:
    started = perf_counter()
    segment(frame)
    return 1e3 * (perf_counter() - started)


if __name__ == "__main__":
    main()
