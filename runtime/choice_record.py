"""What was found fastest for a bundle on a machine, kept in the user's cache: measured once, until anything changes."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fcn_edge import __version__
from fcn_edge.errors import ModelError, OutputError, printable
from fcn_edge.files import cache_folder, json_text, sha256_of, write_json
from fcn_edge.manifest import MANIFEST
from runtime.candidates import Wish
from runtime.cuda_driver import find_gpu
from runtime.engine_facts import sidecar_of
from runtime.machine import machine

FOLDER = "engine-choice"
LIBRARIES = ("openvino", "onnxruntime", "tensorrt", "pycuda")
GPU_NODES = ("nvidia[0-9]*", "nvhost-gpu", "nvgpu", "dri/renderD*")  # under /dev: desktop, Jetson, Intel and AMD


@dataclass(frozen=True)
class Choice:
    """The fastest first."""

    engine: str
    precision: str
    medians_ms: dict[str, float]  # by the candidates' names
    date: str  # of the measurement: 2026-11-24
    left_out: str = ""  # which of what is here did not compete, and why

    @classmethod
    def from_json(cls, content: Any) -> Choice:
        """Raises KeyError, TypeError or ValueError."""
        medians_ms = {str(name): float(value) for name, value in content["medians_ms"].items()}
        words = {key: printable(str(content[key]), 1000) for key in ("engine", "precision", "date", "left_out")}
        if f"{words['engine']} {words['precision']}" not in medians_ms:
            raise ValueError("a choice that did not compete")
        return cls(words["engine"], words["precision"], medians_ms, words["date"], words["left_out"])


def read_choice(wish: Wish) -> Choice | None:
    """None if there is none, a damaged one, or one of another bundle, machine or wish."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Choice.from_json(json.loads(_place(wish).read_text(encoding="utf-8")))
    return None


def write_choice(wish: Wish, choice: Choice) -> None:
    with suppress(OSError, OutputError):  # then it is measured again next time
        write_json(_place(wish), asdict(choice))


def _place(wish: Wish) -> Path:
    text = json_text(conditions(wish), sort_keys=True)
    return cache_folder(FOLDER) / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def conditions(wish: Wish) -> dict[str, Any]:
    """All that decides who competes, and how fast they are. Nothing is imported to tell it, and no model is read."""
    here = machine()
    engines = wish.engines
    return {
        "fcn_edge": __version__,
        "manifest": sha256_of(wish.bundle / MANIFEST),
        "engines": {path.name: [_traits(path), _traits(sidecar_of(path))] for path in engines},
        "folder": wish.bundle.stat().st_mode,  # preflight asks who may write there
        "wish": [wish.engine, wish.precision, asdict(wish.serving)],
        "machine": [here[fact] for fact in ("processor", "features", "cores", "system", "board")],
        "libraries": {package: _distributions(package) for package in LIBRARIES},
        "gpus": sorted(str(node) for pattern in GPU_NODES for node in Path("/dev").glob(pattern)),
        "gpu": _gpu() if engines else "",  # to ask the driver takes a tenth of a second where there is one
    }


def _traits(path: Path) -> list[int]:
    """What preflight asks of a file beside its content, and when that was written."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode, status.st_uid]


def _gpu() -> str:
    try:
        return repr(find_gpu())
    except ModelError as error:
        return str(error)


def _distributions(package: str) -> list[str]:
    """Names and versions of what installed a package, as its neighbours tell: onnxruntime_gpu-1.23.0.dist-info."""
    with suppress(ValueError):  # a package that was hidden
        spec = find_spec(package)
        places = (spec.submodule_search_locations if spec else None) or []
        return sorted(info.name for place in places for info in Path(place).parent.glob(f"{package}*-info"))
    return []
