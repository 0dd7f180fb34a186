"""Checkpoints: one safetensors file whose header tells everything needed to use the weights. No pickle."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fcn_edge.errors import FcnEdgeError, ModelError, first_line
from fcn_edge.files import whole_file
from fcn_edge.labels import LabelSet
from fcn_edge.training.network import FCN, NetworkConfig

HEADER_KEY = "fcn_edge"
HEADER_VERSION = 1


@dataclass(frozen=True)
class Preprocessing:
    """How a frame becomes the network's input: (value - mean) / std for each of the channels B, G, R."""

    # Not the data's own mean: with 128 a byte minus the mean is an int8, so that INT8 takes frames without any loss.
    mean_bgr: tuple[float, float, float] = (128.0, 128.0, 128.0)
    std_bgr: tuple[float, float, float] = (64.0, 64.0, 64.0)  # brings street pictures to about unit variance

    @classmethod
    def from_json(cls, content: Any) -> Preprocessing:
        """Back from `asdict` by way of JSON; raises TypeError or ValueError."""
        return cls(**{key: (float(b), float(g), float(r)) for key, (b, g, r) in dict(content).items()})

    def normalise(self, frames: Tensor) -> Tensor:
        """(N, H, W, 3) BGR uint8 to (N, 3, H, W) float32; cast first, for TensorRT moves no uint8 about."""
        mean, std = (
            frames.new_tensor(values, dtype=torch.float32).view(1, 3, 1, 1) for values in (self.mean_bgr, self.std_bgr)
        )
        return (frames.float().permute(0, 3, 1, 2) - mean) / std


@dataclass(frozen=True)
class Checkpoint:
    """A network with what it must not be separated from."""

    network: FCN
    labels: LabelSet
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    scores: dict[str, Any] = field(default_factory=dict)  # on the validation split, by the field's names
    provenance: dict[str, Any] = field(default_factory=dict)  # data, settings, seeds, versions

    def header(self) -> dict[str, Any]:
        return {
            "version": HEADER_VERSION,
            "network": asdict(self.network.config),
            "labels": self.labels.to_json(),
            "preprocessing": asdict(self.preprocessing),
            "scores": self.scores,
            "provenance": self.provenance,
        }


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write one checkpoint, whole or not at all; raises OutputError."""
    weights = {key: value.detach().cpu().contiguous() for key, value in checkpoint.network.state_dict().items()}
    with whole_file(path) as partial:
        partial.write_bytes(save(weights, metadata={HEADER_KEY: json.dumps(checkpoint.header())}))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, its network in eval mode; raises ModelError that says what the file is not."""
    header, weights = _read(path)
    try:
        network = FCN.from_config(NetworkConfig(**header["network"]))
        labels = LabelSet.from_json(header["labels"])
        preprocessing = Preprocessing.from_json(header["preprocessing"])
        network.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError, FcnEdgeError) as error:
        raise ModelError(
            f"{path}: wanted a whole fcn-edge checkpoint, found: {first_line(error)}; train or copy it again"
        ) from None
    if len(labels) != network.config.num_classes:
        raise ModelError(
            f"{path}: wanted a label per class, found {len(labels)} labels and {network.config.num_classes} classes; "
            "train it again"
        )
    return Checkpoint(network.eval(), labels, preprocessing, header.get("scores", {}), header.get("provenance", {}))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not path.is_file():
        raise ModelError(f"wanted a checkpoint, found no file {path}; check the path")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(HEADER_KEY, "null"))
            weights = {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"{path}: wanted a safetensors checkpoint, found: {first_line(error)}; train or copy it again"
        ) from None
    if not isinstance(header, dict):
        raise ModelError(
            f"{path}: wanted a checkpoint of fcn-edge, found safetensors without its header; use `fcn-edge train`"
        )
    if header.get("version") != HEADER_VERSION:
        raise ModelError(
            f"{path}: wanted version {HEADER_VERSION}, found {header.get('version')}; use the fcn-edge that wrote it"
        )
    return header, weights
