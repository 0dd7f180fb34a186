"""Opens anything that makes masks: a checkpoint (with torch) or whatever the runtime opens (without)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fcn_edge.errors import SourceError
from fcn_edge.labels import LabelSet
from fcn_edge.scoring import Answers, Comparison, Segment
from runtime.segmenter import Segmenter
from runtime.session import open_session

CHECKPOINT_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Artifact:
    """Something opened that segments frames of any size."""

    segment: Segment
    labels: LabelSet
    description: str


@contextmanager
def open_artifact(
    model: Path,
    engine: str = "auto",
    precision: str = "auto",
    size_hw: tuple[int, int] | None = None,
    *,
    trust_engine: bool = False,
) -> Iterator[Artifact]:
    """A checkpoint (frames as they are, or stretched to `size_hw`), or what the runtime opens; raises ModelError."""
    if model.suffix == CHECKPOINT_SUFFIX:
        from fcn_edge.training.checkpoint import load_checkpoint
        from fcn_edge.training.evaluate import CheckpointSession

        checkpoint = load_checkpoint(model)
        yield Artifact(CheckpointSession(checkpoint, size_hw).segment, checkpoint.labels, "torch, float32")
    else:
        with open_session(model, engine, precision, trust_engine=trust_engine) as session:
            yield Artifact(
                Segmenter(session).segment, session.facts.labels, f"{session.device}, {session.facts.precision}"
            )


def require_seen(answers: Answers) -> Answers:
    """Raises SourceError for pictures whose labels say nothing: void agrees with everything."""
    if answers.confusions is not None and not answers.confusions.any():
        raise SourceError("wanted labelled pictures to prove with, found only void in their masks; name other data")
    return answers


def holds(comparison: Comparison, budget: float) -> bool:
    """Whether a file is within the budget; without labels there is nothing to hold."""
    return comparison.drop is None or comparison.drop <= budget


def points(drop: float | None) -> str:
    """A fraction of mean IoU as points, without "-0.00"."""
    return "" if drop is None else f"{round(100 * drop, 2) + 0.0:.2f}"
