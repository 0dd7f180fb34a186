"""The sections in which a page shows an evaluation: scores, classes, confusions, the best and the worst frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fcn_edge.charts import bar_chart, colour_key
from fcn_edge.confusion_chart import confusion_chart
from fcn_edge.contact_sheet import contact_sheet
from fcn_edge.datasets import Dataset
from fcn_edge.evaluation import Evaluation
from fcn_edge.report import HEADLINES, Section, percent
from fcn_edge.scoring import BAND

AT_BORDERS = f"within {BAND} pixels of a border"
RED = (60, 60, 230)  # BGR, of an error
DIMMED = 0.45  # the light that is left of a frame below its errors


def evaluation_sections(evaluation: Evaluation, dataset: Dataset) -> list[Section]:
    """`dataset` is what was evaluated on; it is read once more for the few frames that are shown."""
    sections = [_scores(evaluation), _classes(evaluation), _confusions(evaluation)]
    if evaluation.best:
        sections.append(_frames("Best frames", "best-frames", evaluation.best, evaluation, dataset))
    if evaluation.worst:
        sections.append(_frames("Worst frames", "worst-frames", evaluation.worst, evaluation, dataset))
    return sections


def _scores(evaluation: Evaluation) -> Section:
    scores = evaluation.scores()
    rows = [["score", "%"], *([name, percent(getattr(scores, key))] for key, name in HEADLINES)]
    rows.append([f"mean IoU {AT_BORDERS}", percent(evaluation.border_scores().mean_iou)])
    pixels = f"{int(evaluation.counts.sum()):,} labelled pixels, {int(evaluation.border_counts.sum()):,} of them"
    return Section("Scores", f"On {len(evaluation.per_picture)} pictures: {pixels} {AT_BORDERS}.", rows)


def _classes(evaluation: Evaluation) -> Section:
    iou, at_borders = evaluation.scores().per_class_iou, evaluation.border_scores().per_class_iou
    bars = {name: [_percents(iou[name]), _percents(at_borders[name])] for name in evaluation.names}
    svg = bar_chart(bars, ["IoU", f"IoU {AT_BORDERS}"], " %", full=100)
    return Section("Classes", rows=_class_rows(evaluation), svg=svg, file="class-iou")


def _class_rows(evaluation: Evaluation) -> list[list[str]]:
    """Accuracy is the share of a class's own pixels that were found; a class without pixels has none."""
    iou, at_borders = evaluation.scores().per_class_iou, evaluation.border_scores().per_class_iou
    true = evaluation.counts.sum(1)
    rows = [["class", "IoU %", "IoU at borders %", "accuracy %", "of all pixels %"]]
    for number, name in enumerate(evaluation.names):
        accuracy = evaluation.counts[number, number] / true[number] if true[number] else None
        share = true[number] / true.sum() if true.any() else None
        rows.append([name, percent(iou[name]), percent(at_borders[name]), percent(accuracy), percent(share)])
    return rows


def _percents(fraction: float | None) -> float:
    return float("nan") if fraction is None else 100 * fraction


def _confusions(evaluation: Evaluation) -> Section:
    text = "What the pixels of each class were taken for, in percent of the class."
    svg = confusion_chart(evaluation.counts, evaluation.names)
    return Section("Confusion matrix", text, svg=svg, file="confusion")


def _frames(heading: str, file: str, indices: Sequence[int], evaluation: Evaluation, dataset: Dataset) -> Section:
    def errors(index: int) -> NDArray[np.uint8]:
        return errors_on_frame(dataset.image(index), dataset.mask(index), evaluation.mask(index), len(dataset.labels))

    told = ", ".join(f"{dataset.name(index)} {percent(evaluation.per_picture[index])} %" for index in indices)
    picture = contact_sheet(dataset, {"mask": evaluation.mask, "errors": errors}, indices)
    return Section(heading, f"Mean IoU of each: {told}.", picture=picture, svg=colour_key(dataset.labels), file=file)


def errors_on_frame(
    frame: NDArray[np.uint8], truth: NDArray[np.uint8], mask: NDArray[np.uint8], classes: int
) -> NDArray[np.uint8]:
    """(H, W, 3) BGR: the frame in dim grey, wrong pixels red; void is never wrong."""
    grey = frame.mean(2, keepdims=True).astype(np.float32) * DIMMED
    wrong = ((truth != mask) & (truth < classes))[..., None]
    return np.where(wrong, np.array(RED, np.uint8), grey.astype(np.uint8).repeat(3, 2)).astype(np.uint8)
