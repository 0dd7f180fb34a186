"""Examinations of machines that were not at hand: a healthy PC, a PC with an NVIDIA GPU, a Jetson."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from runtime.doctor.examination import Examination
from runtime.doctor.isolated import Answer
from runtime.jetson import read_jetson
from tests.runtime.jetson_samples import ORIN, write_files

PACKAGES = {
    "cv2": Answer({"version": "4.12.0", "gui": "QT5", "ffmpeg": True, "gstreamer": False}),
    "av": Answer({"version": "16.0.1", "h264_encoder": True}),
    "onnxruntime": Answer({"version": "1.23.2", "providers": ["AzureExecutionProvider", "CPUExecutionProvider"]}),
    "openvino": Answer({"version": "2026.1.0", "devices": {"CPU": "Intel(R) Core(TM) i7"}}),
}
ON_NVIDIA = {
    "tensorrt": Answer({"version": "10.3.0"}),
    "pycuda": Answer({"version": "2026.1", "cuda": "12.6"}),
}
GPU = {
    "name": "NVIDIA RTX A2000",
    "compute_capability": "8.6",
    "integrated": False,
    "memory_bytes": 6_000_000_000,
    "driver_cuda": "12.4",
}
NO_DRIVER = "no NVIDIA driver (libcuda.so.1: cannot open shared object file: No such file or directory)"

PC = Examination(
    machine={
        "processor": "Intel(R) Core(TM) i7",
        "features": ["AVX2", "AVX-VNNI"],
        "cores": 8,
        "memory_bytes": 16_000_000_000,
        "board": None,
        "container": False,
        "system": "Linux x86_64",
        "python": "3.12.3",
    },
    jetson=None,
    packages=PACKAGES,
    versions={"numpy": "2.3.1", "torch": None, "onnx": None},
    gpu=Answer({"gpu": None, "reason": NO_DRIVER, "state": {}}),
    places=Answer({"cache": {"folder": "/var/cache/me", "free_bytes": 50_000_000_000, "writable": True}}),
    model=None,
    has_nvidia_card=False,
    cameras=(),
    display=":0",
    environment={},
    is_venv_closed=True,
)

GPU_PC = replace(
    PC,
    has_nvidia_card=True,
    packages={**PACKAGES, **ON_NVIDIA},
    gpu=Answer(
        {
            "gpu": GPU,
            "reason": "",
            "state": {
                "driver": "550.54.15",
                "gpu_clock_mhz": 210,
                "gpu_clock_max_mhz": 2100,
                "temperature_c": 41,
                "power_w": 9.6,
                "throttle": ["idle"],
            },
        }
    ),
)


def orin(folder: Path, **changes: Any) -> Examination:
    """A Jetson Orin Nano with JetPack 6.2, whose files are written to `folder`."""
    jetson = read_jetson(write_files(folder, ORIN))
    machine = {**PC.machine, "processor": "Cortex-A78AE", "features": ["NEON dot product"], "system": "Linux aarch64"}
    gpu = {**GPU, "name": "Orin", "compute_capability": "8.7", "integrated": True, "driver_cuda": "12.6"}
    packages = {name: answer for name, answer in {**PACKAGES, **ON_NVIDIA}.items() if name != "openvino"}
    seen = replace(
        PC,
        machine=machine,
        jetson=jetson,
        packages=packages,
        gpu=Answer({"gpu": gpu, "reason": "", "state": {"gpu_clock_mhz": 306, "gpu_clock_max_mhz": 918}}),
        is_venv_closed=False,
    )
    return replace(seen, **changes)


def without(seen: Examination, *packages: str) -> Examination:
    return replace(seen, packages={name: told for name, told in seen.packages.items() if name not in packages})


def failing(seen: Examination, package: str, failure: str) -> Examination:
    return replace(seen, packages={**seen.packages, package: Answer(failure=failure)})
