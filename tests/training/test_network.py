"""The network: equal to the reference in the paper's geometry, aligned in ours, and named as published weights are."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from fcn_edge.errors import UsageError
from fcn_edge.training.network import FCN, Grid, bilinear_kernel

VARIANTS = [("fcn32s", False), ("fcn16s", False), ("fcn8s", False), ("fcn8s", True), ("fcn4s", False)]


def seeded(network: nn.Module, scale: float = 1.0) -> nn.Module:
    """Weights that depend on their names alone; deconvolutions stay bilinear."""
    weights = network.state_dict()
    for key, value in weights.items():
        if not key.startswith("upscore"):
            generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
            deviation = scale * math.sqrt(2 / value[0].numel()) if value.dim() == 4 else 0.01
            weights[key] = torch.randn(value.shape, generator=generator) * deviation
    network.load_state_dict(weights)
    return network.eval()


@pytest.mark.realdata
def test_fcn8s_equals_the_reference_logits(real_data: Path) -> None:
    network = seeded(FCN("fcn8s", 21, geometry="paper"))
    image = torch.randn(1, 3, 97, 121, generator=torch.Generator().manual_seed(97 * 1000 + 121)) * 50
    with torch.inference_mode():
        logits = network(image)[0].numpy()
    wanted = np.load(real_data / "reference_fcn8s_97x121.npz")["logits"]
    assert np.abs(logits - wanted).max() / np.abs(wanted).max() < 1e-4


def paper_forward(network: FCN, x: Tensor, crops: dict[str, int]) -> Tensor:
    """The forward pass written out by hand from figure 3, with the crop numbers that the field quotes."""
    height, width = x.shape[-2:]
    pools = {}
    for block, depth in enumerate((2, 2, 3, 3, 3), start=1):
        for index in range(1, depth + 1):
            layer = network.get_submodule(f"conv{block}_{index}")
            x = functional.relu(
                functional.conv2d(x, layer.weight, layer.bias, padding=100 if block == index == 1 else 1)
            )
        x = pools[block] = functional.max_pool2d(x, 2, 2, ceil_mode=True)
    x = functional.relu(functional.conv2d(x, network.fc6.weight, network.fc6.bias))
    x = functional.relu(functional.conv2d(x, network.fc7.weight, network.fc7.bias))
    x = network.score_fr(x)
    for deconvolution, score, block, shrink in (
        ("upscore2", "score_pool4", 4, 0.01),
        ("upscore_pool4", "score_pool3", 3, 0.0001),
        ("upscore_pool3", "score_pool2", 2, 1),
    ):
        if score in crops:
            x = functional.conv_transpose2d(x, network.get_submodule(deconvolution).weight, stride=2)
            skip = network.get_submodule(score)(pools[block] * (shrink if network.config.at_once else 1))
            start = crops[score]
            x = x + skip[:, :, start : start + x.shape[2], start : start + x.shape[3]]
    last = network.get_submodule(network.final_name)
    x = functional.conv_transpose2d(x, last.weight, stride=last.stride)
    start = crops["final"]
    return x[:, :, start : start + height, start : start + width]


CROPS = {
    "fcn32s": {"final": 19},
    "fcn16s": {"score_pool4": 5, "final": 27},
    "fcn8s": {"score_pool4": 5, "score_pool3": 9, "final": 31},
    "fcn4s": {"score_pool4": 5, "score_pool3": 9, "score_pool2": 17, "final": 33},
}


@pytest.mark.parametrize(("variant", "at_once"), VARIANTS)
@pytest.mark.parametrize("size_hw", [(1, 1), (33, 47), (64, 96), (101, 38)])
def test_paper_geometry_equals_the_published_crops(variant: str, at_once: bool, size_hw: tuple[int, int]) -> None:
    network = FCN(variant, 5, width=0.05, fc_dim=24, geometry="paper", at_once=at_once)
    seeded(network, scale=1.5)
    image = torch.randn(2, 3, *size_hw, generator=torch.Generator().manual_seed(7)) * 3
    with torch.inference_mode():
        got, wanted = network(image), paper_forward(network, image, CROPS[variant])
    assert got.shape == (2, 5, *size_hw)
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-6 * float(wanted.abs().max()))


@pytest.mark.parametrize(("variant", "at_once"), VARIANTS)
@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 100), width=st.integers(1, 100))
def test_same_geometry_takes_every_size(variant: str, at_once: bool, height: int, width: int) -> None:
    network = FCN(variant, 3, width=0.02, fc_dim=4, at_once=at_once).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, height, width)).shape == (1, 3, height, width)


def test_same_geometry_pads_with_zeros_after_normalisation() -> None:
    network = seeded(FCN("fcn8s", 3, width=0.05, fc_dim=8))
    image = torch.randn(1, 3, 50, 70, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        padded = network(functional.pad(image, (0, 96 - 70, 0, 64 - 50)))
        torch.testing.assert_close(network(image), padded[..., :50, :70])


@pytest.mark.parametrize("geometry", ["paper", "same"])
def test_a_picture_moved_by_32_pixels_moves_its_scores_by_32(geometry: str) -> None:
    """Every map is aligned: what the network sees has no other reference than the stride of its deepest layer."""
    network = seeded(FCN("fcn8s", 3, width=0.05, fc_dim=8, geometry=geometry))
    scene = torch.randn(1, 3, 736, 736, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        here, there = network(scene[..., :704, :704]), network(scene[..., 32:, 32:])
    inner = slice(352, 384)  # beyond the reach of the border
    moved = slice(320, 352)
    torch.testing.assert_close(here[..., inner, inner], there[..., moved, moved], rtol=1e-4, atol=1e-5)


def test_scores_of_a_mirrored_picture_are_mirrored_scores() -> None:
    """With symmetric kernels nothing may drift to one side: this fails if a map is half a pixel off."""
    network = FCN("fcn8s", 3, width=0.05, fc_dim=8)
    seeded(network)
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = (parameter.data + parameter.data.flip(-1)) / 2
    picture = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        torch.testing.assert_close(network(picture.flip(-1)), network(picture).flip(-1), rtol=1e-4, atol=1e-5)


def test_crops_of_the_paper_follow_from_the_arithmetic() -> None:
    grid = Grid().after_convolution(3, 100)
    pools = []
    for _ in range(5):
        grid = grid.after_convolution(2, 0, stride=2)
        pools.append(grid)
    deep = pools[4].after_convolution(7, 0)
    fused4 = deep.after_deconvolution(4, 0, 2)
    fused3 = fused4.after_deconvolution(4, 0, 2)
    assert pools[3].crop_to(fused4) == 5 and pools[2].crop_to(fused3) == 9
    assert fused3.after_deconvolution(16, 0, 8).crop_to(Grid()) == 31


@pytest.mark.parametrize("size", [4, 16, 32, 64])
def test_bilinear_kernels_interpolate(size: int) -> None:
    """Inside the map a constant stays constant and a ramp a ramp."""
    factor = size // 2
    ramp = torch.arange(12.0).expand(1, 1, 12, 12)
    padding = factor // 2
    up = functional.conv_transpose2d(ramp, bilinear_kernel(size)[None, None], stride=factor, padding=padding)
    wanted = functional.interpolate(ramp, scale_factor=factor, mode="bilinear")
    inner = slice(size, -size)
    torch.testing.assert_close(up[..., inner, inner], wanted[..., inner, inner])


@pytest.mark.parametrize(("variant", "at_once"), VARIANTS)
def test_layers_carry_the_published_names_and_shapes(variant: str, at_once: bool) -> None:
    shapes = {key: tuple(value.shape) for key, value in FCN(variant, 21, at_once=at_once).state_dict().items()}
    assert shapes["conv1_1.weight"] == (64, 3, 3, 3) and shapes["conv5_3.bias"] == (512,)
    assert shapes["fc6.weight"] == (4096, 512, 7, 7) and shapes["fc7.weight"] == (4096, 4096, 1, 1)
    skips = {f"score_pool{block}" for block in (4, 3, 2) if 2**block >= int(variant[3:-1])}
    ups = {
        "fcn32s": {"upscore": 64},
        "fcn16s": {"upscore2": 4, "upscore16": 32},
        "fcn8s": {"upscore2": 4, "upscore_pool4": 4, "upscore8": 16},
        "fcn4s": {"upscore2": 4, "upscore_pool4": 4, "upscore_pool3": 4, "upscore4": 8},
    }[variant]
    assert {key.split(".")[0] for key in shapes if key.startswith("score")} == {"score_fr", *skips}
    assert {key: shapes[key] for key in shapes if key.startswith("upscore")} == {
        f"{name}.weight": (21, 21, kernel, kernel) for name, kernel in ups.items()
    }


def test_only_the_last_upsampling_is_fixed() -> None:
    network = FCN("fcn8s", 4, width=0.05, fc_dim=8)
    fixed = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    assert fixed == {"upscore8.weight"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"variant": "fcn2s"},
        {"norm": "group"},
        {"geometry": "valid"},
        {"num_classes": 0},
        {"num_classes": 256},
        {"width": 0.0},
        {"variant": "fcn32s", "at_once": True},
    ],
)
def test_impossible_networks_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        FCN(**wrong)  # type: ignore[arg-type]
