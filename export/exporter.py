"""From a checkpoint to proved files: each one made, opened in the runtime that serves it and compared; the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import torch

from calibration.cache import Snapshots, observed
from calibration.image_set import CalibrationSet
from calibration.thresholds import thresholds
from export.contest import ceilings_of, contest, judge, set_sizes
from export.engine_build import PRECISIONS as FOR_TENSORRT
from export.engine_build import BuildOptions
from export.engine_proof import Gate, proved_engine
from export.engine_reference import MaskReference
from export.evidence import Evidence
from export.half import LIMIT, out_of_range
from export.onnx_export import onnx_from_checkpoint
from export.other_engines import proved_on_others
from export.prover import PRECISIONS, PROXIED, Proof, Prover, Recipe
from export.repair import repaired
from export.score import holds, open_artifact, require_seen
from export.sensitivity import ranking
from fcn_edge import __version__
from fcn_edge.datasets import Dataset
from fcn_edge.errors import ModelError
from fcn_edge.files import sha256_of
from fcn_edge.manifest import ModelFacts
from fcn_edge.progress import say
from fcn_edge.scoring import Answers, answer
from fcn_edge.training.checkpoint import Checkpoint
from runtime.engine_facts import engine_path
from runtime.engines import engine_at_hand

CONTEST = "contest"  # the method that tries all others
DEFAULT_METHOD = "minmax"  # where no labelled picture is left to judge a contest


@dataclass(frozen=True)
class ExportPlan:
    """What to make and what to prove it with."""

    checkpoint: Checkpoint
    checkpoint_path: Path
    size_hw: tuple[int, int]
    proving: Dataset  # labelled, or else only the agreement of masks is told
    calibration: CalibrationSet | None  # None where nothing but fp32 is made
    method: str  # CONTEST or one of calibration.thresholds.METHODS
    origin: dict[str, Any]  # names of the data, for the manifest
    precisions: tuple[str, ...] = PRECISIONS
    outputs: tuple[str, ...] = ("mask",)
    engine: str = "auto"
    max_drop: float = 0.005  # of mean IoU, a fraction
    allow_drop: bool = False
    repair: bool = False
    sensitivity: bool = True

    @property
    def cpu_engine(self) -> str:
        """What proves the files that are for CPUs: the engine that such a file on its own is opened on here."""
        return self.engine if self.is_explicit else engine_at_hand()

    @property
    def is_explicit(self) -> bool:
        """Whether the user named the one engine that serves on a CPU."""
        return self.engine not in ("auto", "tensorrt")


class Exporter:
    """One export: makes the files in a folder, and the evidence."""

    def __init__(self, plan: ExportPlan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.provenance = provenance(plan)

    def run(self) -> Evidence:
        """Make and prove every file; whether it holds the budget is for the caller to judge."""
        plan = self.plan
        fp32 = self.path("fp32")
        _require_finite(plan)
        facts = ModelFacts(plan.checkpoint.labels, plan.size_hw, "fp32", self.provenance)
        say("exporting fp32")
        onnx_from_checkpoint(plan.checkpoint, facts, fp32, plan.outputs)
        self.evidence = Evidence(self._reference())
        self.prover = Prover(fp32, facts, plan.proving, self.evidence.reference, plan.cpu_engine)
        self._choose_recipes()
        for recipe in self.evidence.recipes.values():
            self._make(recipe)
            self._prove_elsewhere(recipe.precision)
        if plan.engine == "tensorrt":
            for name in (name for name in FOR_TENSORRT if name in self.evidence.proofs):
                self._build(name)
        if plan.sensitivity and not self.evidence.costs:
            self._rank_worst()
        return self.evidence

    def path(self, precision: str) -> Path:
        return graph_path(self.folder, precision)

    def _reference(self) -> Answers:
        """The checkpoint's own masks, at the bundle's size."""
        with open_artifact(self.plan.checkpoint_path, size_hw=self.plan.size_hw) as artifact:
            return require_seen(answer(artifact.segment, self.plan.proving, "scoring the checkpoint"))

    def _choose_recipes(self) -> None:
        """Ranges are observed once, whatever is made of them."""
        plan, evidence = self.plan, self.evidence
        evidence.recipes["fp32"] = Recipe("fp32")
        if plan.calibration is None:
            return
        count = len(plan.calibration)
        counts = set_sizes(count) if plan.method == CONTEST else [count]
        snapshots = observed(self.path("fp32"), plan.calibration, plan.size_hw, counts)
        judged = judge(self.prover, plan.calibration) if plan.method == CONTEST else None
        for precision in plan.precisions:
            if precision == "fp16":
                loud = out_of_range(self.prover.fp32.graph, snapshots[count])
                if loud:
                    say(f"fp16: {', '.join(loud)} stay float32, for their values pass {LIMIT:g}")
                evidence.recipes[precision] = Recipe(precision, kept=frozenset(loud))
            elif precision != "fp32":
                evidence.recipes[precision] = self._int8_recipe(precision, snapshots, judged)

    def _int8_recipe(self, precision: str, snapshots: Snapshots, judged: Prover | None) -> Recipe:
        count = max(snapshots)
        if judged:
            say(f"calibration contest for {precision}")
            entries = contest(judged, precision, snapshots)
            self.evidence.contests[precision] = entries
            self.evidence.winners[precision] = {"method": entries[0].method, "count": entries[0].count}
            return Recipe(precision, ceilings_of(entries[0], snapshots))
        method = DEFAULT_METHOD if self.plan.method == CONTEST else self.plan.method
        if self.plan.method == CONTEST:
            say(f"no labelled picture is left to judge calibrations of {precision}: {method} is taken")
        self.evidence.winners[precision] = {"method": method, "count": count}
        return Recipe(precision, thresholds(snapshots[count], method))

    def _make(self, recipe: Recipe) -> None:
        """Write one file and prove it; repair it if that is asked for and needed."""
        plan, evidence, name = self.plan, self.evidence, recipe.precision
        path = self.path(name)
        if name != "fp32":
            self.prover.write(recipe, path)
        evidence.proofs[name] = self.prover.prove(path, name)
        if name == "fp32" or holds(evidence.proofs[name].comparison, plan.max_drop):
            return
        self._rank(recipe)
        if plan.repair:
            first = evidence.proofs[name].comparison
            mended, steps = repaired(self.prover, recipe, evidence.costs[name], plan.max_drop, path, first)
            evidence.recipes[name], evidence.steps[name] = mended, steps
            evidence.proofs[name] = self.prover.prove(path, name)

    def _prove_elsewhere(self, name: str) -> None:
        """On the other CPU engines that are installed here, so that whichever is the faster serves a proved file."""
        if name not in PROXIED and not self.plan.is_explicit:
            found = proved_on_others(self.prover, self.path(name), name, self.plan.max_drop)
            self.evidence.elsewhere.setdefault(name, {}).update(found)

    def _build(self, name: str) -> None:
        """TensorRT's engine of a file; where the file is for TensorRT alone, it is the proof, and no proxy's."""
        plan, evidence = self.plan, self.evidence
        reference = MaskReference(plan.proving, evidence.reference, "the checkpoint")
        # A file whose proof is the engine's is judged with all others at the end, with the evidence in a page.
        gate = Gate(reference) if name in PROXIED else Gate(reference, plan.max_drop, plan.allow_drop)
        engine = proved_engine(self.path(name), engine_path(self.folder, name), BuildOptions(), gate)
        evidence.engines[name] = engine
        of_engine = Proof(engine.comparison, engine.answers, engine.device, "tensorrt")
        first, other = (of_engine, evidence.proofs[name]) if name in PROXIED else (evidence.proofs[name], of_engine)
        evidence.proofs[name] = first
        evidence.elsewhere.setdefault(name, {})[other.engine] = other.comparison

    def _rank(self, recipe: Recipe) -> None:
        say(f"looking for the layers that cost {recipe.precision} accuracy")
        self.evidence.costs[recipe.precision] = ranking(self.prover, recipe)

    def _rank_worst(self) -> None:
        """Of the INT8 file that loses most."""
        made = [self.evidence.recipes[name] for name in ("int8", "int8-cpu") if name in self.evidence.recipes]
        if made:
            self._rank(max(made, key=lambda recipe: self.evidence.proofs[recipe.precision].comparison.drop or 0))


def _require_finite(plan: ExportPlan) -> None:
    """Scores that are not numbers agree with one another, and so would pass every comparison."""
    for name, weight in plan.checkpoint.network.state_dict().items():
        if not bool(torch.isfinite(weight).all()):
            raise ModelError(
                f"{plan.checkpoint_path}: wanted finite weights, found others in {name}; train the checkpoint again"
            )


def graph_path(folder: Path, precision: str) -> Path:
    return folder / f"model.{precision}.onnx"


def provenance(plan: ExportPlan) -> dict[str, Any]:
    return {
        **plan.origin,
        "checkpoint_sha256": sha256_of(plan.checkpoint_path),
        "proved_on_sha256": plan.proving.digest(),
        "labelled": plan.proving.has_masks,
        **({"calibration": {"method": plan.method, **plan.calibration.to_json()}} if plan.calibration else {}),
        "versions": {
            "fcn_edge": __version__,
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
            "opencv": cv2.__version__,
            "numpy": np.__version__,
        },
    }
