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

PRECISIONS = ("fp32", "fp16", "int8", "int8-cpu")
LABELS = LabelSet(("a", "b", "c"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))


PER_CHANNEL = Preprocessing((90.0, 100.0, 110.0), (50.0, 60.0, 70.0))


def random_checkpoint(preprocessing: Preprocessing = PER_CHANNEL, **network: object) -> Checkpoint:
    """A network whose masks hold several classes."""
    made = lively(FCN(num_classes=3, width=0.06, fc_dim=12, **network))  # type: ignore[arg-type]
    return Checkpoint(made, LABELS, preprocessing)


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
        ({"variant": "fcn4s", "norm": "batch"}, (61, 83)),
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


@pytest.mark.parametrize(
    ("preprocessing", "mean_shape"),
    [
        (Preprocessing(), []),
        (Preprocessing((128.0, 128.0, 128.0), (50.0, 60.0, 70.0)), []),
        (PER_CHANNEL, [1, 3, 1, 1]),
    ],
    ids=["of all", "mean of all", "per channel"],
)
def test_the_deviation_is_in_the_first_weights_and_the_mean_is_subtracted_once(
    preprocessing: Preprocessing, mean_shape: list[int], tmp_path: Path
) -> None:
    """By a number where all channels have the same."""
    checkpoint = random_checkpoint(preprocessing, norm="batch")
    path = tmp_path / "graph.onnx"
    onnx_from_checkpoint(checkpoint, ModelFacts(LABELS, (61, 83), "fp32"), path)
    graph = onnx.load(path).graph
    constants = {constant.name: onnx.numpy_helper.to_array(constant) for constant in graph.initializer}
    cast, turn, subtract, *others = graph.node
    assert [cast.op_type, turn.op_type, subtract.op_type] == ["Cast", "Transpose", "Sub"]
    assert list(constants[subtract.input[1]].shape) == mean_shape
    assert constants[subtract.input[1]].reshape(-1).tolist() == list(preprocessing.mean_bgr)[: 3 if mean_shape else 1]
    assert not any(node.op_type in ("Div", "Mul", "Sub") for node in others)
    first = next(node for node in others if node.name == "conv1_1")
    plain = folded(checkpoint.network).get_parameter("conv1_1.weight").detach().numpy()
    np.testing.assert_allclose(
        constants[first.input[1]], plain / np.float32(preprocessing.std_bgr).reshape(1, 3, 1, 1), rtol=1e-5
    )
    session, reference = onnxruntime.InferenceSession(path), CheckpointSession(checkpoint)
    for seed in range(3):
        frame = draw_street(seed, size_hw=(61, 83))[0]
        assert np.mean(session.run(None, {"frame": frame[None]})[0][0] == reference.infer(frame)) > 0.999


@pytest.mark.parametrize("at_once", [False, True])
def test_the_scales_of_at_once_skips_move_into_their_weights(at_once: bool) -> None:
    network = random_checkpoint(at_once=at_once).network
    with torch.no_grad():
        network.score_pool4.bias += 0.7  # which is not scaled
    plain = folded(network).eval()
    assert plain.config.at_once is False
    factor = float((plain.score_pool4.weight / network.score_pool4.weight).detach().mean())
    assert factor == pytest.approx(0.01 if at_once else 1)
    picture = 50 * torch.randn(1, 3, 70, 90, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(plain(picture), network(picture), rtol=1e-4, atol=1e-3)


def test_the_masks_of_these_tests_hold_several_classes() -> None:
    """Guards the test above: masks of one class would agree whatever the graph did."""
    mask = CheckpointSession(random_checkpoint(norm="batch")).infer(draw_street(0, size_hw=(64, 96))[0])
    assert len(np.unique(mask)) >= 2


@pytest.fixture(scope="module")
def graphs(tiny_bundle: Path) -> dict[str, onnx.ModelProto]:
    return {name: onnx.load(tiny_bundle / f"model.{name}.onnx") for name in PRECISIONS}


@pytest.mark.parametrize("name", PRECISIONS)
def test_the_contract_holds(name: str, graphs: dict[str, onnx.ModelProto]) -> None:
    model = graphs[name]
    onnx.checker.check_model(model, full_check=True)
    ends = [*model.graph.input, *model.graph.output]
    shapes = [[dimension.dim_value for dimension in end.type.tensor_type.shape.dim] for end in ends]
    assert [end.name for end in ends] == ["frame", "mask"] and shapes == [[1, 64, 96, 3], [1, 64, 96]]
    assert {end.type.tensor_type.elem_type for end in ends} == {onnx.TensorProto.UINT8}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)] and model.ir_version == 8


@pytest.mark.parametrize("name", PRECISIONS)
def test_the_file_tells_nothing_of_the_machine_that_made_it(name: str, tiny_bundle: Path) -> None:
    content = (tiny_bundle / f"model.{name}.onnx").read_bytes()
    words = ("site-packages", "stack_trace", "deploy_graph", ".py", str(Path.cwd()), str(tiny_bundle.parent.parent))
    assert not [word for word in words if word.encode() in content]


def test_layers_carry_the_papers_names(graphs: dict[str, onnx.ModelProto]) -> None:
    names = {node.name for node in graphs["fp32"].graph.node if node.op_type in ("Conv", "ConvTranspose")}
    assert {"conv1_1", "conv5_3", "fc6", "fc7", "score_fr", "score_pool4", "upscore2", "upscore8"} <= names
    assert len(names) == 21


def test_batch_norm_is_folded_and_the_cast_comes_first(graphs: dict[str, onnx.ModelProto]) -> None:
    nodes = graphs["fp32"].graph.node
    assert not any(node.op_type == "BatchNormalization" for node in nodes)
    first = [node for node in nodes if "frame" in node.input]
    assert [node.op_type for node in first] == ["Cast"]


def test_the_deploy_graph_is_the_network_between_frame_and_mask(tiny_checkpoint: Path) -> None:
    checkpoint = load_checkpoint(tiny_checkpoint)
    frame = draw_street(3, size_hw=(64, 96))[0]
    with torch.inference_mode():
        (mask,) = DeployGraph(checkpoint, (64, 96))(torch.from_numpy(frame)[None])
    assert mask.dtype == torch.uint8
    assert np.mean(mask[0].numpy() == CheckpointSession(checkpoint).infer(frame)) > 0.999
