"""Keep the costliest layers of a file in float until it holds the budget; each step measured, the whole front told."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from export.prover import PROXIED, Prover, Recipe
from export.score import holds, open_artifact
from export.sensitivity import LayerCost, operation_shares
from fcn_edge.images import fit_frame
from fcn_edge.progress import say
from fcn_edge.scoring import Comparison
from runtime.bench.interleaved import interleaved

FLOAT_AT_MOST = 0.5  # of the multiplications: what keeps more in float is no INT8 file any more
ROUNDS, FRAMES = 5, 5  # of the latency beside each step


@dataclass(frozen=True)
class Step:
    """One file tried on the way."""

    kept: tuple[str, ...]
    comparison: Comparison
    low_share: float  # of the multiplications that are done in the lower precision
    latency: float | None  # of the file against fp32's, on this machine; None for what is not meant for it


def repaired(
    prover: Prover, recipe: Recipe, costs: list[LayerCost], budget: float, path: Path, first: Comparison
) -> tuple[Recipe, list[Step]]:
    """The recipe that holds the budget, or else the best one tried; its file at `path`; and every step.

    `budget`: the most that the mean IoU may drop, a fraction; `first`: how the unrepaired file did.
    """
    shares = operation_shares(prover.fp32.graph, prover.layers)
    steps = [_step(prover, recipe, path, shares, first)]
    for cost in costs:
        if holds(steps[-1].comparison, budget):
            break
        if sum(shares[layer] for layer in recipe.kept | {cost.layer}) > FLOAT_AT_MOST:
            continue  # a lighter one may still do
        recipe = recipe.keeping({cost.layer})
        prover.write(recipe, path)
        found = prover.prove(path, recipe.precision).comparison
        steps.append(_step(prover, recipe, path, shares, found))
        say(f"{recipe.precision}: with {cost.layer} in float it loses {100 * (found.drop or 0):.2f} points")
    if not holds(steps[-1].comparison, budget):
        say(f"{recipe.precision}: with at most half of the work in float it cannot be repaired; the best try is taken")
        best = min(steps, key=lambda step: step.comparison.drop or 0)
        recipe = replace(recipe, kept=frozenset(best.kept))
        prover.write(recipe, path)
    return recipe, steps


def _step(prover: Prover, recipe: Recipe, path: Path, shares: dict[str, float], found: Comparison) -> Step:
    kept = tuple(layer for layer in prover.layers if layer in recipe.kept)
    return Step(kept, found, 1 - sum(shares[layer] for layer in kept), _latency(prover, recipe, path))


def _latency(prover: Prover, recipe: Recipe, path: Path) -> float | None:
    """Milliseconds as a multiple of fp32's, in turns with it."""
    if recipe.precision in PROXIED:
        return None
    with ExitStack() as stack:
        segments = {
            name: stack.enter_context(open_artifact(file, prover.engine)).segment
            for name, file in (("fp32", prover.fp32_path), ("low", path))
        }
        frame = fit_frame(prover.dataset.image(0), prover.facts.size_hw)
        rounds = interleaved(segments, frame, ROUNDS, FRAMES)
    return median(low / full for low, full in zip(rounds["low"], rounds["fp32"], strict=True))
