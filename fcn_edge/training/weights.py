"""What a training can start from: VGG16 by torchvision's names, a published FCN, or a checkpoint of our own.

Each file is recognised, checked and given the network's own names. What a network takes of it is `start.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from fcn_edge.errors import ModelError, UsageError
from fcn_edge.files import sha256_of
from fcn_edge.labels import LabelSet
from fcn_edge.progress import say
from fcn_edge.training.checkpoint import Preprocessing, load_checkpoint
from fcn_edge.training.network import FINAL_NAMES, VGG16_BLOCKS, NetworkConfig
from fcn_edge.training.state_dict import (
    PUBLISHED,
    StateDict,
    fetched,
    published_digits,
    read_state_dict,
    require_finite,
    require_layers,
    rows_of,
)
from fcn_edge.training.surgery import shapes_of, transplant, vgg16_layers, vgg16_shapes

# torchvision: bytes / 255, minus the mean, by the deviation of ImageNet, here times 255; its R, G, B turned to B, G, R.
TORCHVISION = Preprocessing((103.53, 116.28, 123.675), (57.375, 57.12, 58.395))

# Caffe's VGG16 and the FCNs made of it: B, G, R minus the mean of ImageNet (shelhamer/fcn.berkeleyvision.org).
CAFFE = Preprocessing((104.00698793, 116.66876762, 122.67891434), (1.0, 1.0, 1.0))

# Caffe's VGG16 under torchvision's names, which nothing in the file tells (pytorch-fcn, torchfcn/models/vgg.py).
VGG16_FROM_CAFFE_MD5 = "aa75b158f4181e7f6230029eb96c1b13"

MUST_AGREE = ("width", "fc_dim", "norm")  # between weights and the network that takes them


@dataclass(frozen=True)
class Weights:
    """Weights by the network's own names, and what must not be separated from them."""

    name: str
    kind: str  # in words, for the user and the checkpoint
    sha256: str  # of the file
    state: Mapping[str, Tensor]
    config: NetworkConfig  # whose weights they are; of a base net only `MUST_AGREE` counts
    preprocessing: Preprocessing
    has_scores: bool = True
    labels: LabelSet | None = None  # of the scores, where the file tells
    follows: tuple[str, ...] = MUST_AGREE  # what a network takes over from `config` unless told otherwise
    origin: dict[str, Any] = field(default_factory=dict)  # what they themselves started from

    @property
    def settings(self) -> dict[str, Any]:
        return {name: getattr(self.config, name) for name in self.follows}

    def provenance(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "sha256": self.sha256, **self.origin}


def read_weights(init: str) -> Weights:
    """`vgg16`, `vgg16_bn` (fetched where torch hub has not got it) or a file; raises ModelError in one line."""
    path = fetched(init) if init in PUBLISHED else Path(init)
    if not path.is_file():
        raise ModelError(f"wanted {', '.join(PUBLISHED)} or a file of weights, found no file {path}; check the path")
    weights = _from_checkpoint(path) if path.suffix == ".safetensors" else _from_state_dict(path)
    if init not in PUBLISHED:
        return weights
    if not weights.sha256.startswith(published_digits(init)):
        say(f"note: {path} is not the {init} that torchvision publishes; remove it to have it fetched again")
    return replace(weights, name=init)


def _from_checkpoint(path: Path) -> Weights:
    """One of ours; it tells all by itself."""
    checkpoint = load_checkpoint(path)
    state = checkpoint.network.state_dict()
    require_finite(path, state)
    origin = checkpoint.provenance.get("init")
    return Weights(
        path.name,
        "checkpoint of fcn-edge",
        sha256_of(path),
        state,
        checkpoint.network.config,
        checkpoint.preprocessing,
        labels=checkpoint.labels,
        follows=(*MUST_AGREE, "geometry"),
        origin={"init": origin} if origin else {},
    )


def _from_state_dict(path: Path) -> Weights:
    state = read_state_dict(path)
    if "features.0.weight" in state:
        return _from_vgg16(path, state)
    if "conv1_1.weight" in state:
        return _from_published_fcn(path, state)
    names = ", ".join(list(state)[:3]) or "none"
    raise ModelError(
        f"{path}: wanted VGG16 by torchvision's names (features.0.weight) or an FCN by the paper's (conv1_1.weight), "
        f"found the layers {names}; these weights are of another network"
    )


def _from_vgg16(path: Path, state: StateDict) -> Weights:
    norm = "batch" if "features.1.running_mean" in state else "none"
    config = _config(path, state, vgg16_layers(norm), norm=norm)
    require_layers(path, "VGG16", state, vgg16_shapes(config))
    from_caffe = norm == "none" and _md5_of(path) == VGG16_FROM_CAFFE_MD5
    return Weights(
        path.name,
        "VGG16 of Caffe (BGR minus mean)" if from_caffe else "VGG16 of torchvision (RGB, mean and deviation)",
        sha256_of(path),
        {name: value.float() for name, value in transplant(state, norm, is_rgb=not from_caffe).items()},
        config,
        CAFFE if from_caffe else TORCHVISION,
        has_scores=False,
    )


def _from_published_fcn(path: Path, state: StateDict) -> Weights:
    variant = next((v for v, last in FINAL_NAMES.items() if f"{last}.weight" in state), "fcn8s")
    classes = rows_of(path, state, "score_fr.weight")
    config = _config(path, state, {}, variant=variant, num_classes=classes)
    wanted = shapes_of(config)
    require_layers(path, variant, state, wanted)
    stray = sorted(state.keys() - wanted.keys())
    if stray:
        raise ModelError(
            f"{path}: wanted the layers of {variant} alone, found {stray[0]} too; these weights are of another network"
        )
    kind = f"published {variant} (BGR minus mean)"
    return Weights(
        path.name, kind, sha256_of(path), {name: value.float() for name, value in state.items()}, config, CAFFE
    )


def _config(path: Path, state: StateDict, theirs: Mapping[str, str], **known: Any) -> NetworkConfig:
    """The network of a file, by the channels of its blocks and of fc6; `theirs` are its names where not ours."""
    ours = [*(f"conv{block}_1" for block in range(1, len(VGG16_BLOCKS) + 1)), "fc6"]
    *channels, fc_dim = (rows_of(path, state, f"{theirs.get(name, name)}.weight") for name in ours)
    try:
        return NetworkConfig(width=_width(channels), fc_dim=fc_dim, **known)
    except UsageError as error:
        raise ModelError(f"{path}: {error}; these weights are of another network") from None


def _width(channels: list[int]) -> float:
    """The middle of all widths that round to these channels; 1.0 for VGG16's own."""
    pairs = [(rows, full) for rows, (_, full) in zip(channels, VGG16_BLOCKS, strict=True)]
    narrowest, widest = (
        max((rows - 0.5) / full for rows, full in pairs),
        min((rows + 0.5) / full for rows, full in pairs),
    )
    return (narrowest + widest) / 2


def _md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
