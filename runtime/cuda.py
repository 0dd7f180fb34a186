"""One GPU through pycuda: its primary context, a stream of our own, memory and times. It knows nothing of engines.

The primary context is the one in which TensorRT, torch and every user of CUDA's runtime work. It is retained once, and
current only around each use: any thread may come, one at a time.
"""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import DeviceError, ModelError, first_line
from runtime.cuda_driver import LIBRARY

STEPS = 3  # at most, whose times are taken at once

CURE = (
    "with a C++ compiler and the CUDA toolkit at hand: PATH=/usr/local/cuda/bin:$PATH pip install --force-reinstall "
    "pycuda, or choose another --engine"  # its setup looks for nvcc on PATH, and for no variable
)


class OutOfMemory(DeviceError):
    """The GPU has less memory left than was asked for; nothing broke."""


@dataclass(frozen=True)
class Exchange:
    """Memory that host and GPU hand to one another: two blocks, or one that both reach where they share theirs."""

    host: NDArray[np.uint8]  # page-locked; gone once the device is closed
    address: int  # of the GPU's block


class CudaDevice:
    """GPU 0, opened. Once `is_broken`, it neither works nor gives anything back until the process is started again."""

    def __init__(self) -> None:
        """Raises ModelError where pycuda is missing or the GPU does not let itself be opened."""
        self.is_broken = False
        self._is_closed = False
        self._driver = _pycuda()
        self._context: Any = None
        self._stream: Any = None
        self._marks: list[Any] = []
        self._allocations: list[Any] = []
        try:
            self._open()
        except (self._driver.Error, DeviceError) as error:
            self.close()
            raise ModelError(
                f"wanted to open the GPU, found: {first_line(error.__cause__ or error)}; see `fcn-edge doctor`, "
                "or choose another --engine"
            ) from None

    def _open(self) -> None:
        self._driver.init()
        device = self._driver.Device(0)
        self.shares_memory = bool(device.get_attribute(self._driver.device_attribute.INTEGRATED))
        self._context = device.retain_primary_context()
        with self.current():
            self._stream = self._driver.Stream()
            self._marks = [self._driver.Event() for _ in range(STEPS + 1)]

    @property
    def stream(self) -> int:
        """A CUstream as ctypes and TensorRT take it; not the default one, for whose sake TensorRT would wait more."""
        return int(self._stream.handle)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Around every use. Whatever pycuda raises in the block becomes a DeviceError, OutOfMemory if it is that."""
        if self.is_broken:
            raise self.failure("that it failed before")
        try:
            self._context.push()
            try:
                yield
            except BaseException:
                with suppress(self._driver.Error):
                    self._pop()
                raise
            self._pop()
        except self._driver.MemoryError as error:
            raise OutOfMemory(
                f"wanted memory of the GPU, found: {first_line(error)}; close what else uses it"
            ) from error
        except self._driver.Error as error:
            raise self.failure(first_line(error)) from error

    def _pop(self) -> None:
        try:
            self._context.pop()
        except self._driver.Error:
            self._context.detach()  # empties pycuda's own stack: one that is not empty at its end aborts the process
            raise

    def failure(self, found: str) -> DeviceError:
        """The error to raise for what CUDA, or TensorRT on it, failed in."""
        if not self.is_broken:
            self.is_broken = True
            keep_for_ever(self)
        return DeviceError(f"wanted the GPU to work, found: {found}; start again, and see dmesg if it comes again")

    def exchange(self, shape: tuple[int, ...]) -> Exchange:
        """An array of that shape to be written by one side and read by the other. Its content is not set."""
        flags = self._driver.host_alloc_flags.DEVICEMAP if self.shares_memory else 0
        host = self._driver.pagelocked_empty(shape, np.uint8, mem_flags=flags)
        self._allocations.append(host.base)
        address = host.base.get_device_pointer() if self.shares_memory else self.memory(host.nbytes)
        return Exchange(host, int(address))

    def memory(self, size_bytes: int) -> int:
        """The address of as much memory of the GPU's, which no host reads."""
        self._allocations.append(self._driver.mem_alloc(size_bytes))
        return int(self._allocations[-1])

    def free_bytes(self) -> int:
        """What the GPU has left, for everybody."""
        return int(self._driver.mem_get_info()[0])

    def upload(self, exchange: Exchange) -> None:
        """Put the copy from the host's block to the GPU's into the stream."""
        self._driver.memcpy_htod_async(exchange.address, exchange.host, self._stream)

    def download(self, exchange: Exchange) -> None:
        """Put the copy from the GPU's block to the host's into the stream."""
        self._driver.memcpy_dtoh_async(exchange.host, exchange.address, self._stream)

    def synchronise(self) -> None:
        """Wait until the stream has nothing left to do; other Python threads run meanwhile."""
        self._stream.synchronize()

    def timed(self, steps: Mapping[str, Callable[[], None]]) -> dict[str, float]:
        """Let each step fill the stream, wait once for all, and tell what each took in milliseconds of the GPU."""
        self._marks[0].record(self._stream)
        for step, mark in zip(steps.values(), self._marks[1:], strict=False):
            step()
            mark.record(self._stream)
        self.synchronise()
        return {
            name: float(start.time_till(end))
            for name, start, end in zip(steps, self._marks, self._marks[1:], strict=False)
        }

    def close(self) -> None:
        """Give everything back, but nothing of a broken GPU; never raises. What works in the context must be gone."""
        if self.is_broken or self._is_closed or self._context is None:
            return
        self._is_closed = True
        try:
            self._release()
        except self._driver.Error as error:
            self.failure(first_line(error))

    def _release(self) -> None:
        self._context.push()
        for allocation in self._allocations:
            allocation.free()
        self._allocations, self._marks, self._stream = [], [], None
        # pycuda's detach releases a primary context, but leaves it on the thread's stack in the driver.
        ctypes.CDLL(LIBRARY).cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
        self._context.detach()


def keep_for_ever(thing: object) -> None:
    """So that nothing it holds is ever destroyed: destructors that call a broken driver print, hang or crash."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _pycuda() -> Any:
    """The module pycuda.driver; raises ModelError where it is missing or does not load."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of what it then raises
            import pycuda.driver
    except (ImportError, OSError) as error:
        raise ModelError(f"wanted the package pycuda, found: {first_line(error)}; {CURE}") from None
    return pycuda.driver
