"""Net surgery: VGG16 is the same function as a convolutional net; a finer network starts as the coarser one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fcn_edge.labels import LabelSet
from fcn_edge.training.network import FCN, FINAL_STRIDE, Grid, bilinear_kernel
from fcn_edge.training.surgery import staged, transplant, vgg16_layers
from fcn_edge.training.weights import TORCHVISION
from tests.conftest import lively
from tests.training.foreign_weights import (
    rgb_as_torchvision_normalises,
    vgg16,
    vgg16_features,
    vgg16_scores,
)

LABELS = LabelSet(("a", "b", "c"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))


def frames(count: int, side: int) -> Tensor:
    """(N, side, side, 3) BGR uint8, each channel in a range of its own, so that no order of them passes for another."""
    noise = torch.rand(count, side, side, 3, generator=torch.Generator().manual_seed(3))
    return (noise * torch.tensor([255.0, 120.0, 40.0])).to(torch.uint8)


@pytest.mark.parametrize(
    ("norm", "positions"),
    [
        ("none", [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]),
        ("batch", [0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40]),
    ],
)
def test_layers_are_counted_as_torchvision_counts_them(norm: str, positions: list[int]) -> None:
    assert list(vgg16_layers(norm).values()) == [
        *(f"features.{position}" for position in positions),
        "classifier.0",
        "classifier.3",
    ]


def convolutional(state: dict[str, Tensor], norm: str, width: float, fc_dim: int) -> FCN:
    """VGG16 in an FCN, with its 1000 scores as the score layer."""
    network = FCN("fcn32s", 3, width=width, fc_dim=fc_dim, norm=norm)
    network.load_state_dict(transplant(state, norm), strict=False)
    network.score_fr = nn.Conv2d(fc_dim, 1000, 1)
    weight, bias = state["classifier.6.weight"][..., None, None], state["classifier.6.bias"]
    network.score_fr.load_state_dict({"weight": weight, "bias": bias})
    return network.eval()


@pytest.mark.parametrize(("norm", "width", "fc_dim"), [("none", 1.0, 4096), ("none", 1 / 8, 48), ("batch", 1 / 8, 48)])
def test_the_convolutional_net_gives_the_classifiers_own_scores(norm: str, width: float, fc_dim: int) -> None:
    """On a 224x224 crop the element of the map whose window is the whole crop; colours and normalisation included."""
    state = vgg16(width, fc_dim, batch_norm=norm == "batch")
    crop = frames(1, 224)
    with torch.inference_mode():
        wanted = vgg16_scores(state, rgb_as_torchvision_normalises(crop))[0]
        scores, _ = convolutional(state, norm, width, fc_dim).coarse_scores(TORCHVISION.normalise(crop))
    assert scores.shape == (1, 1000, 7, 7) and 0.1 < wanted.std() < 10
    assert float((scores[0, :, 3, 3] - wanted).abs().max()) < 1e-4


def test_biases_before_a_norm_are_lost_in_training_as_theirs_are() -> None:
    """With the batch's own statistics, too, the base net is torchvision's."""
    state = vgg16(batch_norm=True)
    pictures = frames(2, 64)
    network = convolutional(state, "batch", 1 / 16, 16).train()
    with torch.inference_mode():
        wanted = vgg16_features(state, rgb_as_torchvision_normalises(pictures), training=True)
        pools, _ = network._pools(TORCHVISION.normalise(pictures))
    torch.testing.assert_close(pools[5], wanted, rtol=1e-4, atol=1e-4)


STAGES = [("fcn32s", "fcn16s"), ("fcn16s", "fcn8s"), ("fcn32s", "fcn8s"), ("fcn8s", "fcn4s")]
PAPER = ("fcn16s", "fcn8s", "paper")


def stage(coarse: str, fine: str, geometry: str) -> tuple[FCN, FCN]:
    """A network of lively weights and its finer heir."""
    settings = {"num_classes": 3, "width": 1 / 16, "fc_dim": 16, "norm": "batch", "geometry": geometry}
    source = lively(FCN(coarse, **settings))
    heir = FCN(fine, **settings)
    heir.load_state_dict(staged(source.state_dict(), coarse, fine), strict=False)
    return source, heir.eval()


def doubled(scores: Tensor, geometry: str) -> Tensor:
    """Upsampled by two by the bilinear kernel, each class by itself."""
    kernel = bilinear_kernel(4).expand(len(LABELS), 1, 4, 4)
    padding = 1 if geometry == "same" else 0
    return functional.conv_transpose2d(scores, kernel, stride=2, padding=padding, groups=len(LABELS))


@pytest.mark.parametrize(("coarse", "fine", "geometry"), [*((*stage, "same") for stage in STAGES), PAPER])
def test_a_finer_network_starts_with_the_coarser_ones_scores_upsampled(coarse: str, fine: str, geometry: str) -> None:
    source, heir = stage(coarse, fine, geometry)
    picture = torch.randn(1, 3, 96, 128, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted, _ = source.coarse_scores(picture)
        for _ in range(int(math.log2(FINAL_STRIDE[coarse] / FINAL_STRIDE[fine]))):
            wanted = doubled(wanted, geometry)
        got, _ = heir.coarse_scores(picture)
    assert wanted.std() > 0.01
    torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-6)


def between_scores(grid: Grid, side: int) -> Tensor:
    """(side,) which pixels lie in the inner half of a cell between coarse scores, a cell away from the border."""
    places = (torch.arange(side) - grid.offset) / grid.stride
    inner = ((places % 1) >= 0.25) & ((places % 1) <= 0.75)
    return inner & (torch.arange(side) >= 1.5 * grid.stride) & (torch.arange(side) < side - 1.5 * grid.stride)


@pytest.mark.parametrize(("coarse", "fine", "geometry"), [*((*stage, "same") for stage in STAGES[:2]), PAPER])
def test_a_finer_network_starts_with_the_coarser_ones_masks(coarse: str, fine: str, geometry: str) -> None:
    """Equal in the inner half of each cell, elsewhere within an eighth of the second difference per axis."""
    source, heir = stage(coarse, fine, geometry)
    side = 192
    picture = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        scores, grid = source.coarse_scores(picture)
        wanted, got = source(picture)[0], heir(picture)[0]
    inner = between_scores(grid, side)
    equal = inner[:, None] & inner[None, :]
    assert equal.sum() > 500
    torch.testing.assert_close(got[:, equal], wanted[:, equal], rtol=1e-4, atol=1e-5)
    bound = sum(float(scores.diff(n=2, dim=axis).abs().max()) for axis in (2, 3)) / 8
    away = slice(int(grid.stride * 1.5), -int(grid.stride * 1.5))
    worst = float((got - wanted)[:, away, away].abs().max())
    assert 1e-3 * bound < worst <= bound * (1 + 1e-5)
