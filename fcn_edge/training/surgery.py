"""Net surgery on state_dicts: VGG16's weights for a fully convolutional network, a coarser network's for a finer one.

Nothing is read or judged here: whether names and shapes are right is known before (`weights.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from fcn_edge.training.network import FCN, FINAL_NAMES, VGG16_BLOCKS, NetworkConfig

FC_KERNELS = {"fc6": 7, "fc7": 1}  # VGG16 flattens (channels, 7, 7); fc7 sees one element
BATCH_NORM_EPS = 1e-5  # torch's, which torchvision and our networks leave as it is
NORM_TENSORS = ("weight", "bias", "running_mean", "running_var")


def shapes_of(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor of a network's state_dict; made without memory for the weights."""
    with torch.device("meta"):
        network = FCN.from_config(config)
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def vgg16_layers(norm: str) -> dict[str, str]:
    """The network's convolutions -> torchvision's layers, in order (VGG's configuration D).

    torchvision counts each step of `features`: a convolution, its batch norm if any, a ReLU; a pooling after a block.
    """
    layers, position = {}, 0
    for block, (depth, _) in enumerate(VGG16_BLOCKS, start=1):
        for index in range(1, depth + 1):
            layers[f"conv{block}_{index}"] = f"features.{position}"
            position += 3 if norm == "batch" else 2
        position += 1
    return {**layers, "fc6": "classifier.0", "fc7": "classifier.3"}


def vgg16_shapes(config: NetworkConfig) -> dict[str, tuple[int, ...]]:
    """All that `transplant` takes, as torchvision shapes it at the width of `config`."""
    plain = shapes_of(replace(config, norm="none"))
    shapes: dict[str, tuple[int, ...]] = {}
    for ours, theirs in vgg16_layers(config.norm).items():
        rows, columns, height, width = plain[f"{ours}.weight"]
        shapes[f"{theirs}.weight"] = (
            (rows, columns * height * width) if ours in FC_KERNELS else (rows, columns, height, width)
        )
        shapes[f"{theirs}.bias"] = (rows,)
        if config.norm == "batch" and ours not in FC_KERNELS:
            shapes.update({f"{_after(theirs)}.{tensor}": (rows,) for tensor in NORM_TENSORS})
    return shapes


def transplant(vgg16: Mapping[str, Tensor], norm: str, *, is_rgb: bool = True) -> dict[str, Tensor]:
    """VGG16 by torchvision's names as the base net, fc6 and fc7 of an FCN: the same function of a 224x224 picture.

    A fully connected layer (O, I) is a convolution (O, channels, k, k) with the very same numbers (paper, section 3.1).
    Our networks see B, G, R as Caffe's do; torchvision's see R, G, B (`is_rgb`), and their first kernels are turned
    round here, once and for all.
    With batch norm our convolutions have no bias: theirs moves into the mean that their norm subtracts.
    """
    state: dict[str, Tensor] = {}
    for ours, theirs in vgg16_layers(norm).items():
        weight, bias = vgg16[f"{theirs}.weight"], vgg16[f"{theirs}.bias"]
        if ours in FC_KERNELS:
            kernel = FC_KERNELS[ours]
            weight = weight.reshape(len(weight), -1, kernel, kernel)
        state[f"{ours}.weight"] = weight.flip(1) if is_rgb and ours == "conv1_1" else weight
        if norm == "none":
            state[f"{ours}.bias"] = bias
            continue
        tensors = _norm_that_adds(bias) if ours in FC_KERNELS else _norm_after(bias, vgg16, _after(theirs))
        state.update({f"{ours}_norm.{tensor}": value for tensor, value in tensors.items()})
    return state


def _after(layer: str) -> str:
    """The batch norm that follows a convolution of `features`."""
    features, position = layer.split(".")
    return f"{features}.{int(position) + 1}"


def _norm_after(bias: Tensor, vgg16: Mapping[str, Tensor], layer: str) -> dict[str, Tensor]:
    """(x + bias) - mean is x - (mean - bias); in training the batch's own mean takes any bias away as well."""
    tensors = {tensor: vgg16[f"{layer}.{tensor}"] for tensor in NORM_TENSORS}
    return {**tensors, "running_mean": tensors["running_mean"] - bias}


def _norm_that_adds(bias: Tensor) -> dict[str, Tensor]:
    """VGG16 has no norm after its fully connected layers: ours starts as the identity plus their bias.

    In training the batch's statistics take over, as anywhere else.
    """
    ones, zeros = torch.ones_like(bias), torch.zeros_like(bias)
    return {"weight": ones, "bias": bias, "running_mean": zeros, "running_var": ones - BATCH_NORM_EPS}


def without_scores(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The base net, fc6 and fc7: what does not depend on the classes."""
    return {name: value for name, value in state.items() if not name.startswith(("score", "upscore"))}


def staged(state: Mapping[str, Tensor], variant: str, finer: str) -> dict[str, Tensor]:
    """The weights of `variant` that a network of the variant `finer` starts from (paper, section 4.3).

    All but the coarser network's last upsampling. What only the finer one has must be as `FCN` makes it: scores of the
    new skip zero, new kernels bilinear. Then, stage by stage, the finer network's scores before its last upsampling
    are the coarser network's, upsampled twice by the bilinear kernel: exactly. At full size two steps of linear
    interpolation equal one step in the inner half of every cell between four coarse scores, exactly but for rounding;
    around a score they cut the corner, by an eighth of the second difference per axis, and the last pixels at the
    picture's border, where a deconvolution fades out, fade twice.
    """
    if variant == finer:
        return dict(state)
    last = f"{FINAL_NAMES[variant]}.weight"
    return {name: value for name, value in state.items() if name != last}
