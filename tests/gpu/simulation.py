"""What the doubles of a simulated TensorRT share: the version they play, what a test wants to know, and their bytes."""

from __future__ import annotations

import ctypes
import hashlib
import json
from types import ModuleType
from typing import Any

from tests.gpu.doubles import Behaviour, World

PLAN, TIMINGS = b"simulated plan\n", b"simulated timing cache\n"
TAG = "magicTagRead == kMAGIC_TAG failed.Magic tag does not match"  # of bytes that are neither


class Simulation(World):
    """The doubles of one process, and what a test wants to know of them."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module)
        self.version = str(module.__version__)
        self.major = int(self.version.split(".")[0])
        self.begin()

    def begin(self, *, failing_after: int | None = None, interrupted: bool = False) -> None:
        """Forget what was, before the next command. `failing_after`: as many enqueues succeed; `interrupted`: the user
        presses Ctrl-C while an engine is built."""
        self.failing_after, self.interrupted = failing_after, interrupted
        self.calls.clear()
        self.breaches.clear()
        self.built: list[dict[str, Any]] = []  # flags, timed layers ... of each build
        self.enqueued = 0  # by execute_async_v3
        self.run = 0  # by the stream, graphs included


class Simulated(Behaviour):
    _world: Simulation

    def _tell(self, logger: Any, text: str, code: int = 4, kind: str = "Internal Error") -> None:
        """Log an error in the library's form, through the real bindings into the logger's own method."""
        told = f"[simulated] Error Code {code}: {kind} ({text})"
        ilogger = self._world.real.ILogger
        ilogger.log(logger, ilogger.ERROR, f"{code}: {told}" if self._world.major == 8 else told)


def plan_of(version: str, verbosity: str, content: bytes) -> bytes:
    header = {"version": version, "verbosity": verbosity, "sha256": hashlib.sha256(content).hexdigest()}
    return PLAN + json.dumps(header).encode() + b"\n" + content


def host_memory(simulation: Simulation, content: bytes) -> Any:
    """A double of trt.IHostMemory: a buffer, for the buffer protocol cannot be given in Python before 3.12."""

    def refuse(self: Any, *_: object) -> Any:
        raise simulation.breach(TypeError("IHostMemory is a buffer, and nothing else"))

    class IHostMemory(ctypes.c_ubyte * len(content)):  # type: ignore[misc]
        stands_for = simulation.real.IHostMemory
        nbytes = property(lambda self: len(content))
        dtype = property(lambda self: simulation.real.DataType.INT8)
        __len__ = __getitem__ = __setitem__ = __iter__ = refuse

    return IHostMemory.from_buffer_copy(content)
