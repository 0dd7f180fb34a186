"""The exported graph: equal to the network at every size, under the contract, and silent about its maker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.deploy_graph import DeployGraph, folded
from export.onnx_export import onnx_from_checkpoint
from fcn_edge.datasets.street import draw_street
from fcn_edge.images import fit_frame
from fcn_edge.labels import LabelSet
from fcn_edge.manifest import ModelFacts
from fcn_edge.training.checkpoint import Checkpoint, Preprocessing, load_checkpoint
from fcn_edge.training.evaluate import CheckpointSession
from fcn_edge.training.network import FCN
from tests.conftest import lively

LABELS = LabelSet(("a", "b", "c"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))


def random_checkpoint(**network: object) -> Checkpoint:
    """A network whose masks hold several classes."""
    made = lively(FCN(num_classes=3, width=0.06, fc_dim=12, **network))  # type: ignore[arg-type]
    return Checkpoint(made, LABELS, Preprocessing((90.0, 100.0, 110.0), (50.0, 60.0, 70.0)))


def test_folding_batch_norm_changes_nothing() -> None:
    network = random_checkpoint(norm="batch").network
    picture = torch.randn(1, 3, 70, 90)
    plain = folded(network).eval()
    assert not any("_norm" in key for key in plain.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(plain(picture), network(picture), rtol=1e-4, atol=1e-4)


def test_folding_leaves_the_network_itself_alone() -> None:
    network = random_checkpoint(norm="batch").network
    before = {key: value.clone() for key, value in network.state_dict().items()}
    folded(network)
    assert all(torch.equal(network.state_dict()[key], value) for key, value in before.items())


@pytest.mark.parametrize(
    ("network", "size_hw"),
    [
        ({"variant": "fcn8s", "norm": "batch"}, (64, 96)),
        ({"variant": "fcn8s", "norm": "batch"}, (61, 83)),
        ({"variant": "fcn8s", "at_once": True}, (33, 47)),
        ({"variant": "fcn16s"}, (40, 64)),
        ({"variant": "fcn32s", "norm": "batch"}, (50, 50)),
        ({"variant": "fcn8s", "geometry": "paper"}, (45, 64)),
        ({"variant": "fcn8s"}, (1, 1)),
    ],
)
def test_the_file_gives_the_networks_masks(
    network: dict[str, object], size_hw: tuple[int, int], tmp_path: Path
) -> None:
    checkpoint = random_checkpoint(**network)
    path = tmp_path / "graph.onnx"
    onnx_from_checkpoint(checkpoint, ModelFacts(LABELS, size_hw, "fp32"), path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    reference = CheckpointSession(checkpoint)
    for seed in range(3):
        frame = fit_frame(draw_street(seed)[0], size_hw)
        mask = session.run(None, {"frame": frame[None]})[0]
        assert mask.shape == (1, *size_hw) and mask.dtype == np.uint8
        assert np.mean(mask[0] == reference.infer(frame)) > 0.999


def test_the_masks_of_these_tests_hold_several_classes() -> None:
    """Guards the test above: masks of one class would agree whatever the graph did."""
    mask = CheckpointSession(random_checkpoint(norm="batch")).infer(draw_street(0, size_hw=(64, 96))[0])
    assert len(np.unique(mask)) >= 2


@pytest.fixture(scope="module")
def graphs(tiny_bundle: Path) -> dict[str, onnx.ModelProto]:
    return {name: onnx.load(tiny_bundle / f"model.{name}.onnx") for name in ("fp32", "int8-cpu")}


@pytest.mark.parametrize("name", ["fp32", "int8-cpu"])
def test_the_contract_holds(name: str, graphs: dict[str, onnx.ModelProto]) -> None:
    model = graphs[name]
    onnx.checker.check_model(model, full_check=True)
    ends = [*model.graph.input, *model.graph.output]
    shapes = [[dimension.dim_value for dimension in end.type.tensor_type.shape.dim] for end in ends]
    assert [end.name for end in ends] == ["frame", "mask"] and shapes == [[1, 64, 96, 3], [1, 64, 96]]
    assert {end.type.tensor_type.elem_type for end in ends} == {onnx.TensorProto.UINT8}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)] and model.ir_version == 8


@pytest.mark.parametrize("name", ["fp32", "int8-cpu"])
def test_the_file_tells_nothing_of_the_machine_that_made_it(name: str, tiny_bundle: Path) -> None:
    content = (tiny_bundle / f"model.{name}.onnx").read_bytes()
    for word in (b"site-packages", b"stack_trace", b"deploy_graph", b".py", str(Path.cwd()).encode()):
        assert word not in content


def test_layers_carry_the_papers_names(graphs: dict[str, onnx.ModelProto]) -> None:
    names = {node.name for node in graphs["fp32"].graph.node if node.op_type in ("Conv", "ConvTranspose")}
    assert {"conv1_1", "conv5_3", "fc6", "fc7", "score_fr", "score_pool4", "upscore2", "upscore8"} <= names
    assert len(names) == 21


def test_batch_norm_is_folded_and_the_cast_comes_first(graphs: dict[str, onnx.ModelProto]) -> None:
    nodes = graphs["fp32"].graph.node
    assert not any(node.op_type == "BatchNormalization" for node in nodes)
    first = [node for node in nodes if "frame" in node.input]
    assert [node.op_type for node in first] == ["Cast"]


def test_int8_quantises_the_base_net_per_channel_and_leaves_scores_float(graphs: dict[str, onnx.ModelProto]) -> None:
    graph = graphs["int8-cpu"].graph
    made_by = {output: node for node in graph.node for output in node.output}
    weights = {initializer.name: initializer for initializer in graph.initializer}
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        quantised = node.input[1] in made_by and made_by[node.input[1]].op_type == "DequantizeLinear"
        assert quantised == (not node.name.startswith("score")), node.name
        if quantised:
            source = made_by[node.input[1]].input
            assert weights[source[0]].data_type == onnx.TensorProto.INT8
            assert list(weights[source[1]].dims) == [weights[source[0]].dims[0]]


def test_the_deploy_graph_is_the_network_between_frame_and_mask(tiny_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint)
    frame = draw_street(3, size_hw=(64, 96))[0]
    with torch.inference_mode():
        mask = DeployGraph(checkpoint)(torch.from_numpy(frame)[None])
    assert mask.dtype == torch.uint8
    assert np.mean(mask[0].numpy() == CheckpointSession(checkpoint).infer(frame)) > 0.999
