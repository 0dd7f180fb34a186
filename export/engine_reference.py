"""What engines are compared with: the masks of the plainest ONNX file on a CPU, or what the export had written down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from export.buildable import Buildable
from export.score import open_artifact, require_seen
from fcn_edge.datasets import Dataset
from fcn_edge.datasets.synthetic import SyntheticStreet
from fcn_edge.errors import ModelError
from fcn_edge.labels import LabelSet
from fcn_edge.manifest import Manifest
from fcn_edge.progress import say
from fcn_edge.scoring import Answers, Comparison, answer, compare, require_same_classes
from runtime.engines import is_installed

# onnxruntime first: it computes a quantised file pair by pair, as it stands.
CPU_ENGINES = ("onnxruntime", "openvino")

STREETS, FIRST_STREET = 8, 400_000  # where no data is given: how many are drawn, from seeds that no dataset uses


class Reference(Protocol):
    """What an engine's answers to a dataset are held against."""

    @property
    def dataset(self) -> Dataset: ...

    @property
    def description(self) -> str: ...

    def compare(self, answers: Answers) -> Comparison: ...


@dataclass(frozen=True)
class MaskReference:
    """Masks, and scores where the pictures are labelled."""

    dataset: Dataset
    answers: Answers
    description: str

    def compare(self, answers: Answers) -> Comparison:
        return compare(answers, self.answers)


@dataclass(frozen=True)
class ScoreReference:
    """Scores alone: how far masks agree is not known (nan), and the drop has no interval."""

    dataset: Dataset
    mean_iou: float
    class_iou: dict[str, float | None]
    description: str

    def compare(self, answers: Answers) -> Comparison:
        scores = require_seen(answers).scores()
        assert scores is not None, "scores were told of labelled pictures"
        drops = {name: _less(self.class_iou.get(name), iou) for name, iou in scores.per_class_iou.items()}
        return Comparison(scores, math.nan, math.nan, self.mean_iou - scores.mean_iou, None, drops, ())


def _less(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else before - after


def reference_for(source: Buildable, data: Dataset | None) -> Reference:
    """Without data the masks of a few drawn streets, which tell agreement but nothing of accuracy.

    Raises ModelError where there is nothing to compare with, and whatever the data are not good for.
    """
    if data is not None:
        require_same_classes(source.labels, data, source.plainest)
    engine = next((name for name in CPU_ENGINES if is_installed(name)), None)
    if engine:
        return _masks(source.plainest, engine, data or drawn_streets(source.labels))
    found = checkpoint_scores(source.manifest, data) if source.manifest and data else None
    if found is None:
        raise ModelError(
            f"{source.plainest}: wanted something to compare its engines with, found neither onnxruntime nor openvino "
            f"here, and {_lacking(source.manifest, data)}"
        )
    return found


def _masks(path: Path, engine: str, data: Dataset) -> MaskReference:
    with open_artifact(path, engine) as artifact:
        answers = require_seen(answer(artifact.segment, data, f"reference {path.name}"))
    say(f"reference: {path.name} on {artifact.description}")
    return MaskReference(data, answers, f"{path.name} on {artifact.description}")


def drawn_streets(labels: LabelSet) -> SyntheticStreet:
    """Pictures for a model of any classes, without labels."""
    return SyntheticStreet(STREETS, FIRST_STREET, labels, has_masks=False)


def checkpoint_scores(manifest: Manifest, data: Dataset) -> ScoreReference | None:
    """What the checkpoint scored on these very pictures when it was exported; None if it was proved on others."""
    if not data.has_masks or manifest.provenance.get("proved_on_sha256") != data.digest():
        return None
    told = next((file.scores for file in manifest.files if _tells_drop(file.scores)), None)
    if told is None:
        return None
    drops = told["per_class_drop"]
    class_iou = {name: _sum(iou, drops.get(name)) for name, iou in told["per_class_iou"].items()}
    mean_iou = told["mean_iou"] + told["mean_iou_drop"]
    return ScoreReference(data, mean_iou, class_iou, "the checkpoint's scores in manifest.json")


def _tells_drop(scores: dict[str, object]) -> bool:
    return scores.get("mean_iou") is not None and scores.get("mean_iou_drop") is not None


def _sum(iou: float | None, drop: float | None) -> float | None:
    return None if iou is None or drop is None else iou + drop


def _lacking(manifest: Manifest | None, data: Dataset | None) -> str:
    """What else would have served."""
    provenance = manifest.provenance if manifest else {}
    proved_on = f"{provenance.get('data', 'its data')}, split {provenance.get('split', '?')}"
    if manifest is None:
        return "no bundle, whose manifest would tell scores; install onnxruntime"
    if data is None:
        return f"no --data; give those it was proved on ({proved_on}), or install onnxruntime"
    return f"--data other than those it was proved on ({proved_on}); give those, or install onnxruntime"
