"""Real bindings without what they need: a driver, libraries, or a library that works. One line each, and no crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import assert_refused, run_fcn_edge
from tests.gpu.bindings import Bindings, bindings_of
from tests.gpu.contract import Built, Machine
from tests.gpu.host_cuda import gpu_environment

OF_EVERY_MAJOR = pytest.mark.parametrize("machine", ["8.6.1", "10.16.1.11", "11.4.0.106"], indirect=True)


def commands(built: Built) -> list[list[object]]:
    """Those that come to TensorRT, the one that builds and one that serves."""
    return [["build", built.bundle, "--precision", "fp32"], ["bench", built.engine("fp32")]]


def on_stubs(bindings: Bindings, *, driver: bool = True, libraries: bool = True) -> dict[str, str]:
    """A child's environment with the bindings of a version, and no simulation."""
    stubs = (bindings.libraries,) if libraries else ()
    environment = gpu_environment(paths=(bindings.packages,), libraries=stubs)
    # Where the tests run on a machine with a GPU, its driver shows none.
    return environment if driver else {**environment, "LD_LIBRARY_PATH": str(*stubs), "CUDA_VISIBLE_DEVICES": ""}


@OF_EVERY_MAJOR
def test_without_a_gpu_the_bindings_are_not_even_loaded(built: Built, machine: Machine) -> None:
    for command in commands(built):
        done = run_fcn_edge(*command, env=on_stubs(bindings_of(machine.version), driver=False))
        assert_refused(done, 4, "wanted an NVIDIA GPU", "fcn-edge doctor")


@OF_EVERY_MAJOR
def test_without_its_libraries_the_missing_one_is_named(built: Built, machine: Machine) -> None:
    for command in commands(built):
        done = run_fcn_edge(*command, env=on_stubs(bindings_of(machine.version), libraries=False))
        assert_refused(done, 4, "tensorrt", f".so.{machine.major}", "install")


@OF_EVERY_MAJOR
def test_a_library_that_gives_no_object_is_told(built: Built, machine: Machine) -> None:
    for command in commands(built):
        done = run_fcn_edge(*command, env=on_stubs(bindings_of(machine.version)))
        assert_refused(done, 4, "fp32", f"TensorRT {machine.version}", "factory function returned nullptr")


def test_a_folder_named_tensorrt_is_not_taken_for_it(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "tensorrt").mkdir()
    done = run_fcn_edge("build", tiny_bundle, env=gpu_environment(paths=(tmp_path,)))
    assert_refused(done, 4, "tensorrt", "install")
