"""TensorRT 8.5.3's own libraries, where there is no GPU: what they refuse is told in one line. See `full_library`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import Done, assert_refused
from tests.gpu.bindings import FULL, bindings_of
from tests.gpu.contract import Built, Machine
from tests.gpu.host_cuda import gpu_environment

OF_THE_FULL_ONE = pytest.mark.parametrize("machine", [FULL], indirect=True)


def done_on_real_libraries(*arguments: object, driver: bool) -> Done:
    """A command on the real 8.5.3. The driver, if there is one, is the tests' own, on which CUDA does not start."""
    bindings = bindings_of(FULL)
    libraries = (bindings.libraries,)
    environment = gpu_environment(paths=(bindings.packages,), libraries=libraries, python=bindings.python)
    if not driver:
        environment |= {"LD_LIBRARY_PATH": str(bindings.libraries), "CUDA_VISIBLE_DEVICES": ""}
    command = [bindings.python, "-m", "fcn_edge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)


@OF_THE_FULL_ONE
@pytest.mark.parametrize(("driver", "found"), [(False, "wanted an NVIDIA GPU"), (True, "CUDA initialization failure")])
def test_where_cuda_does_not_start_tensorrts_reason_is_told(
    driver: bool, found: str, built: Built, machine: Machine, tmp_path: Path
) -> None:
    for command in (["build", built.bundle, "--precision", "fp32"], ["bench", built.engine("fp32")]):
        assert_refused(done_on_real_libraries(*command, driver=driver), 4, found)
