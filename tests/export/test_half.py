"""export.half: what is float16, what stays float32 and why, and that the graph says every cast itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper

from calibration.image_set import pick
from calibration.ranges import Histogram, observe, relu_outputs
from export.half import LIMIT, halved, out_of_range
from export.onnx_export import onnx_from_checkpoint
from fcn_edge.datasets import open_dataset
from fcn_edge.datasets.street import draw_street
from fcn_edge.manifest import ModelFacts
from fcn_edge.training.checkpoint import load_checkpoint
from tests.conftest import SIZE_HW
from tests.export.conftest import LOUD, READER, sabotaged

HALF, SINGLE = TensorProto.FLOAT16, TensorProto.FLOAT


@pytest.fixture(scope="module")
def fp32(tiny_bundle: Path) -> onnx.ModelProto:
    return onnx.load(tiny_bundle / "model.fp32.onnx")


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    values = [*inferred.value_info, *inferred.input, *inferred.output]
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {constant.name: constant.data_type for constant in inferred.initializer}


def histograms(fp32: onnx.ModelProto, **loud: float) -> dict[str, Histogram]:
    """All layers quiet but those named."""
    made = {layer: Histogram() for layer in relu_outputs(fp32.graph)}
    for layer, histogram in made.items():
        histogram.maximum = loud.get(layer, 10.0)
    return made


def masks(model: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    frames = [draw_street(seed, size_hw=SIZE_HW)[0] for seed in range(3)]
    return np.stack([session.run(None, {"frame": frame[None]})[0][0] for frame in frames])


def test_convolutions_relus_and_pools_are_float16_and_all_else_is_float32(fp32: onnx.ModelProto) -> None:
    model = halved(fp32)
    types, layers = types_of(model), set(relu_outputs(fp32.graph))
    for node in model.graph.node:
        if node.op_type == "Cast":
            continue
        ends = {types[name] for name in (*node.input, *node.output) if types[name] in (HALF, SINGLE)}
        in_half = node.name in layers or node.op_type in ("Relu", "MaxPool")
        assert ends <= {HALF if in_half else SINGLE}, node.name
    named = {node.name for node in model.graph.node}
    assert layers | {"score_fr", "score_pool4", "score_pool3", "upscore2", "upscore8"} <= named and len(layers) == 15


def test_every_change_of_type_is_a_cast_of_its_own_and_none_is_done_twice(fp32: onnx.ModelProto) -> None:
    model = halved(fp32)
    types = types_of(model)
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    between = [node for node in casts if {types[node.input[0]], types[node.output[0]]} == {HALF, SINGLE}]
    # one into the base net, and one out of it before each of the three score layers
    assert len(between) == 4
    assert len({(node.input[0], types[node.output[0]]) for node in between}) == len(between)


def test_the_file_is_sound_opens_and_gives_nearly_the_same_masks(fp32: onnx.ModelProto) -> None:
    model = halved(fp32)
    onnx.checker.check_model(model, full_check=True)
    assert np.mean(masks(model) == masks(fp32)) > 0.995


def test_weights_are_the_nearest_float16(fp32: onnx.ModelProto) -> None:
    model = halved(fp32)
    plain = {constant.name: numpy_helper.to_array(constant) for constant in fp32.graph.initializer}
    stored = {constant.name: numpy_helper.to_array(constant) for constant in model.graph.initializer}
    before = {node.name: node for node in fp32.graph.node}
    for node in model.graph.node:
        if node.name in relu_outputs(fp32.graph):
            for name, source in zip(node.input[1:], before[node.name].input[1:], strict=True):
                assert (
                    np.array_equal(stored[name], plain[source].astype(np.float16)) and stored[name].dtype == np.float16
                )


def test_a_quiet_network_has_no_layer_out_of_range(fp32: onnx.ModelProto) -> None:
    assert out_of_range(fp32.graph, histograms(fp32, conv3_1=LIMIT)) == []


@pytest.mark.parametrize(
    ("loud", "kept"),
    [
        (["conv3_1"], ["conv3_1", "conv3_2"]),
        (["conv3_3"], ["conv3_3", "conv4_1"]),  # read behind a pool
        (["fc7"], ["fc7"]),  # read by the scores alone, which are float32 anyway
        (["conv5_3", "conv1_1"], ["conv1_1", "conv1_2", "conv5_3", "fc6"]),  # in the network's order
    ],
)
def test_layers_that_make_or_read_more_than_the_limit_are_named(
    loud: list[str], kept: list[str], fp32: onnx.ModelProto
) -> None:
    assert out_of_range(fp32.graph, histograms(fp32, **dict.fromkeys(loud, 1.01 * LIMIT))) == kept


@pytest.mark.parametrize("which", [1, 2], ids=["weight", "bias"])
def test_layers_that_hold_more_than_the_limit_are_named(which: int, fp32: onnx.ModelProto) -> None:
    heavy = onnx.ModelProto()
    heavy.CopyFrom(fp32)
    name = next(node.input[which] for node in heavy.graph.node if node.name == "conv2_1")
    constant = next(found for found in heavy.graph.initializer if found.name == name)
    values = numpy_helper.to_array(constant).copy()
    values.reshape(-1)[-1] = -1.01 * LIMIT
    constant.CopyFrom(numpy_helper.from_array(values, name))
    assert out_of_range(heavy.graph, histograms(heavy)) == ["conv2_1"]


@pytest.mark.parametrize("kept", [{"conv3_3", "conv4_1"}, {"conv1_1"}, {"fc7"}], ids="-".join)
def test_layers_that_are_kept_stay_float32_at_every_end(kept: set[str], fp32: onnx.ModelProto) -> None:
    model = halved(fp32, kept)
    onnx.checker.check_model(model, full_check=True)
    types, relus = types_of(model), relu_outputs(fp32.graph)
    for node in model.graph.node:
        if node.name in relus:
            wanted = SINGLE if node.name in kept else HALF
            assert {types[name] for name in (*node.input, *node.output, relus[node.name])} == {wanted}, node.name
    assert np.mean(masks(model) == masks(fp32)) > 0.995


def test_with_every_layer_kept_it_is_the_fp32_graph(fp32: onnx.ModelProto) -> None:
    model = halved(fp32, set(relu_outputs(fp32.graph)))
    assert [node.op_type for node in model.graph.node] == [node.op_type for node in fp32.graph.node]


@pytest.fixture(scope="module")
def loud(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An fp32 graph of which one layer's values are beyond float16."""
    folder = tmp_path_factory.mktemp("loud")
    checkpoint = load_checkpoint(sabotaged(tiny_checkpoint, folder / "loud.safetensors", power=15))
    onnx_from_checkpoint(checkpoint, ModelFacts(checkpoint.labels, SIZE_HW, "fp32"), folder / "loud.onnx")
    return folder / "loud.onnx"


def largest(model: onnx.ModelProto, tensor: str) -> float:
    """Of a tensor on a street. (A mask would not show it: onnxruntime's CPU convolves float16 in float32.)"""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.append(onnx.helper.make_tensor_value_info(tensor, types_of(model)[tensor], None))
    session = onnxruntime.InferenceSession(shown.SerializeToString(), providers=["CPUExecutionProvider"])
    return float(session.run([tensor], {"frame": draw_street(0, size_hw=SIZE_HW)[0][None]})[0].max())


def test_what_would_overflow_is_found_by_calibration_and_stays_finite(loud: Path, street_folder: Path) -> None:
    fp32, pictures = onnx.load(loud), pick(open_dataset(f"folder:{street_folder}", "train"), 2)
    *_, seen = observe(loud, pictures, SIZE_HW)
    kept = out_of_range(fp32.graph, seen)
    assert kept == [LOUD, READER]
    tensor = relu_outputs(fp32.graph)[LOUD]
    assert largest(halved(fp32), tensor) == np.inf
    assert largest(halved(fp32, set(kept)), tensor) == pytest.approx(largest(fp32, tensor), rel=0.01)
    assert np.mean(masks(halved(fp32, set(kept))) == masks(fp32)) > 0.995
