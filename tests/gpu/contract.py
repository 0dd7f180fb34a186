"""A machine with a GPU, a driver and one version of TensorRT, as far as `fcn-edge` can tell: a child process.

The bindings are real, pycuda is real; driver and TensorRT are stand-ins (host_cuda.c, simulated_tensorrt.py).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.engine_facts import engine_path
from tests.gpu.bindings import Bindings
from tests.gpu.host_cuda import ROOT, gpu_environment

ROOMS = ("fcn_edge", "calibration", "export", "runtime")


@dataclass(frozen=True)
class Done:
    """A command, ended, as subprocess tells it; then what the simulation tells (`simulated_tensorrt.Simulation`)."""

    returncode: int
    stdout: str
    stderr: str
    calls: list[str]
    breaches: list[str]
    built: list[dict[str, Any]]
    enqueued: int
    run: int

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@dataclass(frozen=True)
class Built:
    """A bundle with engines in every precision, and the command that made them."""

    bundle: Path
    done: Done

    def engine(self, precision: str) -> Path:
        return engine_path(self.bundle, precision)


class Machine:
    """Runs commands in one process, which spares the start of each."""

    def __init__(
        self,
        bindings: Bindings,
        cache: Path,
        *,
        source: Path | None = None,
        hidden: tuple[str, ...] = (),
        **settings: object,
    ) -> None:
        """`source`: a folder with another copy of the product; `hidden`: packages that are not installed there;
        `settings`: those of host_cuda.c."""
        self.version, self.major = bindings.version, bindings.major
        paths = (bindings.packages, *((source,) if source else ()))
        libraries, python = (bindings.libraries,), bindings.python
        environment = gpu_environment(paths=paths, libraries=libraries, python=python, **settings)
        self._complaints = cache / "complaints.txt"
        with self._complaints.open("w") as complaints:
            self._process = subprocess.Popen(
                [bindings.python, "-W", "error", "-m", "tests.gpu.contract_child", *hidden],
                env={**environment, "XDG_CACHE_HOME": str(cache)},
                cwd=cache,  # or the product of this folder would come before `source`
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
            )

    def __call__(self, *arguments: object, **settings: object) -> Done:
        """`fcn-edge ARGUMENTS`; `settings` are those of `Simulation.begin`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"argv": list(map(str, arguments)), **settings}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:  # it crashed
            raise AssertionError(f"exit {self._process.wait()}: {self._complaints.read_text()}")
        return Done(**json.loads(answer))

    def close(self) -> None:
        """End it; it must end well, and no library may have complained of anything."""
        self._process.communicate(timeout=60)
        told = f"exit {self._process.returncode}: {self._complaints.read_text()}"
        assert told == "exit 0: ", told

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind:
            self._process.kill()
            self._process.wait()
        else:
            self.close()


def copy_of_product(folder: Path) -> Path:
    """The product's four rooms, to be changed at will."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
