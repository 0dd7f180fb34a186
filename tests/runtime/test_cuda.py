"""runtime.cuda and runtime.cuda_graph: the real pycuda on the tests' driver, in child processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Done
from tests.gpu.host_cuda import gpu_environment

pytestmark = pytest.mark.timeout(900)  # whoever is first on a machine compiles pycuda

BEGIN = """
import ctypes, json
import numpy as np
from fcn_edge.errors import DeviceError, FcnEdgeError
from runtime.cuda import CudaDevice, OutOfMemory
from runtime.cuda_graph import CudaGraph, GraphError
from tests.gpu.session_child import LIVING, counts

library = ctypes.CDLL("libcuda.so.1")
JOB = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

def enqueuing(job, stream):
    return lambda: library.host_cuda_enqueue(ctypes.c_void_p(stream), job, None) == 0

def found(function, *arguments):
    try:
        return function(*arguments)
    except (FcnEdgeError, GraphError) as error:
        return f"{type(error).__name__}: {error}"

def tell(**told):
    print(json.dumps(told), flush=True)
"""

EVERYWHERE = pytest.mark.parametrize("integrated", [0, 1], ids=["own memory", "shared memory"])


def run(code: str, **settings: Any) -> Done:
    command = [sys.executable, "-W", "error", "-c", BEGIN + code]
    environment = gpu_environment(**settings)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def told_by(code: str, **settings: Any) -> dict[str, Any]:
    done = run(code, **settings)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@EVERYWHERE
def test_a_device_gives_back_whatever_it_took(integrated: int) -> None:
    code = """
device = CudaDevice()
with device.current():
    device.exchange((1, 3, 4)), device.memory(100)
opened = counts()
device.close(), device.close()
tell(opened=[opened[name] > 0 for name in ("host_allocations", "device_allocations", "streams", "events")],
     closed=[counts()[name] for name in LIVING], depth=counts()["context_depth"],
     balance=counts()["pushes"] - counts()["pops"])
"""
    told = told_by(code, integrated=integrated)
    assert told == {"opened": [True] * 4, "closed": [0] * 7, "depth": 0, "balance": 0}


@EVERYWHERE
def test_bytes_make_the_way_to_the_gpu_and_back(integrated: int) -> None:
    code = """
device = CudaDevice()
with device.current():
    there, back = device.exchange((2, 5)), device.exchange((2, 5))
    there.host[:] = np.arange(10).reshape(2, 5)
    copy = JOB(lambda _: ctypes.memmove(back.address, there.address, 10) and None)
    compute = enqueuing(copy, device.stream)
    steps = {"compute": lambda: compute() or 1 / 0}
    if not device.shares_memory:
        steps = {"h2d": lambda: device.upload(there), **steps, "d2h": lambda: device.download(back)}
    parts_ms = device.timed(steps)
    tell(back=back.host.tolist(), names=list(parts_ms), counted=counts(), ms=min(parts_ms.values()),
         same=[there.address == there.host.ctypes.data, back.address == back.host.ctypes.data])
device.close()
"""
    told = told_by(code, integrated=integrated, deferred=1)
    assert told["back"] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]] and told["same"] == [bool(integrated)] * 2
    assert told["names"] == (["compute"] if integrated else ["h2d", "compute", "d2h"]) and told["ms"] >= 0
    assert told["counted"]["copies"] == (0 if integrated else 2) and told["counted"]["pageable_copies"] == 0
    assert told["counted"]["synchronisations"] == 1


def test_the_context_is_current_only_around_each_use() -> None:
    code = """
depths = []
def depth():
    depths.append(counts()["context_depth"])
device = CudaDevice()
depth()
with device.current():
    depth()
    with device.current():
        depth()
    depth()
try:
    with device.current():
        raise KeyError
except KeyError:
    depth()
device.close()
tell(depths=depths, balance=counts()["pushes"] - counts()["pops"])
"""
    # pycuda keeps no context below the top one in the driver
    assert told_by(code) == {"depths": [0, 1, 1, 1, 0], "balance": 0}


def test_another_user_of_the_primary_context_keeps_it() -> None:
    code = """
library.cuDevicePrimaryCtxRetain(ctypes.byref(ctypes.c_void_p()), 0)
CudaDevice().close()
tell(references=counts()["primary_references"])
"""
    assert told_by(code) == {"references": 1}


def test_threads_may_come_one_after_the_other_and_the_last_may_close() -> None:
    code = """
from threading import Thread
device, blocks, depths = CudaDevice(), [], []
def allocate():
    with device.current():
        blocks.append(device.exchange((1,)))
    depths.append(counts()["context_depth"])
def close():
    device.close()
    depths.append(counts()["context_depth"])
for work in (allocate, allocate, close):
    thread = Thread(target=work)
    thread.start(), thread.join()
tell(depths=depths, closed=[counts()[name] for name in LIVING])
"""
    assert told_by(code) == {"depths": [0, 0, 0], "closed": [0] * 7}


def test_too_little_memory_is_told_and_breaks_nothing() -> None:
    code = """
device = CudaDevice()
def ask(size):
    with device.current():
        return device.memory(size) > 0
tell(first=found(ask, 2000), broken=device.is_broken, second=found(ask, 500))
device.close()
"""
    told = told_by(code, memory=1000)
    assert told["first"].startswith("OutOfMemory: ") and "out of memory" in told["first"]
    assert (told["broken"], told["second"]) == (False, True)


FAILING = """
device = CudaDevice()
def use():
    with device.current():
        for _ in range(3):
            library.host_cuda_enqueue(ctypes.c_void_p(device.stream), job, None)
        device.synchronise()
job = JOB(lambda _: None)
first, second = found(use), found(use)
device.close()
tell(first=first, second=second, broken=device.is_broken)
"""


@pytest.mark.parametrize("contexts_fail", [0, 1])
def test_after_a_failure_every_use_raises_and_closing_does_nothing(contexts_fail: int) -> None:
    done = run(FAILING, fail_after=2, contexts_fail=contexts_fail)
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["broken"]  # nor does pycuda abort the process for its stack of contexts
    assert "an illegal memory access was encountered; start again" in told["first"]
    assert told["second"].startswith("DeviceError: ") and "\n" not in told["first"]
    assert done.stderr.count("PyCUDA WARNING") == contexts_fail  # that of releasing the primary context


def test_a_gpu_that_does_not_open_is_refused_in_one_line() -> None:
    done = run("tell(found=found(CudaDevice))", fail_after=0)
    assert done.returncode == 0
    told = json.loads(done.stdout)["found"]
    assert told.startswith("ModelError: wanted to open the GPU, found: cuDevicePrimaryCtxRetain failed: an illegal")


def test_without_pycuda_the_refusal_says_how_to_get_it() -> None:
    told = told_by("tell(found=found(CudaDevice))", pycuda=False)["found"]
    assert told.startswith("ModelError: wanted the package pycuda, found: No module named 'pycuda'")
    assert "pip install" in told and "--engine" in told


def test_a_pycuda_of_another_cuda_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "pycuda").mkdir()
    (tmp_path / "pycuda" / "__init__.py").touch()
    (tmp_path / "pycuda" / "driver.py").write_text(
        "import warnings\nwarnings.warn('of another CUDA')\nraise ImportError('undefined symbol: cuNew_v9')\n"
    )
    told = told_by("tell(found=found(CudaDevice))", pycuda=False, paths=(tmp_path,))["found"]
    assert "undefined symbol: cuNew_v9" in told and "--force-reinstall" in told


GRAPH = """
calls = []
job = JOB(lambda _: calls.append(1))
device = CudaDevice()
with device.current():
    graph = CudaGraph(device.stream, enqueuing(job, device.stream))
    captured = len(calls)
    for _ in range(3):
        graph.launch()
    device.synchronise()
    held = counts()
    graph.close()
    closed = counts()
device.close()
tell(captured=captured, calls=len(calls), held=[held["graphs"], held["graph_execs"]], closed=closed["graph_execs"])
"""


@pytest.mark.parametrize("defines", [(), ("WITHOUT_GRAPH_FLAGS",)], ids=["new driver", "before 11.4"])
def test_a_graph_does_with_each_launch_what_was_enqueued_once(defines: tuple[str, ...]) -> None:
    told = told_by(GRAPH, defines=defines, deferred=1)
    assert told == {"captured": 0, "calls": 3, "held": [0, 1], "closed": 0}


@pytest.mark.parametrize(
    ("enqueue", "no_capture", "word"),
    [
        ("enqueuing(job, device.stream)", 1, "cuStreamEndCapture: CUDA_ERROR_STREAM_CAPTURE_INVALIDATED (901)"),
        ("lambda: False", 0, "could not be enqueued"),
        ("lambda: [][0]", 0, "IndexError"),
    ],
)
def test_a_capture_that_fails_leaves_the_stream_as_it_was(enqueue: str, no_capture: int, word: str) -> None:
    code = f"""
calls = []
job = JOB(lambda _: calls.append(1))
device = CudaDevice()
with device.current():
    try:
        told = found(CudaGraph, device.stream, {enqueue})
    except IndexError as error:
        told = repr(error)
    assert enqueuing(job, device.stream)()
    device.synchronise()
    tell(found=told, calls=len(calls), graphs=counts()["graphs"] + counts()["graph_execs"])
device.close()
"""
    told = told_by(code, no_capture=no_capture)
    assert word in told["found"] and (told["calls"], told["graphs"]) == (1, 0)


def test_a_launch_that_fails_names_the_driver_s_error() -> None:
    code = GRAPH.replace("device.synchronise()", "tell(found=found(graph.launch)), exit()")
    assert json.loads(run(code, fail_after=3).stdout) == {
        "found": "GraphError: cuGraphLaunch: CUDA_ERROR_ILLEGAL_ADDRESS (700)"
    }
