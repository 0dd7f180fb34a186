"""The NVIDIA driver by itself, through ctypes: whether there is a GPU, and which. Needs no CUDA toolkit and no package.

It is asked before TensorRT is: without a driver the Runtime object of TensorRT 11 crashes the process.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from fcn_edge.errors import ModelError

LIBRARY = "libcuda.so.1"

# CUdevice_attribute of cuda.h
INTEGRATED, MAJOR, MINOR = 18, 75, 76


@dataclass(frozen=True)
class Gpu:
    """The GPU that this process would use."""

    name: str
    compute_capability: str  # "8.7"
    integrated: bool  # shares the host's memory, as a Jetson's does
    memory_bytes: int
    driver_cuda: str  # the newest CUDA that the driver serves: "12.6"


class NoGpu(ModelError):
    """There is no GPU that this process could use; says why."""


def find_gpu(ordinal: int = 0) -> Gpu:
    """The GPU with this number; raises NoGpu. No context is made, so nothing of the GPU's memory is taken."""
    driver = Driver()
    device = driver.device(ordinal)
    name = ctypes.create_string_buffer(256)
    memory, version = ctypes.c_size_t(), ctypes.c_int()
    driver.call("cuDeviceGetName", name, len(name), device)
    driver.call("cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    driver.call("cuDriverGetVersion", ctypes.byref(version))
    major, minor, integrated = (driver.attribute(number, device) for number in (MAJOR, MINOR, INTEGRATED))
    served = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return Gpu(name.value.decode(errors="replace"), f"{major}.{minor}", bool(integrated), memory.value, served)


class Driver:
    """libcuda, loaded and initialised; raises NoGpu where that fails."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise NoGpu(_refusal(f"no NVIDIA driver ({error})")) from None
        self.call("cuInit", 0)

    def device(self, ordinal: int) -> ctypes.c_int:
        count, device = ctypes.c_int(), ctypes.c_int()
        self.call("cuDeviceGetCount", ctypes.byref(count))
        if ordinal >= count.value:
            raise NoGpu(_refusal(f"a driver that shows {count.value}"))
        self.call("cuDeviceGet", ctypes.byref(device), ordinal)
        return device

    def attribute(self, number: int, device: ctypes.c_int) -> int:
        value = ctypes.c_int()
        self.call("cuDeviceGetAttribute", ctypes.byref(value), number, device)
        return value.value

    def call(self, name: str, *arguments: object) -> None:
        """A function of cuda.h; raises NoGpu with the driver's own name for what went wrong."""
        try:
            code = getattr(self._library, name)(*arguments)
        except AttributeError:
            raise NoGpu(_refusal(f"a driver without {name}")) from None
        if code:
            raise NoGpu(_refusal(f"{name}: {error_name(self._library, code)}"))


def error_name(library: ctypes.CDLL, code: int) -> str:
    """The driver's own name for a CUresult and its number."""
    told = ctypes.c_char_p()
    if getattr(library, "cuGetErrorName", lambda *_: 1)(code, ctypes.byref(told)) or not told.value:
        return f"error {code}"
    return f"{told.value.decode()} ({code})"


def _refusal(found: str) -> str:
    return f"wanted an NVIDIA GPU, found {found}; see `fcn-edge doctor` (a CPU serves bundles and ONNX files)"
