"""What each package and the GPU's driver say of themselves. `isolated` asks, for any of these may crash or hang.

A library's exception is an answer too, which is not for here to catch.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from fcn_edge.errors import first_line
from fcn_edge.files import cache_folder
from runtime.cuda_driver import NoGpu, find_gpu
from runtime.gpu_state import gpu_state


def about_opencv() -> dict[str, Any]:
    cv2 = import_module("cv2")
    build = cv2.getBuildInformation()
    return {
        "version": cv2.__version__,
        "gui": _build_fact(build, "GUI"),
        "ffmpeg": _build_fact(build, "FFMPEG").startswith("YES"),
        "gstreamer": _build_fact(build, "GStreamer").startswith("YES"),
    }


def _build_fact(build: str, key: str) -> str:
    """A line of OpenCV's build information, in which `GUI: NONE` means none."""
    found = re.search(rf"^ *{key}: *(\S.*?) *$", build, re.MULTILINE)
    return found[1] if found else "NONE"


def about_av() -> dict[str, Any]:
    av = import_module("av")
    return {"version": av.__version__, "h264_encoder": "libx264" in av.codecs_available}


def about_onnxruntime() -> dict[str, Any]:
    onnxruntime = import_module("onnxruntime")
    return {"version": onnxruntime.__version__, "providers": onnxruntime.get_available_providers()}


def about_openvino() -> dict[str, Any]:
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # it would report to its vendor
    openvino = import_module("openvino")
    core = openvino.Core()
    names = {device: core.get_property(device, "FULL_DEVICE_NAME") for device in core.available_devices}
    return {"version": openvino.__version__.partition("-")[0], "devices": names}


def about_tensorrt() -> dict[str, Any]:
    """Importing it loads its libraries. Its Runtime is left alone: it may crash where there is no driver."""
    tensorrt = import_module("tensorrt")
    return {"version": tensorrt.__version__}


def about_pycuda() -> dict[str, Any]:
    pycuda, driver = import_module("pycuda"), import_module("pycuda.driver")
    return {"version": pycuda.VERSION_TEXT, "cuda": ".".join(map(str, driver.get_version()[:2]))}


def about_gpu() -> dict[str, Any]:
    """The GPU that CUDA would use, or why there is none, and its state."""
    try:
        gpu, reason = asdict(find_gpu()), ""
    except NoGpu as error:
        gpu, reason = None, str(error).partition("found ")[2].partition("; see")[0]
    return {"gpu": gpu, "reason": reason, "state": gpu_state()}


def about_places() -> dict[str, Any]:
    """Folders that are written to: what is free there, and whether this user may write.

    Asked like a library, because a network disk that is gone hangs.
    """
    places: dict[str, Callable[[], Path]] = {
        "outputs": Path.cwd,
        "cache": lambda: cache_folder("any").parent,
        "temporary": lambda: Path(tempfile.gettempdir()),
    }
    return {name: _about_place(folder) for name, folder in places.items()}


def _about_place(find: Callable[[], Path]) -> dict[str, Any]:
    """Of a folder that is not there yet, the nearest above it that is."""
    try:
        folder = find()
        there = next(place for place in (folder, *folder.parents) if place.is_dir())
        free, writable = shutil.disk_usage(there).free, os.access(there, os.W_OK | os.X_OK)
    except (OSError, RuntimeError, StopIteration) as error:  # RuntimeError: a user without a home
        return {"folder": "", "failure": first_line(error)}
    return {"folder": str(folder), "free_bytes": free, "writable": writable}
