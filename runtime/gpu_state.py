"""What the GPU is doing and what holds it back: clocks, power, temperature, throttling. Figures must be read with it.

On a desktop the driver's NVML tells, through ctypes; on a Jetson its files do (`jetson`). No package is needed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from runtime.cuda_driver import Driver, NoGpu
from runtime.jetson import Jetson, read_jetson

LIBRARY = "libnvidia-ml.so.1"

# nvml.h: nvmlClockType_t and nvmlTemperatureSensors_t
SM_CLOCK, MEMORY_CLOCK, GPU_SENSOR = 1, 2, 0

# nvml.h: nvmlClocksThrottleReason..., from driver 535 on called nvmlClocksEventReason...
THROTTLE_REASONS = {
    0x001: "idle",
    0x002: "clocks set by the user",
    0x004: "power limit",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "temperature",
    0x040: "temperature, by hardware",
    0x080: "power brake",
    0x100: "display clocks",
}
REASONS_CALLS = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")


def gpu_state() -> dict[str, Any]:
    """A look at the GPU that CUDA counts first. What nobody tells is left out; where there is no GPU, that is all.

    Clocks in MHz, power in watts, temperatures in degrees Celsius; `throttle` is a list of words.
    """
    jetson = read_jetson()
    told = {**_nvml_state(), **(_jetson_state(jetson) if jetson else {})}
    return {name: value for name, value in told.items() if value not in (None, {})}


def _jetson_state(jetson: Jetson) -> dict[str, Any]:
    mode, clock = jetson.power_mode, jetson.gpu_clock
    zones = jetson.temperatures_c
    state = {
        "board": jetson.board,
        "l4t": jetson.l4t,
        "power_mode": mode and (mode.name or str(mode.number)),
        "gpu_clock_mhz": clock and clock.mhz,
        "gpu_clock_min_mhz": clock and clock.min_mhz,
        "gpu_clock_max_mhz": clock and clock.max_mhz,
        "temperature_c": next((value for zone, value in zones.items() if zone.lower().startswith("gpu")), None),
        "temperatures_c": dict(zones),
        "rails_w": dict(jetson.rails_w),
    }
    return {name: value for name, value in state.items() if value is not None}  # Thor's NVML may tell what no file does


def _nvml_state() -> dict[str, Any]:
    with nvml_gpu() as look:
        return look()


@contextmanager
def nvml_gpu() -> Iterator[Callable[[], dict[str, Any]]]:
    """What looks at the GPU each time that it is called, as `gpu_state` does but by NVML alone: {} without it.

    Opening takes long, a look does not. What the driver does not tell is None.
    """
    with _nvml() as nvml:
        device = _device(nvml) if nvml else None
        yield lambda: _look(nvml, device) if nvml and device else {}


def _look(nvml: ctypes.CDLL, device: ctypes.c_void_p) -> dict[str, Any]:
    return {
        "name": _text(nvml, "nvmlDeviceGetName", device),
        "driver": _text(nvml, "nvmlSystemGetDriverVersion"),
        "gpu_clock_mhz": _number(nvml, "nvmlDeviceGetClockInfo", device, SM_CLOCK),
        "gpu_clock_max_mhz": _number(nvml, "nvmlDeviceGetMaxClockInfo", device, SM_CLOCK),
        "memory_clock_mhz": _number(nvml, "nvmlDeviceGetClockInfo", device, MEMORY_CLOCK),
        "memory_clock_max_mhz": _number(nvml, "nvmlDeviceGetMaxClockInfo", device, MEMORY_CLOCK),
        "gpu_busy": _busy(nvml, device),
        "memory_used_bytes": _memory_used(nvml, device),
        "temperature_c": _number(nvml, "nvmlDeviceGetTemperature", device, GPU_SENSOR),
        "power_w": _watts(nvml, "nvmlDeviceGetPowerUsage", device),
        "power_limit_w": _watts(nvml, "nvmlDeviceGetEnforcedPowerLimit", device),
        "throttle": _throttle(nvml, device),
        "persistence_mode": _switch(nvml, "nvmlDeviceGetPersistenceMode", device),
        "mig_mode": _mig_mode(nvml, device),
    }


@contextmanager
def _nvml() -> Iterator[ctypes.CDLL | None]:
    """The library, initialised; None where there is none, or it finds no driver."""
    try:
        nvml = ctypes.CDLL(LIBRARY)
    except OSError:
        yield None
        return
    ready = _answers(nvml, "nvmlInit_v2")
    try:
        yield nvml if ready else None
    finally:
        if ready:
            _answers(nvml, "nvmlShutdown")


def _device(nvml: ctypes.CDLL) -> ctypes.c_void_p | None:
    """NVML's handle of the GPU that CUDA counts first, or of its own first where CUDA tells none.

    By its place on the bus: CUDA counts by speed and heeds CUDA_VISIBLE_DEVICES, NVML does neither.
    """
    handle, bus_id = ctypes.c_void_p(), ctypes.create_string_buffer(32)
    try:
        driver = Driver()
        driver.call("cuDeviceGetPCIBusId", bus_id, len(bus_id), driver.device(0))
        found = _answers(nvml, "nvmlDeviceGetHandleByPciBusId_v2", bus_id, ctypes.byref(handle))
    except NoGpu:
        found = False
    if not found:
        found = _answers(nvml, "nvmlDeviceGetHandleByIndex_v2", 0, ctypes.byref(handle))
    return handle if found else None


def _answers(nvml: ctypes.CDLL, name: str, *arguments: object) -> bool:
    """Whether a function is there and gives NVML_SUCCESS: many are not supported by every GPU and driver."""
    return getattr(nvml, name, lambda *_: 1)(*arguments) == 0


def _number(nvml: ctypes.CDLL, name: str, *arguments: object, kind: Any = ctypes.c_uint) -> int | None:
    value = kind()
    return int(value.value) if _answers(nvml, name, *arguments, ctypes.byref(value)) else None


def _watts(nvml: ctypes.CDLL, name: str, *arguments: object) -> float | None:
    milliwatts = _number(nvml, name, *arguments)
    return None if milliwatts is None else milliwatts / 1000


def _switch(nvml: ctypes.CDLL, name: str, *arguments: object) -> bool | None:
    value = _number(nvml, name, *arguments)
    return None if value is None else bool(value)


def _busy(nvml: ctypes.CDLL, device: ctypes.c_void_p) -> float | None:
    """The share of the last moment in which it ran anything: nvmlUtilization_t, percents of GPU and memory."""
    percents = (ctypes.c_uint * 2)()
    return percents[0] / 100 if _answers(nvml, "nvmlDeviceGetUtilizationRates", device, percents) else None


def _memory_used(nvml: ctypes.CDLL, device: ctypes.c_void_p) -> int | None:
    """By all processes: nvmlMemory_t, bytes in total, free and used. A Jetson's is the machine's, and tells None."""
    bytes_ = (ctypes.c_ulonglong * 3)()
    return int(bytes_[2]) if _answers(nvml, "nvmlDeviceGetMemoryInfo", device, bytes_) else None


def _mig_mode(nvml: ctypes.CDLL, device: ctypes.c_void_p) -> bool | None:
    """Whether the GPU is cut into several (Multi-Instance GPU); what holds after the next reset is not asked for."""
    now, pending = ctypes.c_uint(), ctypes.c_uint()
    asked = _answers(nvml, "nvmlDeviceGetMigMode", device, ctypes.byref(now), ctypes.byref(pending))
    return bool(now.value) if asked else None


def _text(nvml: ctypes.CDLL, name: str, *arguments: object) -> str | None:
    buffer = ctypes.create_string_buffer(96)  # NVML_DEVICE_NAME_V2_BUFFER_SIZE, the longest
    return buffer.value.decode(errors="replace") if _answers(nvml, name, *arguments, buffer, len(buffer)) else None


def _throttle(nvml: ctypes.CDLL, device: ctypes.c_void_p) -> list[str] | None:
    """Why the clocks are lower than they could be; an empty list where they are not."""
    masks = (_number(nvml, name, device, kind=ctypes.c_ulonglong) for name in REASONS_CALLS)
    mask = next((mask for mask in masks if mask is not None), None)
    if mask is None:
        return None
    named = [word for bit, word in THROTTLE_REASONS.items() if mask & bit]
    other = mask & ~sum(THROTTLE_REASONS)
    return named + ([f"reason {other:#x}"] if other else [])
