"""Which layers cost accuracy: each one alone in the lower precision, scored by mean IoU and not by tensor error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from export.prover import Prover, Recipe

PICTURES = 16  # evenly spread over the labelled ones: enough to find a layer that does damage


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs when nothing else is computed in the lower precision."""

    layer: str
    drop: float | None  # of mean IoU against the checkpoint; None without labels
    disagreement: float  # fraction of pixels whose class changes
    share: float  # of the multiplications of all such layers

    @property
    def cost(self) -> tuple[float, float]:
        return (self.drop or 0.0, self.disagreement)


def ranking(prover: Prover, recipe: Recipe) -> list[LayerCost]:
    """The layers that the recipe does not keep in float, the costliest first."""
    count = len(prover.reference.indices)
    positions = np.unique(np.linspace(0, count - 1, min(PICTURES, count)).round().astype(int))
    indices = [prover.reference.indices[position] for position in positions]
    shares = operation_shares(prover.fp32.graph, prover.layers)
    costs = []
    for layer in (layer for layer in prover.layers if layer not in recipe.kept):
        found = prover.tried(recipe.keeping(set(prover.layers) - {layer}), indices)
        costs.append(LayerCost(layer, found.drop, 1 - found.agreement, shares[layer]))
    return sorted(costs, key=lambda cost: cost.cost, reverse=True)


def operation_shares(graph: onnx.GraphProto, layers: list[str]) -> dict[str, float]:
    """Layer -> its part of all multiplications of these layers."""
    shapes = {
        info.name: [dimension.dim_value for dimension in info.type.tensor_type.shape.dim]
        for info in graph.value_info  # the exporter writes them all
    }
    weights = {initializer.name: list(initializer.dims) for initializer in graph.initializer}
    operations = {
        node.name: float(np.prod(weights[node.input[1]]) * np.prod(shapes[node.output[0]][2:]))
        for node in graph.node
        if node.name in layers
    }
    total = sum(operations.values())
    return {layer: operations[layer] / total for layer in layers}
