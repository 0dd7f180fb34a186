"""The stand-in driver: what the real pycuda finds on it, what it refuses, and what it counts."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.gpu.host_cuda import gpu_environment

pytestmark = pytest.mark.timeout(900)  # whoever is first on a machine compiles pycuda

BEGIN = """
import ctypes, json
import numpy as np
import pycuda.driver as cuda
from tests.gpu.session_child import counts

library = ctypes.CDLL("libcuda.so.1")

def tell(**told):
    print(json.dumps(told))

def found(function, *arguments):
    try:
        return function(*arguments)
    except cuda.Error as error:
        return f"{type(error).__name__}: {error}"

cuda.init()
device = cuda.Device(0)
context = device.retain_primary_context()
context.push()
"""

END = """
ctypes.CDLL("libcuda.so.1").cuCtxPopCurrent_v2(None)
context.detach()
"""


def told_by(code: str, **settings: Any) -> dict[str, Any]:
    """What a child with the real pycuda tells in the context of the GPU."""
    command = [sys.executable, "-W", "error", "-c", BEGIN + code + END]
    environment = gpu_environment(**settings)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize(
    ("settings", "integrated", "capability", "total"),
    [({}, 0, [8, 9], 1 << 30), ({"integrated": 1, "capability": "8.7", "memory": 5000}, 1, [8, 7], 5000)],
)
def test_the_gpu_is_what_the_environment_says(
    settings: dict[str, object], integrated: int, capability: list[int], total: int
) -> None:
    told = told_by(
        "tell(found=[device.get_attribute(cuda.device_attribute.INTEGRATED), device.compute_capability(), "
        "device.total_memory(), device.name()])",
        **settings,
    )
    assert told["found"] == [integrated, capability, total, "Host CUDA"]


def test_what_is_copied_to_the_gpu_and_back_is_the_same() -> None:
    code = """
sent, back = (cuda.pagelocked_empty(1000, np.uint8) for _ in range(2))
sent[:] = np.arange(1000) % 251
stream, memory = cuda.Stream(), cuda.mem_alloc(1000)
cuda.memcpy_htod_async(memory, sent, stream)
cuda.memcpy_dtoh_async(back, memory, stream)
stream.synchronize()
tell(same=bool((sent == back).all()), copies=counts()["copies"], pageable=counts()["pageable_copies"])
"""
    assert told_by(code) == {"same": True, "copies": 2, "pageable": 0}


@pytest.mark.parametrize(("deferred", "seen"), [(0, [7, 7]), (1, [0, 7])])
def test_deferred_work_is_done_when_somebody_waits(deferred: int, seen: list[int]) -> None:
    code = """
sent, back = (cuda.pagelocked_zeros(1, np.uint8) for _ in range(2))
sent[:] = 7
stream, memory = cuda.Stream(), cuda.mem_alloc(1)
cuda.memcpy_htod_async(memory, sent, stream)
cuda.memcpy_dtoh_async(back, memory, stream)
before = int(back[0])
stream.synchronize()
tell(seen=[before, int(back[0])])
"""
    assert told_by(code, deferred=deferred) == {"seen": seen}


def test_memory_ends_where_the_environment_says_and_comes_back_when_freed() -> None:
    code = """
first = cuda.mem_alloc(600)
refused = found(cuda.mem_alloc, 600)
first.free()
tell(refused=refused, free=cuda.mem_get_info(), again=int(cuda.mem_alloc(1000)) > 0)
"""
    told = told_by(code, memory=1000)
    assert told == {"refused": "MemoryError: cuMemAlloc failed: out of memory", "free": [1000, 1000], "again": True}


def test_addresses_that_the_gpu_does_not_reach_are_refused() -> None:
    code = """
pinned, mapped = cuda.pagelocked_empty(9, np.uint8), cuda.pagelocked_empty(9, np.uint8, mem_flags=2)
memory = cuda.mem_alloc(9)
blocks = [(int(memory), 9), (int(memory), 10), (pinned.ctypes.data, 9), (mapped.ctypes.data, 9)]
reaches = [library.host_cuda_reaches(ctypes.c_void_p(start), ctypes.c_size_t(count)) for start, count in blocks]
tell(
    beyond=found(cuda.memcpy_htod, memory, np.zeros(10, np.uint8)),
    pinned=found(pinned.base.get_device_pointer),
    mapped=mapped.base.get_device_pointer() == mapped.ctypes.data,
    reaches=reaches,
)
"""
    told = told_by(code)
    assert "invalid argument" in told["beyond"] and "invalid argument" in told["pinned"] and told["mapped"]
    assert told["reaches"] == [1, 0, 0, 1]


def test_every_thread_has_a_stack_of_contexts_of_its_own() -> None:
    code = """
import threading
seen = []
def work():
    seen.append(library.cuMemAlloc_v2(ctypes.byref(ctypes.c_void_p()), ctypes.c_size_t(1)))
    context.push()
    seen.append(counts()["context_depth"])
    context.pop()
thread = threading.Thread(target=work)
thread.start(), thread.join()
tell(seen=seen, depth=counts()["context_depth"])
"""
    assert told_by(code) == {"seen": [201, 1], "depth": 1}  # CUDA_ERROR_INVALID_CONTEXT


def test_a_graph_runs_what_was_captured_once_per_launch() -> None:
    code = """
calls = []
CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
job = CALLBACK(lambda user: calls.append(user))
stream = cuda.Stream()
handle, graph, launchable = ctypes.c_void_p(stream.handle), ctypes.c_void_p(), ctypes.c_void_p()
codes = [library.cuStreamBeginCapture_v2(handle, 1)]
codes.append(library.host_cuda_enqueue(handle, job, ctypes.c_void_p(5)))
captured = list(calls)
codes.append(library.cuStreamEndCapture(handle, ctypes.byref(graph)))
codes.append(library.cuGraphInstantiateWithFlags(ctypes.byref(launchable), graph, ctypes.c_ulonglong(0)))
codes.append(library.cuGraphDestroy(graph))
codes += [library.cuGraphLaunch(launchable, handle) for _ in range(3)]
codes.append(library.cuGraphExecDestroy(launchable))
tell(codes=codes, captured=captured, calls=calls, graphs=counts()["graphs"] + counts()["graph_execs"])
"""
    assert told_by(code) == {"codes": [0] * 9, "captured": [], "calls": [5, 5, 5], "graphs": 0}


def test_waiting_for_a_stream_that_captures_breaks_the_capture() -> None:
    code = """
stream = cuda.Stream()
handle, graph = ctypes.c_void_p(stream.handle), ctypes.c_void_p()
library.cuStreamBeginCapture_v2(handle, 1)
waited = found(stream.synchronize)
tell(waited=waited, ended=library.cuStreamEndCapture(handle, ctypes.byref(graph)), after=found(stream.synchronize))
"""
    told = told_by(code)
    assert "stream is capturing" in told["waited"] and told["ended"] == 901 and told["after"] is None


def test_after_the_launch_that_failed_every_call_fails() -> None:
    code = """
CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
job = CALLBACK(lambda user: None)
stream = cuda.Stream()
codes = [library.host_cuda_enqueue(ctypes.c_void_p(stream.handle), job, None) for _ in range(3)]
told = dict(codes=codes, waited=found(stream.synchronize), allocated=found(cuda.mem_alloc, 1))
print(json.dumps(told), flush=True)
import os
os._exit(0)
"""
    told = told_by(code, fail_after=2)
    assert told["codes"] == [0, 0, 700]
    assert all(told[name].endswith("an illegal memory access was encountered") for name in ("waited", "allocated"))


def test_what_nobody_needs_is_said_not_to_be_supported() -> None:
    assert "operation not supported" in told_by("tell(found=found(cuda.memset_d8, 0, 0, 1))")["found"]


def test_without_a_device_there_is_none() -> None:
    code = "from runtime.cuda_driver import find_gpu\nfind_gpu()"
    environment = gpu_environment(pycuda=False, devices=0)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert "cuInit: CUDA_ERROR_NO_DEVICE (100)" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(("defines", "has"), [((), [True, True]), (("WITHOUT_GRAPH_FLAGS",), [False, True])])
def test_a_driver_of_before_cuda_11_4_lacks_one_function(defines: tuple[str, ...], has: list[bool]) -> None:
    code = "tell(has=[hasattr(library, f'cuGraphInstantiate{end}') for end in ('WithFlags', '_v2')])"
    assert told_by(code, defines=defines) == {"has": has}
