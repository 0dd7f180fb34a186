"""A machine for each version of TensorRT, and a bundle built on it: made once, and only when a test wants them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gpu.bindings import FULL, RELEASES, bindings_of
from tests.gpu.contract import Built, Machine

IS_FULL_WANTED = "FCN_EDGE_PYTHON310" in os.environ
collect_ignore = [] if IS_FULL_WANTED else ["test_full_library.py"]  # not skipped: nothing is missing


@pytest.fixture(scope="session", params=[*RELEASES, *([FULL] if IS_FULL_WANTED else [])])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(bindings_of(request.param), tmp_path_factory.mktemp(f"tensorrt-{request.param}")) as machine:
        yield machine


@pytest.fixture(scope="session")
def data(street_folder: Path) -> str:
    return f"folder:{street_folder}"


@pytest.fixture(scope="session")
def built(machine: Machine, tiny_bundle: Path, data: str, tmp_path_factory: pytest.TempPathFactory) -> Built:
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("built") / "bundle"))
    done = machine("build", bundle, "--data", data, "--json")
    assert done.returncode == 0, done.stderr
    return Built(bundle, done)
