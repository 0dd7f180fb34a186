"""An engine takes its place only when it was opened and compared: built aside, scored, then moved, its sidecar last.

A crash between the two leaves an engine that its sidecar does not name, and such a one is refused when it is opened.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from export.engine_build import BuildOptions, BuiltEngine, engine_from_onnx
from export.engine_reference import Reference
from export.layer_report import LayerReport
from export.score import holds, points
from fcn_edge.errors import ModelError
from fcn_edge.files import writing
from fcn_edge.images import fit_frame
from fcn_edge.progress import say
from fcn_edge.report import percent
from fcn_edge.scoring import Answers, Comparison, answer
from runtime.bench.interleaved import interleaved
from runtime.cuda import CudaDevice
from runtime.engine_facts import EngineFacts, sidecar_of, write_engine_facts
from runtime.segmenter import Segmenter
from runtime.tensorrt_library import load_tensorrt
from runtime.trt_session import TrtSession

ROUNDS, FRAMES = 7, 5  # of latency: a first look; `fcn-edge bench` measures


@dataclass(frozen=True)
class Gate:
    """What an engine must hold to be kept."""

    reference: Reference
    max_drop: float = math.inf  # of mean IoU, a fraction
    allow_drop: bool = False  # keep, and tell, what loses more


@dataclass(frozen=True)
class ProvedEngine:
    """An engine in its place, and what is known of it."""

    path: Path
    facts: EngineFacts
    layers: LayerReport
    answers: Answers
    comparison: Comparison
    device: str
    build_s: float
    median_ms: float  # frame to mask, on this machine

    @property
    def precision(self) -> str:
        return self.facts.model.precision

    def to_json(self) -> dict[str, Any]:
        layers = {key: value for key, value in self.facts.layers.items() if key != "layers"}
        return {
            "precision": self.precision,
            "engine": self.path.name,
            "bytes": self.facts.engine_bytes,
            "scores": self.comparison.to_json(),
            "scored_on": self.facts.scored_on,
            "layers": layers,
            "build_s": self.build_s,
            "median_ms": self.median_ms,
        }


def require_tensorrt() -> None:
    """Raises ModelError (NoGpu among them) where no engine can be built and opened: before the work, not after it."""
    load_tensorrt()
    CudaDevice().close()


def proved_engine(onnx: Path, engine: Path, options: BuildOptions, gate: Gate) -> ProvedEngine:
    """Build `engine`, open and score it, and put it with its sidecar in the place of an older one.

    Raises ModelError (also for an engine over the budget), OutputError and KeyboardInterrupt; then nothing has changed.
    """
    with _aside(engine) as folder:
        built = engine_from_onnx(onnx, folder / engine.name, options)
        say(f"{'warning: ' if built.layers.missed else ''}{engine.name}: {built.layers.line()}")
        proved = _proved(built, gate.reference)
        _require_held(engine, proved.comparison, gate)
        write_engine_facts(built.path, proved.facts)
        with writing(engine):
            os.replace(built.path, engine)
            os.replace(sidecar_of(built.path), sidecar_of(engine))
    return replace(proved, path=engine)


@contextmanager
def _aside(engine: Path) -> Iterator[Path]:
    """A folder beside the engine, so that it is moved and not copied; gone afterwards."""
    with writing(engine):
        folder = Path(tempfile.mkdtemp(prefix=".build-", dir=engine.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _proved(built: BuiltEngine, reference: Reference) -> ProvedEngine:
    """Opened in the runtime that will serve it."""
    dataset = reference.dataset
    with TrtSession(built.path, built.facts) as session:
        segment = Segmenter(session).segment
        answers = answer(segment, dataset, f"scoring {built.path.name}")
        frame = fit_frame(dataset.image(0), built.facts.model.size_hw)
        median_ms = float(median(interleaved({"engine": segment}, frame, ROUNDS, FRAMES)["engine"]))
        device = session.device
    comparison = reference.compare(answers)
    facts = replace(
        built.facts,
        scores=comparison.to_json() if comparison.scores else {},
        scored_on=f"{device}; {_manner(comparison, len(dataset))} {reference.description}",
    )
    return ProvedEngine(built.path, facts, built.layers, answers, comparison, device, built.seconds, median_ms)


def _manner(found: Comparison, pictures: int) -> str:
    if found.scores:
        return f"{pictures} pictures, against"
    return f"not scored: {pictures} pictures without labels, masks agree to {percent(found.agreement)} % with"


def _require_held(engine: Path, found: Comparison, gate: Gate) -> None:
    if holds(found, gate.max_drop):
        return
    interval = found.drop_interval
    told = f" ({100 * interval[0]:.2f} to {100 * interval[1]:.2f})" if interval else ""
    lost = f"{engine.name}: wanted at most {100 * gate.max_drop:g} points of mean IoU lost, found "
    lost += f"{100 * (found.drop or 0):.3g}{told}"
    if not gate.allow_drop:
        raise ModelError(f"{lost}; build another precision, or take it all the same with --allow-drop")
    say(f"warning: {lost}; kept, as --allow-drop says")


def engine_rows(built: Iterable[ProvedEngine]) -> list[list[str]]:
    """A table, header first."""
    rows = [["engine", "mean IoU %", "lost, points", "masks agree %", "MB", "INT8 layers", "build s", "median ms"]]
    for engine in built:
        found, layers = engine.comparison, engine.layers
        rows.append(
            [
                engine.precision,
                percent(found.scores.mean_iou) if found.scores else "",
                points(found.drop),
                percent(found.agreement),
                f"{engine.facts.engine_bytes / 1e6:.2f}",
                f"{layers.held} of {len(layers.wanted)}" if layers.wanted else "",
                f"{engine.build_s:.0f}",
                f"{engine.median_ms:.2f}",
            ]
        )
    return rows
