"""Everything that an export finds out of its files on the way: what its report tells, and what it is refused for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from export.contest import Entry
from export.engine_proof import ProvedEngine
from export.prover import Proof, Recipe
from export.repair import Step
from export.score import holds
from export.sensitivity import LayerCost
from fcn_edge.scoring import Answers, Comparison, compare


@dataclass
class Evidence:
    """Everything found out on the way, for the report."""

    reference: Answers
    proofs: dict[str, Proof] = field(default_factory=dict)  # by precision
    elsewhere: dict[str, dict[str, Comparison]] = field(default_factory=dict)  # precision -> other engine -> how it did
    engines: dict[str, ProvedEngine] = field(default_factory=dict)  # TensorRT's, by precision
    recipes: dict[str, Recipe] = field(default_factory=dict)
    winners: dict[str, dict[str, Any]] = field(default_factory=dict)  # INT8 precision -> method and count
    contests: dict[str, list[Entry]] = field(default_factory=dict)
    costs: dict[str, list[LayerCost]] = field(default_factory=dict)
    steps: dict[str, list[Step]] = field(default_factory=dict)
    latencies: dict[str, list[float]] = field(default_factory=dict)  # the median milliseconds of each round

    @cached_property
    def own(self) -> Comparison:
        """The checkpoint beside itself: its scores."""
        return compare(self.reference, self.reference)

    def over(self, budget: float) -> list[str]:
        """The precisions whose files lose more than the budget."""
        return [name for name, proof in self.proofs.items() if not holds(proof.comparison, budget)]

    def proved_on(self, name: str, budget: float) -> tuple[str, ...]:
        """The engines on which a file holds the budget, the one that its scores are of first."""
        proof = self.proofs[name]
        found = {proof.engine: proof.comparison, **self.elsewhere.get(name, {})}
        return tuple(engine for engine, comparison in found.items() if holds(comparison, budget))
