"""Measured points as growths: a cost over a kind of work, in series that differ in nothing else. And their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.growth.chart import Points, law_chart
from benchmarks.growth.law import Law, power_law
from benchmarks.told import markdown
from fcn_edge.chart_png import picture_of_chart

MODEL_COSTS = {"p50_ms": "latency p50, ms", "own_mb": "memory at most, MB"}
CAMERA_COSTS = {
    "age_p50_ms": "age at the mask p50, ms",
    "processor": "processors",
    "memory_mb": "memory, MB",
    "cameras_memory_mb": "memory of the cameras' processes, MB",
}

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Model:
    """What was exported to be measured."""

    width: float
    size_hw: tuple[int, int]
    precision: str

    @property
    def pixels(self) -> float:
        return float(self.size_hw[0] * self.size_hw[1])

    def __str__(self) -> str:
        return f"{self.precision}, width {self.width:g}, {self.size_hw[0]}x{self.size_hw[1]}"


@dataclass(frozen=True)
class Growth:
    """How a cost grows with work."""

    work: str
    cost: str
    series: Mapping[str, Points]

    @property
    def laws(self) -> dict[str, Law]:
        return {name: power_law(list(points), list(points.values())) for name, points in self.series.items()}

    def picture(self) -> NDArray[np.uint8]:
        return picture_of_chart(law_chart(self.series, self.laws, self.work, self.cost))


def growths(
    models: Mapping[Model, Figures], cameras: Mapping[int, Figures], width: float, size_hw: tuple[int, int]
) -> list[Growth]:
    """Over pixels at one width, over width at one size, over cameras."""
    found = []
    precisions = list(dict.fromkeys(model.precision for model in models))
    for name, cost in MODEL_COSTS.items():
        by_size: dict[str, dict[float, float]] = {precision: {} for precision in precisions}
        by_width: dict[str, dict[float, float]] = {precision: {} for precision in precisions}
        for model, figures in models.items():
            if model.width == width:
                by_size[model.precision][model.pixels] = figures[name]
            if model.size_hw == size_hw:
                by_width[model.precision][model.width] = figures[name]
        found += [Growth(f"pixels, width {width:g}", cost, by_size)]
        found += [Growth(f"width at {size_hw[0]}x{size_hw[1]}", cost, by_width)]
    for name, cost in CAMERA_COSTS.items():
        found.append(Growth("cameras", cost, {"stream": {n: figures[name] for n, figures in cameras.items()}}))
    return found


def side_by_side(found: Sequence[Growth]) -> NDArray[np.uint8]:
    """Two charts in a row, (H, W, 3) BGR; the last is left out where they are odd in number."""
    pictures = [growth.picture() for growth in found]
    rows = [np.hstack(pair) for pair in zip(pictures[::2], pictures[1::2], strict=False)]
    whole = np.vstack(rows)
    return np.asarray(cv2.resize(whole, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)


def models_table(models: Mapping[Model, Figures]) -> str:
    head = ["model", "p50, ms", "memory at most, MB", "of the whole process, MB"]
    names = ("p50_ms", "own_mb", "peak_mb")
    return markdown([head, *([str(model), *(f"{row[name]:.1f}" for name in names)] for model, row in models.items())])


def cameras_table(cameras: Mapping[int, Figures], rate: float) -> str:
    head = [f"cameras, {rate:g} fps each", "fps each", "dropped", "age p50, ms", "p99"]
    head += ["processors", "of the cameras", "MB", "of the cameras"]
    names = ("fps_each", "dropped_fps_each", "age_p50_ms", "age_p99_ms", "processor", "cameras_processor")
    rows = [
        [
            str(count),
            *(f"{row[name]:.2f}" for name in names),
            f"{row['memory_mb']:.0f}",
            f"{row['cameras_memory_mb']:.0f}",
        ]
        for count, row in cameras.items()
    ]
    return markdown([head, *rows])


def laws_table(found: Sequence[Growth]) -> str:
    rows = [[growth.cost, growth.work, name, str(law)] for growth in found for name, law in growth.laws.items()]
    return markdown([["cost", "grows with", "", "exponent (95 % interval)"], *rows])


def laws_json(found: Sequence[Growth]) -> list[dict[str, Any]]:
    return [
        {"cost": growth.cost, "work": growth.work, "series": name, **asdict(law)}
        for growth in found
        for name, law in growth.laws.items()
    ]
