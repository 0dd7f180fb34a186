"""The real Python bindings of TensorRT, a folder per version, importable without GPU, driver or NVIDIA's libraries.

A bindings wheel is 1 to 2 MB and needs about ten C functions of libnvinfer and its kin. Stubs compiled under their
names have them; what should make an object (a Builder, a Runtime, a parser) gives NULL, as the real ones do where they
fail. Everything that Python sees is NVIDIA's: classes, enums, signatures, conversions of arguments.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gpu.assets import asset

# version -> project on PyPI: the oldest and the newest of each major, and those of JetPack 6.1 to 7.2
RELEASES = {
    "8.6.1": "tensorrt-bindings",
    "10.0.1": "tensorrt-cu12-bindings",
    "10.3.0": "tensorrt-cu12-bindings",
    "10.16.1.11": "tensorrt-cu12-bindings",
    "11.0.0.114": "tensorrt-cu12-bindings",
    "11.4.0.106": "tensorrt-cu13-bindings",
}

# One that has no wheel of bindings, but a full one of 549 MB; tested where FCN_EDGE_PYTHON310 names a CPython 3.10.
FULL = "8.5.3.1"

LIBRARIES = ("nvinfer", "nvonnxparser", "nvinfer_plugin", "nvparsers")  # the last for 8.x alone

STUB = """
#define GIVES_NULL(name) void *name(void) { return 0; }
GIVES_NULL(createInferBuilder_INTERNAL)
GIVES_NULL(createInferRuntime_INTERNAL)
GIVES_NULL(createInferRefitter_INTERNAL)
GIVES_NULL(createNvOnnxParser_INTERNAL)
GIVES_NULL(createNvOnnxParserRefitter_INTERNAL)
GIVES_NULL(getBuilderPluginRegistry)
GIVES_NULL(getPluginRegistry)
GIVES_NULL(_ZN11nvuffparser15createUffParserEv)
GIVES_NULL(_ZN11nvuffparser8FieldMapC1EPKcPKvNS_9FieldTypeEi)
GIVES_NULL(_ZN14nvcaffeparser117createCaffeParserEv)
GIVES_NULL(_ZN14nvcaffeparser123shutdownProtobufLibraryEv)
int getNvOnnxParserVersion(void) { return 0; }
_Bool initLibNvInferPlugins(void) { return 1; }
"""

# As NVIDIA's own package `tensorrt` does it (python/packaging/frontend_sdist in NVIDIA/TensorRT).
FRONT = "from tensorrt_bindings import *\nfrom tensorrt_bindings import __version__\n"

refused: dict[str, str] = {}  # requirement -> why, so that it is asked for once


@dataclass(frozen=True)
class Bindings:
    """One version's folders, for a child process alone: this one never imports them."""

    version: str
    packages: Path  # holds the packages tensorrt and tensorrt_bindings
    libraries: Path  # holds the stubs libnvinfer.so.N and so on
    python: str = sys.executable  # which loads them

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


def bindings_of(version: str) -> Bindings:
    """The bindings of this version, fetched and compiled at the first call ever; skips where that cannot be done."""
    if version == FULL:
        from tests.gpu.full_library import full_bindings

        return full_bindings()
    python = f"{sys.implementation.cache_tag}-{platform.machine()}"
    source = hashlib.sha256((STUB + FRONT).encode()).hexdigest()[:12]
    folder = asset(f"tensorrt-{version}-{python}-{source}", lambda fresh: _make(fresh, version))
    return Bindings(version, folder / "packages", folder / "libraries")


def _make(folder: Path, version: str) -> None:
    packages = folder / "packages"
    fetch(f"{RELEASES[version]}=={version}", packages)
    (packages / "tensorrt").mkdir()
    (packages / "tensorrt" / "__init__.py").write_text(FRONT)
    _compile(folder / "libraries", int(version.split(".")[0]))


def fetch(requirement: str, packages: Path, python: str = sys.executable) -> None:
    """Unpack a wheel from PyPI into the folder, without what it depends on; skips where there is none to be had."""
    if requirement in refused:
        pytest.skip(refused[requirement])
    command = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--retries=2", f"--dest={packages}", requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        told = (done.stderr.strip().splitlines() or ["pip told nothing"])[-1]
        refused[requirement] = f"wanted {requirement} from PyPI for {python}, found: {told}"
        pytest.skip(refused[requirement])
    for wheel in packages.glob("*.whl"):
        shutil.unpack_archive(wheel, packages, "zip")
        wheel.unlink()


def _compile(folder: Path, major: int) -> None:
    folder.mkdir()
    compiler = require_compiler()
    (folder / "stub.c").write_text(STUB)
    for name in LIBRARIES:
        soname = f"lib{name}.so.{major}"
        command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{soname}", "-o", str(folder / soname)]
        subprocess.run([*command, str(folder / "stub.c")], check=True)


def require_compiler() -> str:
    """A C compiler: that named by CC, or `cc`; skips where there is none."""
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if compiler is None:
        pytest.skip("wanted a C compiler (cc) for the stubs of TensorRT's libraries, found none; apt install gcc")
    return compiler
