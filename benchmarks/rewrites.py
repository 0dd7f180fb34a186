"""What each rewrite of the graph brings: before and after on onnxruntime and OpenVINO, in turns, one thread.

.venv/bin/python -m benchmarks.rewrites runs/edge/best.safetensors camvid:PATH/TO/camvid
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime
import openvino
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.told import facts, spread
from calibration.image_set import pick
from calibration.ranges import observe
from calibration.thresholds import thresholds
from export.byte_entry import with_byte_entry
from export.decoder import PhaseDecoder
from export.deploy_graph import REWRITES
from export.onnx_export import onnx_from_checkpoint, quiet_exporter, save
from export.quantize import quantised
from fcn_edge.datasets import open_dataset
from fcn_edge.files import write_json
from fcn_edge.images import fit_frame
from fcn_edge.manifest import ModelFacts
from fcn_edge.training.checkpoint import load_checkpoint
from fcn_edge.training.network import bilinear_kernel
from runtime.bench.interleaved import interleaved
from runtime.session import open_session

RESULT = Path(__file__).parent / "results" / "rewrites.json"
ENGINES = ("onnxruntime", "openvino")
ROUNDS, FRAMES = 9, 5
SIZE_HW = (360, 480)
COARSE_HW = (48, 60)  # scores at stride 8 of 360x480 padded to 384x480

Run = Callable[[Any], Any]


class Deconvolution(nn.Module):
    """The network's own last layer and an argmax; `groups` 1 is the dense kernel of the published networks."""

    def __init__(self, classes: int, groups: int) -> None:
        super().__init__()
        kernel = bilinear_kernel(16)
        weight = torch.zeros(classes, classes // groups, 16, 16)
        for channel in range(classes):
            weight[channel, 0 if groups > 1 else channel] = kernel
        self.weight, self.groups = nn.Parameter(weight, requires_grad=False), groups

    def forward(self, scores: Tensor) -> Tensor:
        up = functional.conv_transpose2d(scores, self.weight, stride=8, padding=4, groups=self.groups)
        return up[..., : SIZE_HW[0], : SIZE_HW[1]].argmax(1).float().to(torch.uint8)


class Resize(nn.Module):
    """Bilinear interpolation: the same classes, for at the borders it differs by one factor for all of them."""

    def forward(self, scores: Tensor) -> Tensor:
        up = functional.interpolate(scores, scale_factor=8, mode="bilinear", align_corners=False)
        return up[..., : SIZE_HW[0], : SIZE_HW[1]].argmax(1).float().to(torch.uint8)


class Phases(nn.Module):
    """What is exported."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = PhaseDecoder(8, 4, 0, SIZE_HW)

    def forward(self, scores: Tensor) -> Tensor:
        return self.decoder.pixels(self.decoder.phases(scores).argmax(0).float()).to(torch.uint8)


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("data")
def main(checkpoint: Path, data: str) -> None:
    """Measure the decoder's forms alone, then whole graphs with rewrite after rewrite."""
    result: dict[str, Any] = {**facts(), "size_hw": list(SIZE_HW)}
    with tempfile.TemporaryDirectory() as folder:
        for classes in (11, 21):
            result[f"decoder, {classes} classes"] = _decoders(classes, Path(folder))
        result["graph"] = _graphs(checkpoint, data, Path(folder))
    write_json(RESULT, result)
    print(result["machine"])


def _decoders(classes: int, folder: Path) -> dict[str, Any]:
    scores = torch.randn(1, classes, *COARSE_HW, generator=torch.Generator().manual_seed(0))
    forms = {
        "deconvolution": Deconvolution(classes, 1),
        "deconvolution by class": Deconvolution(classes, classes),
        "resize": Resize(),
        "phases": Phases(),
    }
    runs: dict[str, Run] = {}
    wanted = None
    for name, form in forms.items():
        path = folder / f"{name}.{classes}.onnx"
        with quiet_exporter():
            torch.onnx.export(form.eval(), (scores,), path, dynamo=True, external_data=False, verbose=False)
        for engine, run in _plain_runs(path).items():
            mask = run(scores.numpy())
            wanted = mask if wanted is None else wanted
            assert np.array_equal(mask, wanted), f"{name} on {engine} gives other classes"
            runs[f"{engine}, {name}"] = run
    return _told(f"decoder, {classes} classes", interleaved(runs, scores.numpy(), ROUNDS, FRAMES), "deconvolution")


def _plain_runs(path: Path) -> dict[str, Run]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0].name
    hints = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(path, "CPU", hints).create_infer_request()
    return {
        "onnxruntime": lambda scores: session.run(None, {entry: scores})[0],
        "openvino": lambda scores: request.infer([scores])[0].copy(),
    }


def _graphs(checkpoint: Path, data: str, folder: Path) -> dict[str, Any]:
    opened = load_checkpoint(checkpoint)
    facts = ModelFacts(opened.labels, SIZE_HW, "fp32")
    files = {}
    for name, rewrites in (("plain", set()), ("normalisation", {"normalisation"}), ("and decoder", set(REWRITES))):
        files[f"fp32, {name}"] = path = folder / f"fp32.{len(rewrites)}.onnx"
        onnx_from_checkpoint(opened, facts, path, rewrites=rewrites)
    histograms = list(observe(path, pick(open_dataset(data, "train"), 8), SIZE_HW))[-1]
    for name, count in (("normalisation", 1), ("and decoder", 2)):
        files[f"int8-cpu, {name}"] = folder / f"int8.{count}.onnx"
        low = quantised(onnx.load(folder / f"fp32.{count}.onnx"), "int8-cpu", thresholds(histograms, "minmax"))
        save(low, facts, files[f"int8-cpu, {name}"])
    files["int8-cpu, and bytes at the entry"] = folder / "int8.bytes.onnx"
    save(with_byte_entry(low), facts, files["int8-cpu, and bytes at the entry"])
    frame = fit_frame(open_dataset(data, "val").image(0), SIZE_HW)
    with ExitStack() as stack:
        runs = {
            f"{engine}, {name}": stack.enter_context(open_session(path, engine, threads=1)).infer
            for engine in ENGINES
            for name, path in files.items()
        }
        return _told("graph", interleaved(runs, frame, ROUNDS, FRAMES), "fp32, plain")


def _told(title: str, rounds: dict[str, list[float]], reference: str) -> dict[str, Any]:
    print(f"\n| {title} | ms | times faster |\n|---|---:|---:|")
    told = {}
    for name, values in rounds.items():
        ratio = spread(np.divide(rounds[f"{name.split(', ')[0]}, {reference}"], values))
        row = {"median_ms": median(values), "ratio": ratio["median"], "p10_p90": [ratio["p10"], ratio["p90"]]}
        told[name] = row
        print(f"| {name} | {row['median_ms']:.2f} | {row['ratio']:.2f}x |", flush=True)
    return told


if __name__ == "__main__":
    main()
