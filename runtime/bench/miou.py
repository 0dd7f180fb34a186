"""The mean IoU that stands beside a latency: measured here, or else what the model's export or build found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fcn_edge.datasets import Dataset
from fcn_edge.errors import SourceError
from fcn_edge.scoring import answer, require_same_classes
from runtime.bench.contestants import Contestant
from runtime.bench.served_file import served_file
from runtime.engine_file import servable_facts
from runtime.segmenter import Segmenter
from runtime.session_protocol import Session

MEASURED, EXPORTED, PROXY, BUILT = "measured", "export", "export, by proxy", "build"


@dataclass(frozen=True)
class MeanIou:
    """A fraction, and where it is from: MEASURED, EXPORTED, PROXY or BUILT."""

    value: float
    origin: str
    pictures: str = ""  # a digest of what it was found on; none is needed where all are MEASURED

    def is_comparable(self, other: MeanIou) -> bool:
        """Whether both are of the same pictures."""
        if MEASURED in (self.origin, other.origin):
            return self.origin == other.origin
        return self.pictures == other.pictures != ""

    @property
    def shown(self) -> float:
        """In percent, as it is told: what is less apart is no reason to choose."""
        return round(100 * self.value, 2)


class Scorer:
    """Asks each file on each engine once: its threads change nothing of its masks."""

    def __init__(self, dataset: Dataset | None) -> None:
        self._dataset = dataset
        self._known: dict[tuple[str, str, str], MeanIou | None] = {}

    def __call__(self, contestant: Contestant, session: Session) -> MeanIou | None:
        """None where nobody tells; raises SourceError, or UsageError for a model of other classes."""
        key = (str(contestant.model), contestant.engine, contestant.precision)
        if key not in self._known:
            dataset = self._dataset
            self._known[key] = _measured(contestant, session, dataset) if dataset else _proved(contestant)
        return self._known[key]


def _measured(contestant: Contestant, session: Session, dataset: Dataset) -> MeanIou:
    require_same_classes(session.facts.labels, dataset, contestant.name)
    answers = answer(Segmenter(session).segment, dataset, f"scoring {contestant.name}")
    scores = answers.scores()
    if scores is None or answers.confusions is None or not answers.confusions.any():
        raise SourceError("wanted labelled pictures for --data, found none in this split; name another --split")
    return MeanIou(scores.mean_iou, MEASURED)


def _proved(contestant: Contestant) -> MeanIou | None:
    """What its bundle tells; a file on its own tells nothing."""
    file = served_file(contestant.model, contestant.engine, contestant.precision)
    if file is None or file.manifest is None or file.onnx is None:
        return None
    if file.is_engine:
        facts = servable_facts(file.path, trust=contestant.serving.trust_engine)
        return _mean_iou(facts.scores, BUILT, facts.scored_on)
    pictures = str(file.manifest.provenance.get("proved_on_sha256", ""))
    return _mean_iou(file.onnx.scores, PROXY if file.onnx.proxy else EXPORTED, pictures)


def _mean_iou(scores: Mapping[str, Any], origin: str, pictures: str) -> MeanIou | None:
    value = scores.get("mean_iou")
    return MeanIou(value, origin, pictures) if isinstance(value, float) and 0 <= value <= 1 else None
