"""runtime.ort_session: what onnxruntime alone asks for; test_session.py holds what every engine keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fcn_edge.datasets.street import draw_street
from fcn_edge.errors import ModelError, UsageError
from fcn_edge.files import sha256_of
from runtime import ort_session
from runtime.model_cache import being_kept, key_of
from runtime.ort_session import OrtSession, onnxruntime_library
from runtime.session import open_session
from tests.runtime.test_session import FACTS, SIZE_HW, write_graph

FRAMES = [draw_street(seed, size_hw=SIZE_HW)[0] for seed in range(4)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of one test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fcn-edge" / "models"


def masks(path: Path, *, sha256: str | None = None) -> np.ndarray:
    with OrtSession(path, sha256=sha256) as session:
        return np.stack([session.infer(frame) for frame in FRAMES])


def entries(cache: Path) -> list[Path]:
    return sorted(cache.iterdir()) if cache.exists() else []


def test_a_kept_graph_gives_the_same_masks_to_the_bit(tiny_bundle: Path, cache: Path) -> None:
    path = tiny_bundle / "model.fp32.onnx"
    plain = masks(path)
    assert len(np.unique(plain)) > 3
    assert np.array_equal(masks(path, sha256=sha256_of(path)), plain)
    (entry,) = entries(cache)
    written = entry.stat().st_ino
    assert np.array_equal(masks(path, sha256=sha256_of(path)), plain)
    assert [found.stat().st_ino for found in entries(cache)] == [written]


@pytest.mark.parametrize("precision", ["int8-cpu", "int8", "fp16"])
def test_where_keeping_brings_nothing_nothing_is_kept(tiny_bundle: Path, cache: Path, precision: str) -> None:
    path = tiny_bundle / f"model.{precision}.onnx"
    masks(path, sha256=sha256_of(path))
    assert entries(cache) == []


def test_of_a_file_on_its_own_nothing_is_kept(tiny_bundle: Path, cache: Path) -> None:
    with open_session(tiny_bundle / "model.fp32.onnx", "onnxruntime"):
        assert entries(cache) == []


def test_of_a_bundles_file_the_graph_is_kept(tiny_bundle: Path, cache: Path) -> None:
    with open_session(tiny_bundle, "onnxruntime", "fp32"):
        assert len(entries(cache)) == 1


def test_a_kept_graph_that_onnxruntime_does_not_open_is_replaced(tiny_bundle: Path, cache: Path) -> None:
    path = tiny_bundle / "model.fp32.onnx"
    digest = sha256_of(path)
    with being_kept(key_of(library=f"onnxruntime {onnxruntime_library().__version__}", sha256=digest)) as place:
        place.write_bytes(b"no graph")
    before = [entry.name for entry in entries(cache)]
    assert len(before) == 1
    assert np.array_equal(masks(path, sha256=digest), masks(path))
    after = entries(cache)
    assert len(after) == 1 and after[0].name != before[0]


def test_without_a_place_for_a_cache_a_graph_opens_all_the_same(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    path = tiny_bundle / "model.fp32.onnx"
    assert np.array_equal(masks(path, sha256=sha256_of(path)), masks(path))


def test_threads_sleep_while_they_wait(tmp_path: Path) -> None:
    with OrtSession(write_graph(tmp_path / "bright.onnx", json.dumps(FACTS))) as session:
        options = session._session.get_session_options()
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_a_provider_that_is_not_in_this_build_is_told(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = SimpleNamespace(get_available_providers=lambda: ["AzureExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(ort_session, "onnxruntime_library", lambda: library)
    with pytest.raises(ModelError, match=r"wanted onnxruntime with CUDA\w+, found .*CPU"):
        open_session(tiny_bundle, "onnxruntime-cuda")


class HalfCuda:
    """onnxruntime as it is where the CUDA provider is built in and does not load: it goes on without."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def InferenceSession(self, path: Path, options: Any, *, providers: list[Any], enable_fallback: int) -> Any:
        names = [provider if isinstance(provider, str) else provider[0] for provider in providers]
        assert (names, enable_fallback) == (["CUDAExecutionProvider", "CPUExecutionProvider"], 0)
        return self._library.InferenceSession(path, options, providers=names[1:])


def test_a_provider_that_stays_inactive_is_told(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = HalfCuda(onnxruntime_library())
    monkeypatch.setattr(ort_session, "onnxruntime_library", lambda: library)
    with pytest.raises(ModelError, match="wanted onnxruntime to compute on CUDA, found that it took CPU"):
        OrtSession(tiny_bundle / "model.fp32.onnx", device="CUDA")


@pytest.mark.parametrize("found", [None, SimpleNamespace()], ids=["none", "a folder of that name"])
def test_without_the_package_one_line_says_what_to_install(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, found: Any
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", found)
    with pytest.raises(
        UsageError, match=r"^wanted the package onnxruntime, found: .*; install it: pip install"
    ) as told:
        OrtSession(tiny_bundle / "model.fp32.onnx")
    assert "\n" not in str(told.value)


OPENED = """
import os, sys
from pathlib import Path
from runtime.ort_session import OrtSession
OrtSession(Path(sys.argv[1])).close()
"""


def test_opening_reports_nothing_to_anybody_and_leaves_no_trace(tiny_bundle: Path, tmp_path: Path) -> None:
    """onnxruntime's telemetry would, from 1.32 on."""
    calm = {key: value for key, value in os.environ.items() if key not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    home = {**calm, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", OPENED, str(tiny_bundle / "model.fp32.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
