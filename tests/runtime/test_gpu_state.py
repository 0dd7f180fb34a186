"""runtime.gpu_state: NVML asked through a stand-in library that is compiled here, and a Jetson's files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runtime.gpu_state import _jetson_state as jetson_state
from runtime.gpu_state import gpu_state
from runtime.jetson import read_jetson
from tests.runtime.jetson_samples import ORIN, l4t_files, write_files

ROOT = Path(__file__).parent.parent.parent

# Two GPUs: NVML counts the slow one first, CUDA the fast one. The prototypes are nvml.h's.
NVML = """
#include <stdio.h>
#include <string.h>
typedef int nvmlReturn_t;
typedef struct card { const char *name; unsigned sm, memory; } *nvmlDevice_t;
static struct card slow = {"Slow GPU", 300, 400}, fast = {"Fast GPU", 1500, 6000};
static int initialised;
nvmlReturn_t nvmlInit_v2(void) { return INIT ? INIT : (initialised++, 0); }
nvmlReturn_t nvmlShutdown(void) { initialised--; return 0; }
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device) {
    if (!initialised) return 1;
    return index ? 2 : (*device = &slow, 0);
}
nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus, nvmlDevice_t *device) {
    if (!initialised) return 1;
    return strcmp(bus, "0000:65:00.0") ? 6 : (*device = &fast, 0);
}
nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned length) {
    return snprintf(name, length, "%s", device->name) < 0;
}
nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned length) {
    return length < 80 ? 7 : (strcpy(version, "550.54.15"), 0);
}
nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, int type, unsigned *mhz) {
    return type == 1 ? (*mhz = device->sm, 0) : type == 2 ? (*mhz = device->memory, 0) : 2;
}
nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, int type, unsigned *mhz) {
    return type == 1 ? (*mhz = 2 * device->sm, 0) : type == 2 ? (*mhz = 2 * device->memory, 0) : 2;
}
nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, int sensor, unsigned *degrees) {
    return sensor ? 2 : (*degrees = 61, 0);
}
nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, struct {unsigned gpu, memory;} *percents) {
    percents->gpu = 87; percents->memory = 12; return 0;
}
nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, struct {unsigned long long total, free, used;} *memory) {
    memory->total = 8ULL << 30; memory->free = 3ULL << 30; memory->used = 5ULL << 30; return 0;
}
nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned *milliwatts) { *milliwatts = 71250; return 0; }
nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned *milliwatts) { return 3; }
nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, int *mode) { *mode = 1; return 0; }
nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *now, unsigned *pending) {
    *now = 0; *pending = 1; return 0;
}
nvmlReturn_t REASONS(nvmlDevice_t device, unsigned long long *mask) { *mask = MASK; return 0; }
"""

CUDA = """
#include <stdio.h>
int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetPCIBusId(char *bus, int length, int device) { return snprintf(bus, length, "0000:65:00.0") < 0; }
"""

Library = Callable[..., Path]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Compiles one into a folder for LD_LIBRARY_PATH, which it returns."""

    def compiled(name: str, source: str, **macros: object) -> Path:
        if not (compiler := shutil.which("cc")):
            pytest.skip("no C compiler: NVML's stand-in cannot be made")
        folder = tmp_path / "lib"
        folder.mkdir(exist_ok=True)
        defined = [f"-D{key}={value}" for key, value in macros.items()]
        command = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", str(folder / name), *defined]
        subprocess.run(command, input=source, text=True, check=True, timeout=60)
        return folder

    return compiled


@pytest.fixture
def nvml(library: Library) -> Library:
    def compiled(reasons: str = "nvmlDeviceGetCurrentClocksEventReasons", mask: str = "0x24", code: int = 0) -> Path:
        return library("libnvidia-ml.so.1", NVML, REASONS=reasons, MASK=mask, INIT=code)

    return compiled


def state_with(folder: Path) -> dict[str, Any]:
    code = "import json; from runtime.gpu_state import gpu_state; print(json.dumps([gpu_state(), gpu_state()]))"
    settings = {"cwd": ROOT, "env": {**os.environ, "LD_LIBRARY_PATH": str(folder)}, "timeout": 60}
    told = subprocess.check_output([sys.executable, "-c", code], text=True, **settings)
    first, second = json.loads(told)
    assert first == second, "asking twice is as asking once"
    return dict(first)


def test_nvml_tells_all_it_knows(nvml: Library, library: Library) -> None:
    nvml()
    assert state_with(library("libcuda.so.1", CUDA)) == {
        "name": "Fast GPU",
        "driver": "550.54.15",
        "gpu_clock_mhz": 1500,
        "gpu_clock_max_mhz": 3000,
        "memory_clock_mhz": 6000,
        "memory_clock_max_mhz": 12000,
        "gpu_busy": 0.87,
        "memory_used_bytes": 5 << 30,
        "temperature_c": 61,
        "power_w": 71.25,  # and no power limit: that is not supported here
        "throttle": ["power limit", "temperature"],
        "persistence_mode": True,
        "mig_mode": False,
    }


def test_without_cuda_it_is_the_first_by_nvml(nvml: Library, library: Library) -> None:
    nvml()
    assert state_with(library("libcuda.so.1", "int cuInit(unsigned flags) { return 100; }"))["name"] == "Slow GPU"


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ("0", []),
        ("1", ["idle"]),
        ("0x48", ["hardware slowdown", "temperature, by hardware"]),
        ("0x1001", ["idle", "reason 0x1000"]),
    ],
)
def test_throttling_is_told_in_words_by_older_drivers_too(nvml: Library, mask: str, words: list[str]) -> None:
    assert state_with(nvml("nvmlDeviceGetCurrentClocksThrottleReasons", mask))["throttle"] == words


def test_a_driver_that_does_not_tell_of_throttling_is_left_alone(nvml: Library) -> None:
    assert "throttle" not in state_with(nvml("nvmlSomethingElse"))


def test_nvml_without_a_driver_tells_nothing(nvml: Library) -> None:
    assert state_with(nvml(code=9)) == {}  # NVML_ERROR_DRIVER_NOT_LOADED


def test_without_nvml_there_is_nothing_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.gpu_state.LIBRARY", "libno-such-library.so.1")
    monkeypatch.setattr("runtime.gpu_state.read_jetson", lambda: None)
    assert gpu_state() == {}


def test_a_jetson_tells_by_its_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    jetson = read_jetson(write_files(tmp_path, ORIN))
    monkeypatch.setattr("runtime.gpu_state.LIBRARY", "libno-such-library.so.1")
    monkeypatch.setattr("runtime.gpu_state.read_jetson", lambda: jetson)
    assert gpu_state() == {
        "board": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
        "l4t": "36.4.3",
        "power_mode": "25W",
        "gpu_clock_mhz": 306,
        "gpu_clock_min_mhz": 306,
        "gpu_clock_max_mhz": 918,
        "temperature_c": 47.8,
        "temperatures_c": {"cpu-thermal": 48.3, "gpu-thermal": 47.8},
        "rails_w": {"VDD_IN": pytest.approx(5.609, abs=1e-3), "VDD_CPU_GPU_CV": 0.88},
    }


def test_what_a_jetsons_files_do_not_tell_leaves_nvml_its_say(tmp_path: Path) -> None:
    jetson = read_jetson(write_files(tmp_path, l4t_files("38", "4.0")))
    assert jetson is not None and "gpu_clock_mhz" not in jetson_state(jetson)
