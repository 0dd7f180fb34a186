"""The page about a calibration set: what it shows beside what there is to choose from, and what a model makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.appearance import brightness, class_rows, class_shares, mean_shares
from calibration.image_set import CalibrationSet
from fcn_edge.charts import bar_chart
from fcn_edge.report import Section, html_page

SERIES = ("the set", "all that was read")
BRIGHTNESS_BINS = 8  # of 32 levels each
STRIP, COLUMNS, CELL_HW = 12, 4, (168, 224)  # pictures in the strip, in a row of it, and pixels of each
MAXIMUM = "minmax"  # the method that cuts nothing, by which the others are measured

Cuts = Mapping[str, Mapping[str, float]]  # layer -> method -> threshold; 0 for a layer that is never active


@dataclass(frozen=True)
class Survey:
    """A set and the pool around it, looked at."""

    pictures: CalibrationSet
    shares: NDArray[np.float64] | None  # (pool, classes), the pictures of the set first; None without masks
    brightness: NDArray[np.float64]  # (pool,), in the same order

    def rows(self) -> list[list[str]]:
        """The table of classes; empty without labels."""
        dataset, count = self.pictures.dataset, len(self.pictures)
        if self.shares is None:
            return []
        return class_rows(dataset.labels.names, self.shares[:count], self.shares, len(dataset))


def survey(pictures: CalibrationSet, pool: Sequence[int]) -> Survey:
    """Read the masks and pictures of the set and of the pool; raises SourceError."""
    dataset = pictures.dataset
    indices = list(dict.fromkeys([*pictures.indices, *pool]))
    shares = class_shares(dataset, indices) if dataset.has_masks else None
    return Survey(pictures, shares, brightness(dataset, indices))


def page(name: str, origin: str, found: Survey, cuts: Cuts | None = None) -> str:
    """One self-contained page; `origin` is a line on where the set comes from."""
    sections = [Section("Set", origin), _classes(found), _brightness(found), _strip(found.pictures)]
    if cuts is not None:
        sections.append(_ranges(cuts))
    return html_page(f"Calibration set {name}", sections)


def _classes(found: Survey) -> Section:
    if found.shares is None:
        return Section("Classes", "No labels.")
    names, count = found.pictures.dataset.labels.names, len(found.pictures)
    ours, all_ = 100 * mean_shares(found.shares[:count]), 100 * mean_shares(found.shares)
    bars = {name: (ours[number], all_[number]) for number, name in enumerate(names)}
    return Section("Classes", "Shares of the labelled pixels.", found.rows(), svg=bar_chart(bars, SERIES, " %"))


def _brightness(found: Survey) -> Section:
    edges = np.linspace(0, 256, BRIGHTNESS_BINS + 1)
    parts = (found.brightness[: len(found.pictures)], found.brightness)
    shares = [100 * np.histogram(part, edges)[0] / len(part) for part in parts]
    names = [f"{low:.0f} to {high - 1:.0f}" for low, high in pairwise(edges)]
    bars = {name: pair for name, *pair in zip(names, *shares, strict=True)}
    means = " and ".join(f"{part.mean():.0f} ({series})" for part, series in zip(parts, SERIES, strict=True))
    text = f"How many pictures have which mean luma, of 255; on average {means}."
    return Section("Brightness", text, svg=bar_chart(bars, SERIES, " %"))


def _strip(pictures: CalibrationSet) -> Section:
    shown = pictures.first(STRIP)
    cells = [_cell(pictures.dataset.image(index)) for index in shown.indices]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % min(COLUMNS, len(cells)))
    rows = [np.hstack(cells[start : start + COLUMNS]) for start in range(0, len(cells), COLUMNS)]
    return Section("Pictures", f"The first {len(shown)} of the set, as chosen.", picture=np.vstack(rows))


def _cell(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture fitted whole into a cell, on black."""
    scale = min(side / length for side, length in zip(CELL_HW, image.shape[:2], strict=True))
    height, width = (max(1, round(scale * length)) for length in image.shape[:2])
    cell = np.zeros((*CELL_HW, 3), np.uint8)
    cell[:height, :width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return cell


def _ranges(cuts: Cuts) -> Section:
    methods = list(next(iter(cuts.values())))
    others = [method for method in methods if method != MAXIMUM]
    header = ["layer", *(f"{method} (maximum)" if method == MAXIMUM else method for method in methods)]
    rows = [[layer, *(f"{values[method]:.4g}" for method in methods)] for layer, values in cuts.items()]
    bars = {
        layer: [100 * values[method] / (values[MAXIMUM] or 1) for method in others] for layer, values in cuts.items()
    }
    text = (
        "What each ReLU gives at most, and where each method would cut it for INT8; below, what is kept in percent of "
        "the maximum. percentile-99.99 is the value that one activation in ten thousand exceeds."
    )
    return Section("Ranges", text, [header, *rows], svg=bar_chart(bars, others, " %"))
