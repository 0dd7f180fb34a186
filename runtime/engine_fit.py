"""Whether an engine was built for this machine. TensorRT's own answer to a foreign one is a line in a log, or a crash.

The driver is asked before TensorRT is loaded. An engine fits the very version of TensorRT, processor and compute
capability that it was built with (version and hardware compatibility are options that `fcn-edge build` leaves off).
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

from fcn_edge.errors import ModelError, printable
from runtime.conditions import OK, OTHER, REFUSED, UNKNOWN, Condition, judged, told
from runtime.cuda_driver import Gpu, NoGpu, find_gpu
from runtime.engine_facts import BuiltWith, build_command
from runtime.tensorrt_library import load_tensorrt

# The head of a plan, by NVIDIA's trtexec (`printPlanVersion` in samples/common/sampleEngines.cpp): a tag, the version
# of its layout, and in layout 0 the version of TensorRT that wrote it.
TAG, LAYOUT_0, VERSION, HEAD_BYTES = b"ftrt", bytes(4), slice(24, 28), 28


def fit(engine: Path, built: BuiltWith | None) -> Iterator[Condition]:
    """What the engine was built with against what is here; without a sidecar, what can be told all the same."""
    yield _matched("machine", engine, built, built.machine if built else None, platform.machine())
    try:
        gpu = find_gpu()
    except NoGpu as error:
        yield from _without_gpu(engine, built, error)
        return
    yield _gpu(built, gpu)
    capability = built.compute_capability if built else None
    yield _matched("compute capability", engine, built, capability, gpu.compute_capability)
    yield _tensorrt(engine, built)


def _without_gpu(engine: Path, built: BuiltWith | None, error: NoGpu) -> Iterator[Condition]:
    yield Condition("GPU", told(built.gpu if built else None), "none", REFUSED, error)
    capability = told(built.compute_capability if built else None)
    yield Condition("compute capability", capability, "no GPU", UNKNOWN)
    yield Condition("TensorRT", told(_version(engine, built)), "not asked without a GPU", UNKNOWN)


def _gpu(built: BuiltWith | None, gpu: Gpu) -> Condition:
    """Of another model with the same capability TensorRT itself warns only: it may be slower there, or fail."""
    verdict = UNKNOWN if built is None else OK if built.gpu == gpu.name else OTHER
    return Condition("GPU", told(built.gpu if built else None), told(gpu.name), verdict)


def _tensorrt(engine: Path, built: BuiltWith | None) -> Condition:
    version = _version(engine, built)
    try:
        here = str(load_tensorrt().__version__)
    except ModelError as error:
        return Condition("TensorRT", told(version), "none that works", REFUSED, error)
    return _matched("TensorRT", engine, built, version, here)


def _matched(what: str, engine: Path, built: BuiltWith | None, then: str | None, here: str) -> Condition:
    """`here` as it was then, or a refusal that says what was built where."""
    if built is None:
        return Condition(what, told(then), here, UNKNOWN)
    error = ModelError(
        f"{engine}: wanted an engine for {what} {here}, found one built with {_story(built)}; build it here with "
        f"`{build_command(engine)}`"
    )
    return judged(what, told(then), here, None if then == here else error)


def _story(built: BuiltWith) -> str:
    capability, machine = built.compute_capability, built.machine
    return printable(f"TensorRT {built.tensorrt} on {built.gpu} (compute capability {capability}, {machine})")


def _version(engine: Path, built: BuiltWith | None) -> str | None:
    """Of the TensorRT that built it, by the sidecar or else by the plan itself."""
    if built:
        return built.tensorrt
    try:
        with engine.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return None
    is_told = len(head) == HEAD_BYTES and head.startswith(TAG + LAYOUT_0)
    return f"{'.'.join(map(str, head[VERSION]))} (by its plan)" if is_told else None
