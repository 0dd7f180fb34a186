"""Findings about packages: what is installed, whether it works, and what brings it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runtime.doctor.examination import Examination
from runtime.doctor.finding import BAD, MISSING, OK, Finding
from runtime.doctor.isolated import Answer


@dataclass(frozen=True)
class Package:
    """How a package is installed: on a PC, and on a Jetson, where NVIDIA's own must not be hidden by another."""

    name: str
    install: str
    install_on_jetson: str


DESKTOP = "pip install 'fcn-edge[desktop]'"
TENSORRT = "pip install 'fcn-edge[tensorrt]'"

PACKAGES = {
    "cv2": Package("OpenCV", DESKTOP, "sudo apt-get install python3-opencv"),
    "av": Package("PyAV", DESKTOP, "pip install av"),
    "onnxruntime": Package("onnxruntime", DESKTOP, "pip install onnxruntime"),
    "openvino": Package("OpenVINO", "pip install 'fcn-edge[openvino]'", ""),
    "tensorrt": Package("TensorRT", TENSORRT, "sudo apt-get install python3-libnvinfer"),
    # Its setup looks for nvcc on PATH, and for nothing else.
    "pycuda": Package("PyCUDA", TENSORRT, "PATH=/usr/local/cuda/bin:$PATH pip install pycuda"),
}

FROM_JETPACK = ("cv2", "tensorrt")
ON_NVIDIA = ("tensorrt", "pycuda")


def package_findings(seen: Examination) -> list[Finding]:
    return [
        Finding("NumPy", seen.versions["numpy"] or "of an unknown version", OK),
        *(finding for name in PACKAGES if (finding := package_finding(seen, name))),
        *(Finding(name, found) for name in ("torch", "onnx") if (found := seen.versions[name])),
    ]


def package_finding(seen: Examination, name: str) -> Finding | None:
    """None of a package that this machine has no use for."""
    package, answer = PACKAGES[name], seen.packages.get(name)
    if answer is None:
        needed = _is_needed(seen, name)
        return Finding(package.name, "not installed", MISSING, _cure(seen, name)) if needed else None
    if answer.failure:
        return Finding(package.name, f"does not work: {answer.failure}", BAD, _mend(seen, name, answer))
    return Finding(package.name, ", ".join([answer.told["version"], *_details(name, answer.told)]), OK)


def _is_needed(seen: Examination, name: str) -> bool:
    if name in ON_NVIDIA:
        return bool(seen.gpu.told.get("gpu") or seen.jetson or seen.has_nvidia_card)
    return name != "openvino" or seen.machine["system"].endswith("x86_64")


def _cure(seen: Examination, name: str) -> str:
    if not seen.jetson:
        return PACKAGES[name].install
    if name in FROM_JETPACK and seen.is_venv_closed:  # done again, this opens it and leaves its packages in place
        return f"/usr/bin/python3 -m venv --system-site-packages '{sys.prefix}'"
    return PACKAGES[name].install_on_jetson


def _mend(seen: Examination, name: str, answer: Answer) -> str:
    """What mends a package that is there but fails, by the words of its failure."""
    if "numpy" in answer.failure.lower() or "_ARRAY_API" in answer.failure:  # built against numpy 1
        return "pip install 'numpy>=1.26,<2'"
    if "libcuda.so" in answer.failure:
        return ""  # the driver's: see GPU
    if name == "cv2" and "cannot open shared object file" in answer.failure:
        return "sudo apt-get install libgl1 libglib2.0-0"
    if seen.jetson and name in FROM_JETPACK:
        return PACKAGES[name].install_on_jetson.replace("install", "install --reinstall")
    return f"pip install --force-reinstall --no-deps {'opencv-python' if name == 'cv2' else name}"


def _details(name: str, told: Mapping[str, Any]) -> list[str]:
    if name == "cv2":
        window = "no windows" if told["gui"] == "NONE" else f"windows by {told['gui']}"
        return [window, *(f"{'' if told[key.lower()] else 'no '}{key}" for key in ("FFmpeg", "GStreamer"))]
    if name == "av":
        return ["H.264" if told["h264_encoder"] else "no H.264, so no video sinks"]
    if name == "onnxruntime":
        return [provider.removesuffix("ExecutionProvider") for provider in told["providers"] if "Azure" not in provider]
    if name == "openvino":
        return [f"{device}: {title}" for device, title in told["devices"].items()]
    if name == "pycuda":
        return [f"built for CUDA {told['cuda']}"]
    return []
