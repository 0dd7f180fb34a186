"""TensorRT 8.5.3 as NVIDIA ships it, its real libraries included; opt-in, for it fetches 549 MB and wants CPython 3.10.

    FCN_EDGE_PYTHON310=python3.10 scripts/test tests/gpu

It is JetPack 5's version as far as code can tell. Without a GPU its real libraries refuse to make anything; with the
simulation on top, its bindings are tested as all others are.
"""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from tests.gpu.assets import asset
from tests.gpu.bindings import FULL, Bindings, fetch, require_compiler

# What the product's runtime needs there, and the simulation: onnx.
PACKAGES = ("numpy", "click>=8.5", "rich>=13", "onnxruntime", "opencv-python-headless", "av>=15", "onnx", "setuptools")

# What libnvinfer_plugin alone is linked with. Nothing calls them without a GPU.
FOREIGN = ("libcublas.so.11", "libcublasLt.so.11", "libcudnn.so.8")


def full_bindings() -> Bindings:
    """The whole of 8.5.3, and a virtual environment that can load it; both made at the first call ever."""
    machine = platform.machine()
    environment = asset(f"python310-{machine}", _make_environment)
    python = str(environment / "bin" / "python")
    folder = asset(f"tensorrt-{FULL}-full-{machine}", lambda fresh: _make(fresh, python))
    return Bindings(FULL, folder / "packages", folder / "libraries", python)


def _make_environment(folder: Path) -> None:
    subprocess.run([os.environ["FCN_EDGE_PYTHON310"], "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *PACKAGES], check=True)


def _make(folder: Path, python: str) -> None:
    packages, libraries = folder / "packages", folder / "libraries"
    fetch(f"tensorrt=={FULL}", packages, python)
    # The newer versions' name of it, by which the simulation knows them all.
    (packages / "tensorrt_bindings.py").write_text("import sys, tensorrt\nsys.modules[__name__] = tensorrt\n")
    libraries.mkdir()
    for soname in FOREIGN:
        _compile_foreign(packages / "tensorrt" / "libnvinfer_plugin.so.8", soname, libraries)


def _compile_foreign(user: Path, soname: str, libraries: Path) -> None:
    """A library of that name with the versioned functions that `user` wants of it; each answers with an error."""
    told = subprocess.run(["nm", "-D", "--undefined-only", str(user)], capture_output=True, text=True, check=True)
    names = [line.split()[-1].partition("@")[0] for line in told.stdout.splitlines() if line.endswith(f"@{soname}")]
    source, versions = libraries / f"{soname}.c", libraries / f"{soname}.map"
    source.write_text("".join(f"int {name}(void) {{ return 1; }}\n" for name in sorted(set(names))))
    versions.write_text(f"{soname} {{ global: {''.join(f'{name}; ' for name in sorted(set(names)))} local: *; }};\n")
    command = [require_compiler(), "-w", "-shared", "-fPIC", f"-Wl,-soname,{soname},--version-script={versions}"]
    subprocess.run([*command, str(source), "-o", str(libraries / soname)], check=True)
