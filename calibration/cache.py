"""Histograms kept from one export to the next, under a name that says which model, pictures and bins they belong to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from calibration.image_set import CalibrationSet
from calibration.ranges import BINS, Histogram, Histograms, observe
from fcn_edge.errors import OutputError
from fcn_edge.files import cache_folder, sha256_of, whole_file
from fcn_edge.progress import say

Snapshots = dict[int, Histograms]  # how many of the pictures -> the histograms after them


def observed(fp32: Path, pictures: CalibrationSet, size_hw: tuple[int, int], counts: Sequence[int]) -> Snapshots:
    """The histograms after the first `counts` pictures, from the cache or by running the network."""
    path = cache_folder("calibration") / cache_name(fp32, pictures, counts)
    kept = _read(path)
    if kept:
        say(f"ranges of {len(pictures)} calibration pictures: from {path}")
        return kept
    snapshots = {
        done: {layer: histogram.copy() for layer, histogram in histograms.items()}
        for done, histograms in enumerate(observe(fp32, pictures, size_hw), start=1)
        if done in counts
    }
    with suppress(OutputError):  # a cache that cannot be written is no reason to fail
        _write(path, snapshots)
    return snapshots


def cache_name(fp32: Path, pictures: CalibrationSet, counts: Sequence[int]) -> str:
    """Model, list and method; digests, so that nothing stale is ever taken for fresh."""
    chosen = hashlib.sha256(f"{pictures.digest()} {list(counts)}".encode()).hexdigest()
    return f"{sha256_of(fp32)[:20]}-{chosen[:20]}-histogram{BINS}.npz"


def _write(path: Path, snapshots: Snapshots) -> None:
    arrays = {}
    for count, histograms in snapshots.items():
        for layer, histogram in histograms.items():
            arrays[f"{count}/{layer}/counts"] = histogram.counts
            arrays[f"{count}/{layer}/ends"] = np.array([histogram.high, histogram.maximum])
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _read(path: Path) -> Snapshots | None:
    """None if there is none, or a damaged one."""
    snapshots: Snapshots = {}
    try:
        # Opened here, for numpy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            for key in (key for key in arrays.files if key.endswith("/counts")):
                count, layer, _ = key.split("/")
                histogram = Histogram()
                histogram.counts = arrays[key]
                histogram.high, histogram.maximum = arrays[f"{count}/{layer}/ends"].tolist()
                snapshots.setdefault(int(count), {})[layer] = histogram
    except Exception:  # numpy and zipfile raise whatever the damage leads to
        return None
    return snapshots or None
