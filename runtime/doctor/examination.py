"""Everything that the doctor looks at, gathered before anything is judged."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from runtime.doctor import probes
from runtime.doctor.devices import Camera, cameras, display, has_nvidia_card
from runtime.doctor.isolated import Answer, Question, ask
from runtime.doctor.model_probe import about_model
from runtime.jetson import Jetson, read_jetson
from runtime.machine import machine

LIMIT_S = 20.0  # a cold import of TensorRT from an SD card takes several seconds

# By the name that is imported.
PACKAGES = {
    "cv2": Question(probes.about_opencv),
    "av": Question(probes.about_av),
    "onnxruntime": Question(probes.about_onnxruntime),
    "openvino": Question(probes.about_openvino),
    "tensorrt": Question(probes.about_tensorrt),
    "pycuda": Question(probes.about_pycuda),
}

# Not imported, for no engine needs them and they take seconds.
ONLY_VERSIONS = ("numpy", "torch", "onnx")


@dataclass(frozen=True)
class Examination:
    """What was seen. A package that is not installed has no answer."""

    machine: Mapping[str, Any]  # of `runtime.machine`
    jetson: Jetson | None
    packages: Mapping[str, Answer]
    versions: Mapping[str, str | None]  # of ONLY_VERSIONS
    gpu: Answer
    places: Answer
    model: Answer | None  # None where none was named
    has_nvidia_card: bool
    cameras: tuple[Camera, ...]
    display: str | None
    environment: Mapping[str, str]
    is_venv_closed: bool  # to the packages of the system


def examine(model: Path | None = None, engine: str = "auto") -> Examination:
    """Look at this machine, and at what would serve `model` on it."""
    installed = {name: question for name, question in PACKAGES.items() if find_spec(name)}
    others = {"gpu": Question(probes.about_gpu), "places": Question(probes.about_places)}
    if model:
        others["model"] = Question(about_model, (str(model), engine))
    answers = ask({**installed, **others}, LIMIT_S)
    return Examination(
        machine=machine(),
        jetson=read_jetson(),
        packages={name: answers[name] for name in installed},
        versions={name: _version(name) for name in ONLY_VERSIONS},
        gpu=answers["gpu"],
        places=answers["places"],
        model=answers.get("model"),
        has_nvidia_card=has_nvidia_card(),
        cameras=tuple(cameras()),
        display=display(os.environ),
        environment=os.environ,
        is_venv_closed=_is_venv_closed(),
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _is_venv_closed() -> bool:
    """Whether this is a virtual environment made without --system-site-packages: JetPack's libraries stay outside."""
    config = Path(sys.prefix) / "pyvenv.cfg"
    try:
        return "include-system-site-packages = false" in config.read_text(encoding="utf-8")
    except OSError:
        return False
