"""Colour order and normalisation of foreign weights end up in the exported graph: it gives the checkpoint's masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from export.onnx_export import onnx_from_checkpoint
from fcn_edge.datasets.street import draw_street
from fcn_edge.labels import LabelSet
from fcn_edge.manifest import ModelFacts
from fcn_edge.training.checkpoint import Checkpoint
from fcn_edge.training.evaluate import CheckpointSession
from fcn_edge.training.network import FCN
from fcn_edge.training.start import started_from
from fcn_edge.training.weights import read_weights
from tests.training.foreign_weights import State, drawn, published_fcn, saved, vgg16

LABELS = LabelSet(("a", "b", "c"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))
SIZE_HW = (61, 83)

KINDS: dict[str, tuple[Callable[[], State], str]] = {
    "torchvision's vgg16": (vgg16, "none"),
    "torchvision's vgg16_bn": (lambda: vgg16(batch_norm=True), "batch"),
    "a published FCN": (lambda: published_fcn(classes=3), "none"),
}


def started(state: State, norm: str, path: Path) -> Checkpoint:
    """As a training starts, with scores that tell pixels apart and none of whose classes wins everywhere."""
    network = FCN("fcn8s", 3, width=1 / 16, fc_dim=16, norm=norm)
    checkpoint = started_from(read_weights(str(saved(state, path))), Checkpoint(network.eval(), LABELS))
    frames = torch.from_numpy(np.stack([draw_street(seed, size_hw=SIZE_HW)[0] for seed in range(3)]))
    with torch.no_grad():
        for name in ("score_fr", "score_pool4", "score_pool3"):
            layer = network.get_submodule(name)
            layer.weight.copy_(drawn(name, *layer.weight.shape))
        scores = network(checkpoint.preprocessing.normalise(frames))
        network.score_fr.bias -= scores.mean((0, 2, 3)) / network.upscore8.weight[0, 0].sum().sign()
    return checkpoint


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_gives_the_masks_of_a_network_from_foreign_weights(kind: str, tmp_path: Path) -> None:
    make, norm = KINDS[kind]
    checkpoint = started(make(), norm, tmp_path / "start.pth")
    onnx_from_checkpoint(checkpoint, ModelFacts(LABELS, SIZE_HW, "fp32"), tmp_path / "graph.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "graph.onnx", providers=["CPUExecutionProvider"])
    reference = CheckpointSession(checkpoint)
    seen, turned = set(), []
    for seed in range(3):
        frame = draw_street(seed, size_hw=SIZE_HW)[0]
        wanted = reference.infer(frame)
        seen |= set(np.unique(wanted).tolist())
        turned.append(np.mean(wanted != reference.infer(np.ascontiguousarray(frame[..., ::-1]))))
        assert np.mean(session.run(None, {"frame": frame[None]})[0][0] == wanted) > 0.999
    assert len(seen) > 1 and max(turned) > 0.01  # or no order of the colours could be told from another
