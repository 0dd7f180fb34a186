"""What was promised, what was reached here and when, out of the figures in `results`; nothing is measured here.

.venv/bin/python -m benchmarks.promises
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.bench.card import OF_MACHINES
from runtime.machine import machine

RESULTS = Path(__file__).parent / "results"
FIRST_MASK_MS = 1000.0  # quarter width, on onnxruntime
DROP_POINTS = 0.3  # of mean IoU, by INT8

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Promise:
    """One line of the table; `when` is the date of its figures."""

    what: str
    wanted: str
    reached: str
    is_kept: bool
    source: str
    when: str


def promises(folder: Path, here: Figures) -> Iterator[Promise]:
    """Of every file that is there and was measured on a machine of this one's kind, as `runtime.machine` tells it."""
    for source, told in TOLD.items():
        path = folder / f"{source}.json"
        figures = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        if figures and all(figures["machine"].get(name) == here[name] for name in OF_MACHINES):
            for what, wanted, reached, is_kept in told(figures):
                yield Promise(what, wanted, reached, is_kept, source, figures["date"])


Told = Iterator[tuple[str, str, str, bool]]


def _limits(figures: Figures) -> Told:
    size = "x".join(map(str, figures["size_hw"]))
    for row in figures["promises"]:
        spread = row["reached"]
        reached = (
            f"{spread['median']:.2f} ({spread['p10']:.2f} to {spread['p90']:.2f}), {row['at_limit']:.1f} at the limit"
        )
        yield f"{size}: {row['promise']}", f"{row['wanted']:.1f}", reached, row["kept"]


def _stream(figures: Figures) -> Told:
    allowed, reached = figures["allowed_p50_ms"], figures["ms_p50_p95_p99"]["frame to mask in the stream"][0]
    what = "frame to mask in the stream, p50, against decoding + 1.25 times the model + 1 ms"
    yield what, f"{allowed:.1f} ms", f"{reached:.1f} ms", reached <= allowed


def _opening(figures: Figures) -> Told:
    rows = (row for name, row in figures.items() if name.endswith("onnxruntime, int8-cpu"))
    if row := next(rows, None):  # the first bundle, which is of quarter width
        ms = row["no cache"]["ms"]
        yield "opening to first mask, onnxruntime", f"{FIRST_MASK_MS:.0f} ms", f"{ms:.0f} ms", ms <= FIRST_MASK_MS


def _engines(figures: Figures) -> Told:
    for row in figures["rows"]:
        if row["precision"] == "int8-cpu":
            points = 100 * row["mean_iou_drop"]
            what = f"mean IoU lost by INT8 on {row['engine']}, {figures['pictures']} pictures"
            yield what, f"{DROP_POINTS} points", f"{points:.2f} points", points <= DROP_POINTS


def _soak(figures: Figures) -> Told:
    for finding in figures["findings"]:
        yield f"{finding['promise']} ({figures['minutes']:g} minutes)", "", finding["found"], finding["is_kept"]


TOLD = {
    "limits.edge": _limits,
    "limits.full": _limits,
    "stream": _stream,
    "opening": _opening,
    "engines": _engines,
    "soak": _soak,
}


def table(found: Iterator[Promise]) -> str:
    """Markdown."""
    lines = ["| promise | wanted | reached | | measured by, on |", "|---|---:|---:|---|---|"]
    for one in found:
        kept = "kept" if one.is_kept else "**not kept**"
        lines.append(f"| {one.what} | {one.wanted} | {one.reached} | {kept} | {one.source}, {one.when} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(promises(RESULTS, machine())))
