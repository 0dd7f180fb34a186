"""What it costs to draw a mask: every view at three sizes, against plain numpy.

.venv/bin/python -m benchmarks.overlay

Plain is: colours looked up by numpy's indexing, blended into fresh memory, the split view blended whole. Both draw the
same pixels, which is checked. Everything in turns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.told import facts
from fcn_edge.datasets.street import draw_street
from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.files import write_json
from runtime.overlay import VIEWS, Overlay

RESULT = Path(__file__).parent / "results" / "overlay.json"
SIZES = ((360, 480), (720, 1280), (1080, 1920))

Picture = NDArray[np.uint8]
Draw = Callable[[], Picture]


@click.command()
@click.option("--rounds", default=60)
def main(rounds: int) -> None:
    """Print a table and keep it as JSON."""
    told: dict[str, Any] = {**facts(), "rounds": rounds}
    told["opencv"], told["threads"] = cv2.__version__, cv2.getNumThreads()
    print("| ms | plain | now | |\n|---|---:|---:|---:|")
    for size_hw in SIZES:
        for name, (plain, now) in _cases(size_hw).items():
            assert np.array_equal(plain(), now())
            told[f"{size_hw[0]}x{size_hw[1]}, {name}"] = row = _in_turns(plain, now, rounds)
            ratio = row["plain_ms"] / row["now_ms"]
            print(f"| {size_hw[0]}x{size_hw[1]}, {name} | {row['plain_ms']:.2f} | {row['now_ms']:.2f} | {ratio:.1f}x |")
    write_json(RESULT, told)
    print(told["machine"])


def _cases(size_hw: tuple[int, int]) -> dict[str, tuple[Draw, Draw]]:
    frame, mask = draw_street(1, size_hw=size_hw)
    overlay = Overlay(STREET_LABELS)
    return {
        view: (partial(_plain, overlay, frame, mask, view), partial(overlay.draw, frame, mask, view)) for view in VIEWS
    }


def _plain(overlay: Overlay, frame: Picture, mask: Picture, view: str) -> Picture:
    picture = overlay.labels.colours_bgr()[mask]
    if view != "mask":
        picture = np.asarray(cv2.addWeighted(frame, 1 - overlay.alpha, picture, overlay.alpha, 0), np.uint8)
    if view == "split":
        middle = frame.shape[1] // 2
        picture[:, :middle] = frame[:, :middle]
        picture[:, middle - 1 : middle + 1] = 255
    overlay._add_legend(picture)
    return picture


def _in_turns(plain: Draw, now: Draw, rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {"plain_ms": [], "now_ms": []}
    for _ in range(rounds):
        for draw, values in zip((plain, now), times.values(), strict=True):
            started = perf_counter()
            kept = draw()  # as a sink does, while the next is drawn
            values.append(1e3 * (perf_counter() - started))
    assert kept.size
    return {name: median(values) for name, values in times.items()}


if __name__ == "__main__":
    main()
