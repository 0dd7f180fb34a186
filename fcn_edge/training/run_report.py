"""What a run tells at its end: the course of the training, and the evaluation of the best checkpoint."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fcn_edge.curves import Curve, curves_chart
from fcn_edge.datasets import Dataset
from fcn_edge.evaluation import Evaluation
from fcn_edge.evaluation_page import evaluation_sections
from fcn_edge.report import Section
from fcn_edge.report_files import save_report
from fcn_edge.training.checkpoint import Checkpoint

LOGS = "logs"
LOSS, MEAN_IOU = "loss", "mean_iou"
CURVES = {LOSS: "loss", MEAN_IOU: "mean IoU", "learning_rate": "learning rate"}  # column of the log, title


def save_run_report(folder: Path, best: Checkpoint, evaluation: Evaluation, validation: Dataset) -> None:
    """report.html, report.json and PNGs in the run's folder; raises OutputError."""
    curves = run_curves(folder / LOGS)
    sections = [_course(curves), *evaluation_sections(evaluation, validation), _origin(best.provenance)]
    numbers = {**evaluation.to_json(), "curves": curves, "provenance": best.provenance}
    save_report(folder, f"Training {folder.resolve().name}", sections, numbers)


def run_curves(logs: Path) -> dict[str, Curve]:
    """Each logged figure by epoch, from 1. A resumed run has a log of its own, which counts for what it did again."""
    curves: dict[str, dict[int, float]] = {name: {} for name in CURVES}
    for path in sorted(logs.glob("version_*/metrics.csv"), key=_version):
        rows = list(_rows(path))
        first = min((epoch for epoch, _ in rows), default=math.inf)
        for name, curve in curves.items():
            kept = {epoch: value for epoch, value in curve.items() if epoch < first}
            curves[name] = kept | {epoch: row[name] for epoch, row in rows if name in row}
    last = max(curves[LOSS], default=0)  # a validation after the end counts for the last epoch
    curves[MEAN_IOU] = {min(epoch, last): value for epoch, value in curves[MEAN_IOU].items()}
    return {CURVES[name]: curve for name, curve in curves.items() if curve}


def _version(path: Path) -> int:
    return int(path.parent.name.removeprefix("version_"))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Each line's epoch, from 1, and the figures that it has."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            epoch = _number(row.get("epoch"))
            figures = {name: _number(row.get(name)) for name in CURVES}
            if epoch is not None:
                yield int(epoch) + 1, {name: value for name, value in figures.items() if value is not None}


def _number(text: str | None) -> float | None:
    """None where there is none: a run that was killed may have left half a line."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _course(curves: Mapping[str, Curve]) -> Section:
    peaks = [CURVES[MEAN_IOU]]
    text = "Mean IoU on the validation pictures, as training saw it; the scores below are the best checkpoint's own."
    return Section("Course of the training", text, svg=curves_chart(curves, peaks=peaks), file="curves")


def _origin(provenance: Mapping[str, Any]) -> Section:
    return Section("Origin", rows=[["what", "value"], *([name, told] for name, told in _flat(provenance))])


def _flat(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
