"""Bundles for tests that open nothing: a manifest and what it names, and engines that are functions."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.errors import FcnEdgeError
from fcn_edge.files import sha256_of
from fcn_edge.manifest import BundleFile, Manifest, read_manifest, write_manifest
from runtime import candidates
from runtime.candidates import Wish
from runtime.cuda_driver import Gpu, NoGpu
from runtime.engine_facts import EngineFacts, engine_path
from runtime.session import FakeSession
from tests.runtime.small_engines import engine_facts

GPU = Gpu("Orin", "8.7", True, 8 << 30, "12.6")
NO_GPU = NoGpu("wanted an NVIDIA GPU, found no NVIDIA driver")
CPU_ENGINES = ("openvino", "onnxruntime")


def write_bundle(folder: Path, proved_on: Mapping[str, tuple[str, ...]]) -> Path:
    """A file per precision, and on which engines it was proved."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for precision, engines in proved_on.items():
        path = folder / f"model.{precision}.onnx"
        path.write_text(precision)
        files.append(BundleFile(path.name, precision, sha256_of(path), path.stat().st_size, {}, proved_on=engines))
    write_manifest(folder, Manifest(STREET_LABELS, (8, 12), tuple(files), {}))
    return folder


def wish_for(bundle: Path, **choice: Any) -> Wish:
    return Wish(bundle, read_manifest(bundle), **choice)


class Here:
    """What a machine has, put in the place of the real one; counts what is opened and closed."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.installed: tuple[str, ...] = CPU_ENGINES  # by the engines' names
        self.gpu: Gpu | NoGpu = NO_GPU
        self.servable: dict[str, EngineFacts | FcnEdgeError] = {}  # by the engines' precisions
        self.milliseconds: dict[str, float] = {}  # of a frame, by the candidates' names
        self.broken: dict[str, Exception] = {}  # fails when it is opened
        self.blind: dict[str, Exception] = {}  # fails at its first frame
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.frames: Counter[str] = Counter()
        patch.setattr(candidates, "_installed", lambda: iter(self.installed))
        patch.setattr(candidates, "find_gpu", lambda: _told(self.gpu))
        patch.setattr(candidates, "servable_facts", lambda path, *, trust: _told(self.servable[_precision(path)]))
        patch.setattr(candidates, "open_onnx", lambda path, engine, *_: self._open(f"{engine} {_precision(path)}"))
        patch.setattr(candidates, "open_engine", lambda path, *_: self._open(f"tensorrt {_precision(path)}"))

    def add_engine(self, bundle: Path, precision: str, outcome: EngineFacts | FcnEdgeError | None = None) -> None:
        """A TensorRT engine in the bundle, and what its preflight comes to."""
        engine_path(bundle, precision).write_bytes(b"plan")
        self.servable[precision] = outcome or engine_facts()

    def _open(self, name: str) -> FakeSession:
        if name in self.broken:
            raise self.broken[name]
        self.opened.append(name)
        return Told(name, self)


class Told(FakeSession):
    """A session that says who it is, and takes the time it is said to take."""

    def __init__(self, name: str, here: Here) -> None:
        super().__init__(self._mask, STREET_LABELS, (8, 12))
        self.device, self._here = name, here

    def _mask(self, frame: np.ndarray) -> np.ndarray:
        assert (frame.shape, frame.dtype) == ((8, 12, 3), np.uint8)
        self._here.frames[self.device] += 1
        if self.device in self._here.blind:
            raise self._here.blind[self.device]
        time.sleep(self._here.milliseconds.get(self.device, 0.0) / 1e3)
        return frame[..., 0]

    def close(self) -> None:
        self._here.closed.append(self.device)


def _precision(path: Path) -> str:
    return path.stem.removeprefix("model.")


def _told(what: Any) -> Any:
    if isinstance(what, Exception):
        raise what
    return what
