"""export.decoder: the phases of the last upsampling are the deconvolution, bit for bit, ties and borders included."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from export.decoder import PhaseDecoder, is_bilinear, phase_decoder
from export.deploy_graph import DeployGraph
from export.onnx_export import onnx_from_checkpoint
from fcn_edge.datasets.street import draw_street
from fcn_edge.labels import LabelSet
from fcn_edge.manifest import ModelFacts
from fcn_edge.training.checkpoint import Checkpoint
from fcn_edge.training.evaluate import CheckpointSession
from fcn_edge.training.network import FCN, FINAL_STRIDE, Grid
from tests.conftest import lively

CLASSES = 3
LABELS = LabelSet(("a", "b", "c"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))


@cache
def network_of(variant: str, geometry: str) -> FCN:
    """One channel is enough: only its last layer, sizes and grids are asked for."""
    return FCN(variant, CLASSES, width=0.01, fc_dim=1, geometry=geometry).eval()


def coarse(variant: str, geometry: str, size_hw: tuple[int, int]) -> tuple[tuple[int, ...], Grid]:
    """The size of the network's coarse scores for a picture, and where they lie; nothing is computed."""
    scores, grid = without_numbers(variant, geometry).coarse_scores(torch.empty(1, 3, *size_hw, device="meta"))
    return tuple(scores.shape), grid


@cache
def without_numbers(variant: str, geometry: str) -> FCN:
    return deepcopy(network_of(variant, geometry)).to("meta")


def by_deconvolution(network: FCN, scores: Tensor, grid: Grid, size_hw: tuple[int, int]) -> Tensor:
    """What the network itself makes of coarse scores: (C, H, W)."""
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(network, "coarse_scores", lambda images: (scores, grid), raising=True)
        return network(torch.zeros(1, 3, *size_hw))[0]


def by_phases(network: FCN, scores: Tensor, grid: Grid, size_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The decoder's scores (C, H, W) and its mask (H, W)."""
    decoder = phase_decoder(network, grid, size_hw)
    assert isinstance(decoder, PhaseDecoder)
    with torch.inference_mode():
        phases = decoder.phases(scores)
        pixels = torch.cat([decoder.pixels(of_class) for of_class in phases])
        return pixels, decoder.pixels(phases.argmax(0).float())[0]


sizes = st.tuples(st.integers(1, 130), st.integers(1, 130))
variants, geometries = st.sampled_from(sorted(FINAL_STRIDE)), st.sampled_from(["same", "paper"])


@settings(derandomize=True, deadline=None, max_examples=100)
@given(variants, geometries, sizes, st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 40]))
def test_on_numbers_that_floats_hold_exactly_scores_and_masks_are_the_deconvolutions_bit_for_bit(
    variant: str, geometry: str, size_hw: tuple[int, int], seed: int, spread: int
) -> None:
    """Eighths: products and sums of them with the kernel's taps are exact. Few of them: many classes tie."""
    network, (shape, grid) = network_of(variant, geometry), coarse(variant, geometry, size_hw)
    scores = torch.from_numpy(np.random.default_rng(seed).integers(-spread, spread + 1, shape)).float() / 8
    wanted = by_deconvolution(network, scores, grid, size_hw)
    found, mask = by_phases(network, scores, grid, size_hw)
    assert wanted.shape == (CLASSES, *size_hw)
    assert torch.equal(found, wanted)
    assert torch.equal(mask, wanted.argmax(0).float())


@settings(derandomize=True, deadline=None, max_examples=40)
@given(variants, geometries, sizes, st.integers(0, 2**32 - 1))
def test_on_any_numbers_they_agree_as_far_as_floats_can(
    variant: str, geometry: str, size_hw: tuple[int, int], seed: int
) -> None:
    network, (shape, grid) = network_of(variant, geometry), coarse(variant, geometry, size_hw)
    scores = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 10
    wanted = by_deconvolution(network, scores, grid, size_hw)
    found, mask = by_phases(network, scores, grid, size_hw)
    tolerance = 1e-5 * float(scores.abs().max())
    torch.testing.assert_close(found, wanted, rtol=0, atol=tolerance)
    best, second = wanted.topk(2, 0).values
    sure = best - second > 2 * tolerance
    assert torch.equal(mask[sure], wanted.argmax(0).float()[sure])


def test_the_numbers_of_these_tests_tie_often_and_all_classes_win_somewhere() -> None:
    """Guards the tests above."""
    (shape, grid), network = coarse("fcn8s", "same", (61, 83)), network_of("fcn8s", "same")
    scores = torch.from_numpy(np.random.default_rng(0).integers(-1, 2, shape)).float() / 8
    wanted = by_deconvolution(network, scores, grid, (61, 83))
    best, second = wanted.topk(2, 0).values
    assert 0.02 < float((best == second).float().mean()) < 0.5
    assert wanted.argmax(0).unique().tolist() == [0, 1, 2]


def checkpoint_of(**network: object) -> Checkpoint:
    return Checkpoint(lively(FCN(num_classes=CLASSES, width=0.06, fc_dim=12, **network)), LABELS)  # type: ignore[arg-type]


def exported(checkpoint: Checkpoint, path: Path, size_hw: tuple[int, int] = (61, 83)) -> onnx.ModelProto:
    onnx_from_checkpoint(checkpoint, ModelFacts(LABELS, size_hw, "fp32"), path)
    return onnx.load(path)


def masks_of(path: Path, checkpoint: Checkpoint, size_hw: tuple[int, int] = (61, 83)) -> tuple[np.ndarray, np.ndarray]:
    """The file's masks of three streets, and the network's own."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    frames = [draw_street(seed, size_hw=size_hw)[0] for seed in range(3)]
    found = [session.run(None, {"frame": frame[None]})[0][0] for frame in frames]
    return np.stack(found), np.stack([CheckpointSession(checkpoint).infer(frame) for frame in frames])


@pytest.mark.parametrize("variant", sorted(FINAL_STRIDE))
def test_the_exported_graph_has_phases_in_place_of_the_last_deconvolution(variant: str, tmp_path: Path) -> None:
    checkpoint = checkpoint_of(variant=variant)
    graph = exported(checkpoint, tmp_path / "graph.onnx").graph
    last = next(node for node in graph.node if node.name == checkpoint.network.final_name)
    assert last.op_type == "Conv"
    assert sum(node.op_type == "ConvTranspose" for node in graph.node) == len(checkpoint.network.skips)


@pytest.mark.parametrize("geometry", ["same", "paper"])
def test_a_learned_last_kernel_keeps_the_deconvolution(geometry: str, tmp_path: Path) -> None:
    checkpoint = checkpoint_of(geometry=geometry)
    with torch.no_grad():
        checkpoint.network.upscore8.weight += 0.05 * torch.randn(
            checkpoint.network.upscore8.weight.shape, generator=torch.Generator().manual_seed(0)
        )
    assert phase_decoder(checkpoint.network, Grid(8, 3.5), (61, 83)) is None
    graph = exported(checkpoint, tmp_path / "graph.onnx").graph
    assert next(node.op_type for node in graph.node if node.name == "upscore8") == "ConvTranspose"
    found, wanted = masks_of(tmp_path / "graph.onnx", checkpoint)
    assert np.mean(found == wanted) > 0.999 and len(np.unique(wanted)) > 1


def test_the_least_change_of_the_last_kernel_is_noticed() -> None:
    layer = FCN("fcn8s", CLASSES, width=0.01, fc_dim=1).upscore8
    assert is_bilinear(layer)
    for place in ((0, 0, 3, 3), (0, 1, 3, 3)):  # a class's own interpolation, and what it takes from another
        with torch.no_grad():
            before = float(layer.weight[place])
            layer.weight[place] += 1e-4
            assert not is_bilinear(layer)
            layer.weight[place] = before
    assert is_bilinear(layer)


def test_classes_that_always_tie_are_told_apart_as_the_network_does(tmp_path: Path) -> None:
    """Of two classes with the same weights the first wins, also in the file."""
    checkpoint = checkpoint_of(norm="batch")
    with torch.no_grad():
        for name in ("score_fr", "score_pool4", "score_pool3"):
            layer = checkpoint.network.get_submodule(name)
            layer.weight[2], layer.bias[2] = layer.weight[1], layer.bias[1]
    exported(checkpoint, tmp_path / "graph.onnx")
    found, wanted = masks_of(tmp_path / "graph.onnx", checkpoint)
    assert 1 in wanted and 2 not in wanted
    assert 1 in found and 2 not in found


@pytest.mark.parametrize("rewrites", [frozenset(), frozenset({"decoder"}), frozenset({"normalisation"})])
def test_the_graphs_that_a_benchmark_measures_against_are_the_network_too(rewrites: frozenset[str]) -> None:
    checkpoint, frame = checkpoint_of(norm="batch"), draw_street(1, size_hw=(61, 83))[0]
    graph = DeployGraph(checkpoint, (61, 83), rewrites=rewrites)
    with torch.inference_mode():
        (mask,) = graph(torch.from_numpy(frame)[None])
    assert (graph.decoder is None) == ("decoder" not in rewrites)
    assert np.mean(mask[0].numpy() == CheckpointSession(checkpoint).infer(frame)) > 0.999
