"""`fcn-edge doctor` where there is a driver: real bindings of TensorRT and the real pycuda, on stand-in libraries."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Done, assert_refused, run_fcn_edge
from tests.gpu.bindings import RELEASES, bindings_of, require_compiler
from tests.gpu.host_cuda import ROOT, gpu_environment


def doctor(environment: dict[str, str], *words: str) -> Done:
    return run_fcn_edge("doctor", "--json", "--engine", "tensorrt", *words, env=environment)


def found(done: Done, section: str) -> dict[str, Any]:
    return {finding["topic"]: finding for finding in json.loads(done.stdout)[section]}


@pytest.mark.parametrize("version", RELEASES)
def test_tensorrt_is_usable_where_all_it_needs_is_there(version: str) -> None:
    bindings = bindings_of(version)
    done = doctor(gpu_environment(paths=(bindings.packages,), libraries=(bindings.libraries,)))
    assert (done.returncode, done.stderr) == (0, "")
    assert found(done, "engines")["tensorrt"]["found"].startswith(f"TensorRT {version} on ")
    assert found(done, "packages")["PyCUDA"]["found"] == "2026.1, built for CUDA 12.6"
    assert found(done, "machine")["GPU"]["verdict"] == "ok"


def test_bindings_without_their_libraries_are_refused_in_one_line() -> None:
    bindings = bindings_of("10.3.0")
    done = doctor(gpu_environment(paths=(bindings.packages,)))
    assert_refused(done, 4, "wanted the engine tensorrt", "libnvinfer", "pip install")
    assert found(done, "packages")["TensorRT"]["verdict"] == "bad"


def test_without_pycuda_its_command_is_told() -> None:
    bindings = bindings_of("10.3.0")
    done = doctor(gpu_environment(pycuda=False, paths=(bindings.packages,), libraries=(bindings.libraries,)))
    assert_refused(done, 4, "PyCUDA not installed", "pip install 'fcn-edge[tensorrt]'")


@pytest.mark.parametrize("version", ["8.6.1", "11.4.0.106"])  # the Runtime of the latter crashes without a driver
def test_tensorrt_without_a_driver_is_no_crash(version: str) -> None:
    bindings = bindings_of(version)
    paths = os.pathsep.join(map(str, (bindings.packages, ROOT)))
    done = doctor({**os.environ, "PYTHONPATH": paths, "LD_LIBRARY_PATH": str(bindings.libraries)})
    assert_refused(done, 4, "wanted the engine tensorrt", "no NVIDIA GPU")
    assert found(done, "packages")["TensorRT"]["found"] == version


def test_a_driver_that_crashes_is_a_finding(tmp_path: Path) -> None:
    source = "#include <stdlib.h>\nint cuInit(unsigned flags) { abort(); }\n"
    command = [require_compiler(), "-shared", "-fPIC", "-x", "c", "-", "-o", str(tmp_path / "libcuda.so.1")]
    subprocess.run(command, input=source, text=True, check=True)
    done = doctor({**os.environ, "LD_LIBRARY_PATH": str(tmp_path)})
    assert_refused(done, 4, "an NVIDIA GPU that cannot be used: a crash (SIGABRT)")


def test_a_driver_that_shows_no_gpu_is_no_gpu() -> None:
    done = doctor(gpu_environment(pycuda=False, devices=0))
    assert_refused(done, 4, "no NVIDIA GPU")
