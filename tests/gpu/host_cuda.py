"""Child processes that find a GPU: the driver of host_cuda.c, and the real pycuda compiled against it.

Nothing of it is ever loaded into this process: `gpu_environment` is for a child's.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.gpu.assets import asset
from tests.gpu.bindings import fetch, require_compiler

ROOT = Path(__file__).parent.parent.parent
SOURCE = Path(__file__).parent / "host_cuda.c"

PYCUDA = "pycuda==2026.1"
# cuda.h and cudaProfiler.h, of a CUDA between those of the oldest and the newest Jetson that is served
HEADERS = {
    "nvidia-cuda-runtime-cu12==12.6.77": "nvidia/cuda_runtime/include",
    "nvidia-cuda-profiler-api-cu12==12.6.77": "nvidia/cuda_profiler_api/include",
}

NOT_SUPPORTED = 801


def gpu_environment(
    *,
    pycuda: bool = True,
    defines: tuple[str, ...] = (),
    paths: tuple[Path, ...] = (),
    libraries: tuple[Path, ...] = (),
    python: str = sys.executable,
    **settings: object,
) -> dict[str, str]:
    """The environment of a child process with a GPU, and pycuda if wanted, as on a machine that has them.

    `settings` are those of host_cuda.c without their prefix: integrated=1; `defines` are what it is compiled with.
    `paths` and `libraries` come first in PYTHONPATH and LD_LIBRARY_PATH, for TensorRT's; `python` is the child's.
    """
    packages = [pycuda_folder(python) / "packages"] if pycuda else []
    names = (pycuda_folder(python) / "names").read_text().split() if pycuda else []
    driver = driver_folder(*defines, names=names)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, [*paths, *packages, ROOT])),
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, [*libraries, driver])),
        **{f"HOST_CUDA_{name.upper()}": str(value) for name, value in settings.items()},
    }


def driver_folder(*defines: str, names: Sequence[str] = ()) -> Path:
    """The folder of libcuda.so.1. What of `names` the source lacks is there too, and not supported."""
    stubs = "".join(f"__attribute__((weak)) int {name}(void) {{ return {NOT_SUPPORTED}; }}\n" for name in names)
    told = hashlib.sha256("\n".join([SOURCE.read_text(), stubs, *defines]).encode()).hexdigest()[:12]
    return asset(f"host-cuda-{platform.machine()}-{told}", lambda fresh: _compile(fresh, stubs, defines))


def _compile(folder: Path, stubs: str, defines: tuple[str, ...]) -> None:
    (folder / "stubs.c").write_text(stubs)
    command = [require_compiler(), "-O1", "-shared", "-fPIC", "-pthread", "-Wl,-soname,libcuda.so.1"]
    command += [*(f"-D{define}" for define in defines), str(SOURCE), str(folder / "stubs.c")]
    subprocess.run([*command, "-o", str(folder / "libcuda.so.1")], check=True)


@cache
def pycuda_folder(python: str = sys.executable) -> Path:
    """`packages` with pycuda in it, and `names`: what it wants of the driver. Compiled at the first call ever."""
    told = [python, "-c", "import sys; print(sys.implementation.cache_tag)"]
    tag = subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()
    name = f"{PYCUDA.replace('==', '-')}-{tag}-{platform.machine()}"
    return asset(name, lambda fresh: _make_pycuda(fresh, python))


def _make_pycuda(folder: Path, python: str) -> None:
    """As on a machine with CUDA, but without cuRAND, and without optimisation: a minute of a processor's work."""
    with tempfile.TemporaryDirectory() as work:
        _compile_pycuda(Path(work), python)
        shutil.unpack_archive(next(Path(work).glob("*.whl")), folder / "packages", "zip")
    library = next((folder / "packages" / "pycuda").glob("_driver.*.so"))
    told = subprocess.run(["nm", "-D", "--undefined-only", str(library)], capture_output=True, text=True, check=True)
    names = [line.split()[-1] for line in told.stdout.splitlines()]
    (folder / "names").write_text("\n".join(name for name in names if name.startswith("cu")))


def _compile_pycuda(work: Path, python: str) -> None:
    """Leaves the wheel in `work`; skips where that cannot be done."""
    for requirement in HEADERS:
        fetch(requirement, work / "headers")
    (work / ".aksetup-defaults.py").write_text("CUDA_ENABLE_CURAND = False\n")  # read from the home folder
    (work / "libcuda.so").symlink_to(driver_folder() / "libcuda.so.1")
    environment = {
        **os.environ,
        "HOME": str(work),
        "XDG_CONFIG_HOME": os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config"),  # pip's own settings
        "CPATH": os.pathsep.join(str(work / "headers" / place) for place in HEADERS.values()),
        "LIBRARY_PATH": str(work),
        "CFLAGS": "-O0 -g0",
    }
    command = [python, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary=pycuda", f"--wheel-dir={work}", PYCUDA]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        told = (done.stderr.strip().splitlines() or ["pip told nothing"])[-1]
        pytest.skip(f"wanted to compile {PYCUDA}, found: {told}")
