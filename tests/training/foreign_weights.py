"""Weights as others publish them, seeded and of any width, and torchvision's classifier written out from its layers."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from fcn_edge.training.network import FCN

# Configuration D of torchvision's vgg.py; M is a pooling.
CONFIGURATION_D = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")

State = dict[str, Tensor]


def drawn(name: str, *shape: int, mean: float = 0.0, deviation: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return mean + deviation * torch.randn(shape, generator=generator)


def _affine(state: State, name: str, *shape: int) -> None:
    state[f"{name}.weight"] = drawn(f"{name}.weight", *shape, deviation=(2 / math.prod(shape[1:])) ** 0.5)
    state[f"{name}.bias"] = drawn(f"{name}.bias", shape[0], deviation=0.1)


def vgg16(width: float = 1 / 16, fc_dim: int = 16, *, batch_norm: bool = False, classes: int = 1000) -> State:
    """The state_dict of torchvision's vgg16 or vgg16_bn, width 1 and fc_dim 4096 being its own."""
    state: State = {}
    channels, position = 3, 0
    for step in CONFIGURATION_D:
        if step == "M":
            position += 1
            continue
        rows = round(int(step) * width)
        _affine(state, f"features.{position}", rows, channels, 3, 3)
        if batch_norm:
            norm = f"features.{position + 1}"
            state[f"{norm}.weight"] = drawn(f"{norm}.weight", rows, mean=0.8, deviation=0.1)
            state[f"{norm}.bias"] = drawn(f"{norm}.bias", rows, deviation=0.2)
            state[f"{norm}.running_mean"] = drawn(f"{norm}.running_mean", rows, deviation=0.2)
            state[f"{norm}.running_var"] = drawn(f"{norm}.running_var", rows, deviation=0.3).abs() + 0.5
        position += 3 if batch_norm else 2
        channels = rows
    _affine(state, "classifier.0", fc_dim, channels * 49)
    _affine(state, "classifier.3", fc_dim, fc_dim)
    _affine(state, "classifier.6", classes, fc_dim)
    return state


def vgg16_features(state: State, x: Tensor, *, training: bool = False) -> Tensor:
    """The last pooled map, (N, C, H / 32, W / 32); `training` normalises by the batch's own statistics."""
    batch_norm = "features.1.running_mean" in state
    position = 0
    for step in CONFIGURATION_D:
        if step == "M":
            x, position = functional.max_pool2d(x, 2, 2), position + 1
            continue
        x = functional.conv2d(x, state[f"features.{position}.weight"], state[f"features.{position}.bias"], padding=1)
        if batch_norm:
            norm = f"features.{position + 1}"
            mean, var, weight, bias = (
                state[f"{norm}.{name}"].clone() for name in ("running_mean", "running_var", "weight", "bias")
            )
            x = functional.batch_norm(x, mean, var, weight, bias, training=training)
        x, position = functional.relu(x), position + (3 if batch_norm else 2)
    return x


def vgg16_scores(state: State, pictures: Tensor) -> Tensor:
    """(N, 3, 224, 224) RGB, normalised as torchvision does, to (N, classes): its forward pass in eval mode."""
    x = vgg16_features(state, pictures).flatten(1)
    for layer in ("classifier.0", "classifier.3"):
        x = functional.relu(functional.linear(x, state[f"{layer}.weight"], state[f"{layer}.bias"]))
    return functional.linear(x, state["classifier.6.weight"], state["classifier.6.bias"])


def rgb_as_torchvision_normalises(frames: Tensor) -> Tensor:
    """(N, H, W, 3) BGR uint8 to (N, 3, H, W): ToTensor, then Normalize with the figures of ImageNet."""
    rgb = frames.flip(-1).permute(0, 3, 1, 2).float() / 255
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (rgb - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)


def published_fcn(variant: str = "fcn8s", classes: int = 21, width: float = 1 / 16, fc_dim: int = 16) -> State:
    """The state_dict of pytorch-fcn's FCN8s, FCN16s or FCN32s; every tensor has numbers of its own."""
    shapes = FCN(variant, classes, width=width, fc_dim=fc_dim, geometry="paper").state_dict()
    return {name: drawn(name, *value.shape, deviation=0.1) for name, value in shapes.items()}


def saved(state: object, path: Path) -> Path:
    torch.save(state, path)
    return path
