"""What benchmarks measure: a checkpoint, trained or with random weights, as a plain export and as our files."""

from __future__ import annotations

from pathlib import Path

import torch

from calibration.image_set import pick
from calibration.ranges import observe
from calibration.thresholds import thresholds
from export.onnx_export import onnx_from_checkpoint
from export.prover import Prover, Recipe
from fcn_edge.datasets import open_dataset
from fcn_edge.labels import LabelSet
from fcn_edge.manifest import ModelFacts
from fcn_edge.scoring import Answers
from fcn_edge.training.checkpoint import Checkpoint, load_checkpoint
from fcn_edge.training.network import FCN

PLAIN = "plain fp32"
OURS = ("fp32", "int8-cpu")
FILES = (PLAIN, *OURS)
CALIBRATION = 8  # pictures: enough for ranges that make realistic numbers
RANDOM = {"edge": (0.25, 512), "full": (1.0, 4096)}  # width and fc_dim of `fcn-edge train`, and the paper's


def checkpoint_of(name: str, data: str) -> Checkpoint:
    """A file, or random weights of a network in `RANDOM` with the classes of the data."""
    if name not in RANDOM:
        return load_checkpoint(Path(name))
    return random_checkpoint(open_dataset(data, "val").labels, *RANDOM[name])


def kind_of(checkpoint: Checkpoint) -> str:
    """What its results are kept as: a name in `RANDOM`, or variant and width."""
    network = checkpoint.network.config
    for name, sizes in RANDOM.items():
        if (network.variant, network.width, network.fc_dim) == ("fcn8s", *sizes):
            return name
    return f"{network.variant}-{network.width:g}"


def random_checkpoint(labels: LabelSet, width: float, fc_dim: int) -> Checkpoint:
    """He initialisation, small random scores: its masks mean nothing; its work and its memory are a trained one's."""
    torch.manual_seed(0)
    network = FCN("fcn8s", len(labels), width=width, fc_dim=fc_dim)
    for name, parameter in network.named_parameters():
        if name.startswith("score") and parameter.dim() == 4:
            torch.nn.init.normal_(parameter, std=0.01)
    return Checkpoint(network.eval(), labels)


def exported(checkpoint: Checkpoint, data: str, size_hw: tuple[int, int], folder: Path) -> dict[str, Path]:
    """The files of `FILES`.

    A plain export is what `torch.onnx.export` makes of the network followed by an argmax: batch norm folded, nothing
    else.
    """
    plain = folder / "model.plain-fp32.onnx"
    onnx_from_checkpoint(checkpoint, ModelFacts(checkpoint.labels, size_hw, "fp32"), plain, rewrites=frozenset())
    return {PLAIN: plain, **ours(checkpoint, data, size_hw, folder)}


def ours(checkpoint: Checkpoint, data: str, size_hw: tuple[int, int], folder: Path) -> dict[str, Path]:
    """What `fcn-edge export` makes for CPUs, the INT8 file calibrated on a few pictures of `data`; without proof."""
    fp32, int8 = (folder / f"model.{precision}.onnx" for precision in OURS)
    facts = ModelFacts(checkpoint.labels, size_hw, "fp32")
    onnx_from_checkpoint(checkpoint, facts, fp32)
    histograms = list(observe(fp32, pick(open_dataset(data, "train"), CALIBRATION), size_hw))[-1]
    unasked = Answers(checkpoint.labels.names, (), (), None)
    prover = Prover(fp32, facts, open_dataset(data, "val"), unasked, "auto")
    prover.write(Recipe("int8-cpu", thresholds(histograms, "minmax")), int8)
    return dict(zip(OURS, (fp32, int8), strict=True))
