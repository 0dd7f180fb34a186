"""What TensorRT makes of bundles on this machine's GPU: build, accuracy, agreement, latency with its parts, in one run.

PYTHONPATH=. python benchmarks/gpu/measure.py runs/edge-bundle camvid:PATH/TO/camvid -o runs/gpu
PYTHONPATH=. python benchmarks/gpu/measure.py EDGE_BUNDLE FULL_BUNDLE folder:PATH -o runs/gpu --minutes 10

It needs a GPU, TensorRT, pycuda and onnxruntime; no network, no torch, no onnx. It writes gpu.json (everything) and
gpu.md (the tables), also when its time is over first: what was not reached is named. Bundles are not changed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import monotonic
from typing import Any

import click
import numpy as np
from latency import measured
from numpy.typing import NDArray
from tables import tables

from export.buildable import Buildable, buildable
from export.engine_build import BuildOptions
from export.engine_proof import Gate, ProvedEngine, proved_engine
from export.engine_reference import reference_for
from export.score import open_artifact
from fcn_edge.datasets import Dataset, open_dataset
from fcn_edge.errors import FcnEdgeError
from fcn_edge.files import require_writable, whole_file, write_json
from fcn_edge.images import fit_frame
from fcn_edge.labels import LabelSet
from fcn_edge.progress import say
from fcn_edge.scoring import answer, compare
from runtime.cuda_driver import find_gpu
from runtime.gpu_state import gpu_state
from runtime.machine import machine
from runtime.tensorrt_library import load_tensorrt

PRECISIONS = ("int8", "fp16", "fp32")  # the most wanted first, should time run out


@dataclass(frozen=True)
class Some:
    """So many pictures of a dataset, spread evenly over it."""

    whole: Dataset
    numbers: tuple[int, ...]

    @property
    def labels(self) -> LabelSet:
        return self.whole.labels

    @property
    def has_masks(self) -> bool:
        return self.whole.has_masks

    def __len__(self) -> int:
        return len(self.numbers)

    def name(self, index: int) -> str:
        return self.whole.name(self.numbers[index])

    def image(self, index: int) -> NDArray[np.uint8]:
        return self.whole.image(self.numbers[index])

    def mask(self, index: int) -> NDArray[np.uint8]:
        return self.whole.mask(self.numbers[index])

    def digest(self) -> str:
        return f"{self.numbers} of {self.whole.digest()}"


def some(dataset: Dataset, count: int) -> Some:
    spread = np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int))
    return Some(dataset, tuple(spread.tolist()))


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.argument("data")
@click.option("--split", default="val", show_default=True)
@click.option("--pictures", default=48, show_default=True, help="Scored, spread over the split.")
@click.option("--minutes", default=9.5, show_default=True, help="Nothing new is begun after so long.")
@click.option("--level", type=click.IntRange(0, 5), help="Of optimisation; default: TensorRT's own.")
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), default=Path("runs/gpu"), show_default=True)
def main(
    bundles: tuple[Path, ...], data: str, split: str, pictures: int, minutes: float, level: int | None, folder: Path
) -> None:
    """Every precision of every BUNDLE, scored on DATA (KIND:FOLDER)."""
    ends_at = monotonic() + 60 * minutes
    require_writable(folder)
    dataset = some(open_dataset(data, split), pictures)
    result: dict[str, Any] = {"date": date.today().isoformat(), **conditions(), "pictures": len(dataset), "rows": []}
    options = BuildOptions(level=level, timing_cache=folder / "timing.cache")
    for bundle in bundles:
        source = buildable(bundle)
        reference = reference_for(source, dataset)
        gate = Gate(reference, allow_drop=True)  # figures are wanted of what a user's build would refuse, too
        for precision in PRECISIONS:
            if precision in source.files:
                result["rows"].append(_row(bundle, precision, source, options, gate, folder, ends_at))
                _write(folder, {**result, "state_after": gpu_state()})
    print(tables(result))


def conditions() -> dict[str, Any]:
    """What the figures must be read with; raises ModelError where there is no GPU or no TensorRT."""
    gpu, trt = find_gpu(), load_tensorrt()
    return {"machine": machine(), "gpu": gpu.__dict__, "tensorrt": str(trt.__version__), "state_before": gpu_state()}


def _row(
    bundle: Path, precision: str, source: Buildable, options: BuildOptions, gate: Gate, folder: Path, ends_at: float
) -> dict[str, Any]:
    """All that is found out of one file. What fails is told in the row, and the others go on."""
    row: dict[str, Any] = {"bundle": bundle.name, "precision": precision, "size_hw": None}
    if monotonic() > ends_at:
        return {**row, "not_measured": "the time was over"}
    onnx = source.files[precision]
    (folder / bundle.name).mkdir(parents=True, exist_ok=True)
    try:
        engine = folder / bundle.name / f"model.{precision}.engine"
        proved = proved_engine(onnx, engine, options, gate)
        row |= {"size_hw": proved.facts.model.size_hw, "parameters_mb": onnx.stat().st_size / 1e6, **proved.to_json()}
        row["agrees_with_its_onnx"] = _agreement(onnx, proved, gate)
        frame = fit_frame(gate.reference.dataset.image(0), proved.facts.model.size_hw)
        row["latency"] = measured(proved, frame, ends_at)
    except FcnEdgeError as error:
        say(f"{onnx}: {error}")
        row["not_measured"] = str(error)
    return row


def _agreement(onnx: Path, proved: ProvedEngine, gate: Gate) -> float:
    """The share of pixels where the engine's masks are those of the very same file on onnxruntime."""
    with open_artifact(onnx, "onnxruntime") as artifact:
        same_file = answer(artifact.segment, gate.reference.dataset, f"{onnx.name} on onnxruntime")
    return compare(proved.answers, same_file).agreement


def _write(folder: Path, result: dict[str, Any]) -> None:
    write_json(folder / "gpu.json", result)
    with whole_file(folder / "gpu.md") as partial:
        partial.write_text(tables(result) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except FcnEdgeError as error:
        say(str(error))
        sys.exit(error.exit_code)
