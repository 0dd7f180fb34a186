"""`fcn-edge bench` of an engine, on the simulated TensorRT: which figures it tells, not what a GPU would need."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from runtime.bench.result import BenchResult
from tests.gpu.bindings import bindings_of
from tests.gpu.host_cuda import ROOT, gpu_environment

PARTS = ("infer.h2d", "infer.compute", "infer.d2h")


def fcn_edge(version: str, *words: object) -> str:
    """What it printed."""
    bindings = bindings_of(version)
    environment = gpu_environment(paths=(bindings.packages,), libraries=(bindings.libraries,))
    command = [bindings.python, "-m", "tests.gpu.session_child", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("version", ["8.6.1", "11.4.0.106"])
def test_the_gpus_parts_and_their_sum_have_rows_and_the_engine_is_named(
    version: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    fcn_edge(version, "build", bundle, "--precision", "fp32")
    told = fcn_edge(version, "bench", bundle, "--engine", "tensorrt", "--frames", 100, "--warmup", 0, "--json", "-")
    result = BenchResult.from_json(json.loads(told))
    rows = result.stages_ms
    assert list(rows) == ["resize", "infer", *PARTS, "infer.gpu", "restore", "total"]
    means = {stage: row["mean"] or 0.0 for stage, row in rows.items()}
    assert means["infer.gpu"] == pytest.approx(sum(means[part] for part in PARTS))
    assert (result.settings.engine, result.model.name) == ("tensorrt", "model.fp32.engine")
