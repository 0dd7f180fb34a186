"""export.repair and sensitivity: which layers go first, when it stops, and that what it returns is what it wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import onnx
import pytest

from calibration.ranges import relu_outputs
from export.prover import Proof, Prover, Recipe
from export.repair import FLOAT_AT_MOST, Step, holds, repaired
from export.sensitivity import PICTURES, LayerCost, operation_shares, ranking
from fcn_edge.scoring import Answers, Comparison

RECIPE = Recipe("int8")


def comparison(drop: float | None, agreement: float = 0.9) -> Comparison:
    return Comparison(None, agreement, agreement, drop, None, {}, (agreement,))


class Stub(Prover):
    """A prover to whom a function tells how a recipe does; it notes what was written and what was tried."""

    def __init__(self, fp32: onnx.ModelProto, told: Callable[[Recipe], Comparison], pictures: int = 4) -> None:
        self.fp32, self.told = fp32, told
        self.reference = Answers(("a",), tuple(range(10, 10 + pictures)), (), None)
        self.written: list[Recipe] = []
        self.asked: list[Sequence[int] | None] = []

    def write(self, recipe: Recipe, path: Path) -> None:
        self.written.append(recipe)

    def prove(self, path: Path, precision: str, indices: Sequence[int] | None = None, engine: str = "") -> Proof:
        return Proof(self.told(self.written[-1]), self.reference, "a stub", engine)

    def tried(self, recipe: Recipe, indices: Sequence[int] | None = None) -> Comparison:
        self.asked.append(indices)
        return self.told(recipe)


@pytest.fixture(scope="module")
def fp32(tiny_bundle: Path) -> onnx.ModelProto:
    return onnx.load(tiny_bundle / "model.fp32.onnx")


def mend(
    fp32: onnx.ModelProto, told: Callable[[Recipe], Comparison], layers: list[str]
) -> tuple[Stub, Recipe, list[Step]]:
    stub = Stub(fp32, told)
    costs = [LayerCost(layer, 0.1, 0.1, 0.1) for layer in layers]
    recipe, steps = repaired(stub, RECIPE, costs, 0.005, Path("model.int8.onnx"), told(RECIPE))
    return stub, recipe, steps


def test_layers_are_kept_one_by_one_until_the_budget_holds(fp32: onnx.ModelProto) -> None:
    def told(recipe: Recipe) -> Comparison:
        return comparison(0.3 - 0.15 * len(recipe.kept))

    stub, recipe, steps = mend(fp32, told, ["conv4_2", "conv1_1", "fc6"])
    assert recipe.kept == {"conv4_2", "conv1_1"} and stub.written[-1] == recipe
    assert [step.kept for step in steps] == [(), ("conv4_2",), ("conv1_1", "conv4_2")]  # in the network's order
    assert [step.comparison.drop for step in steps] == [0.3, 0.15, 0.0]
    shares = operation_shares(fp32.graph, stub.layers)
    assert [step.low_share for step in steps] == pytest.approx(
        [1, 1 - shares["conv4_2"], 1 - shares["conv4_2"] - shares["conv1_1"]]
    )


def test_a_file_that_holds_already_is_left_alone(fp32: onnx.ModelProto) -> None:
    stub, recipe, steps = mend(fp32, lambda _: comparison(0.005), ["conv4_2"])
    assert (recipe, stub.written, len(steps)) == (RECIPE, [], 1)


def test_never_is_more_than_half_of_the_work_float_but_a_lighter_layer_may_still_be_kept(
    fp32: onnx.ModelProto, capsys: pytest.CaptureFixture[str]
) -> None:
    stub, _, steps = mend(
        fp32, lambda _: comparison(0.3), ["conv4_2", "conv4_3", "conv1_2", "conv2_2", "conv3_2", "fc7"]
    )
    shares = operation_shares(fp32.graph, stub.layers)
    assert sum(shares[layer] for layer in {*steps[4].kept, "conv3_2"}) > FLOAT_AT_MOST
    assert steps[-1].kept == ("conv1_2", "conv2_2", "conv4_2", "conv4_3", "fc7") and len(steps) == 6
    assert all(step.low_share >= 1 - FLOAT_AT_MOST for step in steps)
    assert "cannot be repaired" in capsys.readouterr().err


def test_where_nothing_holds_the_best_try_is_returned_and_written(fp32: onnx.ModelProto) -> None:
    """What is returned is what lies there, or the manifest would name layers that the file does not keep."""

    def told(recipe: Recipe) -> Comparison:
        return comparison({0: 0.4, 1: 0.2, 2: 0.3}[len(recipe.kept)])

    stub, recipe, steps = mend(fp32, told, ["conv4_2", "fc6"])
    assert [step.comparison.drop for step in steps] == [0.4, 0.2, 0.3]
    assert recipe.kept == {"conv4_2"} and stub.written[-1] == recipe


def test_without_labels_there_is_nothing_to_hold() -> None:
    assert holds(comparison(None), 0.0) and holds(comparison(-0.1), 0.0) and holds(comparison(0.005), 0.005)
    assert not holds(comparison(0.0051), 0.005)


def test_layers_are_ranked_by_the_mean_iou_that_each_alone_costs(fp32: onnx.ModelProto) -> None:
    layers = list(relu_outputs(fp32.graph))

    def told(recipe: Recipe) -> Comparison:
        """conv2_1 is in low precision alone: it costs accuracy; conv3_1: many pixels, but no accuracy."""
        (alone,) = set(layers) - recipe.kept
        return comparison({"conv2_1": 0.2, "fc7": 0.1}.get(alone, 0.0), 0.1 if alone == "conv3_1" else 0.9)

    ranked = ranking(Stub(fp32, told), RECIPE)
    assert [cost.layer for cost in ranked[:3]] == ["conv2_1", "fc7", "conv3_1"] and len(ranked) == len(layers)
    assert ranked[0].drop == 0.2 and ranked[2].disagreement == pytest.approx(0.9)
    assert sum(cost.share for cost in ranked) == pytest.approx(1)


def test_layers_that_are_float_already_are_not_ranked(fp32: onnx.ModelProto) -> None:
    ranked = ranking(Stub(fp32, lambda _: comparison(0.1)), RECIPE.keeping({"conv1_1"}))
    assert "conv1_1" not in [cost.layer for cost in ranked] and len(ranked) == 14


@pytest.mark.parametrize("pictures", [1, 5, PICTURES, 100])
def test_layers_are_ranked_on_some_pictures_from_first_to_last(pictures: int, fp32: onnx.ModelProto) -> None:
    stub = Stub(fp32, lambda _: comparison(0.1), pictures)
    ranking(stub, RECIPE)
    indices = stub.asked[0]
    assert indices is not None and len(indices) == min(pictures, PICTURES)
    assert indices[0] == 10 and indices[-1] == 10 + pictures - 1
    assert list(indices) == sorted(set(indices)) and all(asked == indices for asked in stub.asked)


def test_the_share_of_work_is_counted_in_multiplications(fp32: onnx.ModelProto) -> None:
    """conv1_2 has as many pixels as conv1_1, and as many channels more as its input has."""
    layers = list(relu_outputs(fp32.graph))
    shares = operation_shares(fp32.graph, layers)
    weights = {constant.name: list(constant.dims) for constant in fp32.graph.initializer}
    channels = {node.name: weights[node.input[1]] for node in fp32.graph.node if node.name in layers}
    assert shares["conv1_2"] / shares["conv1_1"] == pytest.approx(channels["conv1_2"][1] / 3)
    assert shares["conv2_2"] / shares["conv1_2"] == pytest.approx(
        channels["conv2_2"][0] * channels["conv2_2"][1] / (channels["conv1_2"][0] * channels["conv1_2"][1] * 4)
    )
    assert sum(shares.values()) == pytest.approx(1)
