"""The measuring of a result card: spells of one model and of the yardstick, the first time and again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import ModelError
from fcn_edge.files import sha256_of
from fcn_edge.manifest import MANIFEST, read_manifest
from runtime.bench import yardstick
from runtime.bench.card import Card, Identity, Served, installed_libraries
from runtime.bench.contestants import Contestant
from runtime.bench.result import BenchResult
from runtime.bench.served_file import served_file
from runtime.bench.spells import Measured, Pace, measure
from runtime.engine_file import servable_facts
from runtime.engines import Serving
from runtime.machine import machine

MODEL = "model"


def spells_of(contestant: Contestant, frame: NDArray[np.uint8], pace: Pace) -> Measured:
    """Of a settled contestant, as MODEL, and of the yardstick, in turns: as many as the pace says at least."""
    cores = machine()["cores"] or 1
    threads = min(contestant.serving.threads or cores, cores)
    return measure({MODEL: contestant.opener(frame), yardstick.NAME: yardstick.yardstick(threads)}, pace)


def card_of(
    contestant: Contestant, frame: NDArray[np.uint8], result: BenchResult, measured: Measured, pace: Pace
) -> Card:
    """Of a settled contestant and what `spells_of` it and the usual bench found."""
    serving = contestant.serving
    spells = {name: tuple(map(tuple, spells)) for name, spells in measured.spells_ms.items()}
    height, width = frame.shape[:2]
    return Card(
        identity_of(contestant),
        Served(contestant.engine, contestant.precision, serving.threads, serving.cuda_graph, (height, width)),
        pace,
        spells[MODEL],
        spells[yardstick.NAME],
        yardstick.VERSION,
        installed_libraries(),
        result,
    )


def contestant_from(card: Card, model: Path, *, trust_engine: bool) -> Contestant:
    """That model, served as the card's was; whom to trust is never the card's to say."""
    served = card.served
    serving = Serving(served.threads, trust_engine, served.cuda_graph)
    return Contestant(model.name, model, served.engine, served.precision, serving)


def identity_of(contestant: Contestant) -> Identity:
    """Engines of two machines are never equal, so they are known by what they were built of. Raises ModelError."""
    model = contestant.model
    if not model.exists():
        raise ModelError(f"wanted a model, found nothing at {model}; check the path")
    manifest_sha256 = sha256_of(model / MANIFEST) if (model / MANIFEST).is_file() else None
    return Identity(model.absolute().name, _onnx_sha256(contestant), manifest_sha256)


def _onnx_sha256(contestant: Contestant) -> str:
    model, precision = contestant.model, contestant.precision
    file = served_file(model, contestant.engine, precision)
    if file is None:
        found = ", ".join(read_manifest(model).precisions) or "none"
        raise ModelError(
            f"{model}: wanted precision {precision}, as on the card, found {found}; export it with this precision"
        )
    if file.is_engine:
        return servable_facts(file.path, trust=contestant.serving.trust_engine).onnx_sha256
    return file.onnx.sha256 if file.onnx else sha256_of(file.path)
