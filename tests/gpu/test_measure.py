"""benchmarks/gpu: the whole measurement, on the simulated TensorRT; what it tells, not what a GPU would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.gpu.bindings import bindings_of
from tests.gpu.host_cuda import ROOT, gpu_environment

MEASURE = """
import runpy, sys
from tests.gpu.session_child import simulate
simulate()
sys.path.insert(0, sys.argv[1])
sys.argv = sys.argv[1:]
runpy.run_path(f"{sys.argv[0]}/measure.py", run_name="__main__")
"""


def measure(version: str, folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    bindings = bindings_of(version)
    environment = gpu_environment(paths=(bindings.packages,), libraries=(bindings.libraries,))
    command = [bindings.python, "-c", MEASURE, str(ROOT / "benchmarks" / "gpu"), *map(str, words), "-o", str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module", params=["8.6.1", "11.4.0.106"])
def measured(
    request: pytest.FixtureRequest, tiny_bundle: Path, street_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], str, str]:
    """gpu.json, gpu.md and what stood on the terminal."""
    folder = tmp_path_factory.mktemp("gpu")
    done = measure(request.param, folder, tiny_bundle, f"folder:{street_folder}", "--pictures", 3)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "gpu.json").read_text()), (folder / "gpu.md").read_text(), done.stdout


def test_every_precision_is_built_scored_and_compared_with_its_own_file(measured: Any) -> None:
    rows = {row["precision"]: row for row in measured[0]["rows"]}
    assert list(rows) == ["int8", "fp16", "fp32"]
    for row in rows.values():
        assert row["agrees_with_its_onnx"] == 1.0 and row["build_s"] >= 0  # the simulation runs that very file
        assert row["scores"]["mean_iou"] is not None
    assert rows["int8"]["layers"]["int8_held"] == rows["int8"]["layers"]["int8_wanted"] > 0


def test_every_stage_is_timed_with_and_without_a_graph_as_often(measured: Any) -> None:
    for row in measured[0]["rows"]:
        for how, word in (("CUDA graph", "CUDA graph"), ("enqueue", "no CUDA graph")):
            figures = row["latency"][how]
            stages = figures["stages_ms"]
            assert figures["device"].endswith(word)
            assert {"infer.h2d", "infer.compute", "infer.d2h", "latency", "end to end"} <= set(stages)
            assert {stage["n"] for stage in stages.values()} == {1000}
            assert stages["latency"]["mean"] <= stages["end to end"]["mean"]


def test_the_conditions_are_told_and_the_tables_are_those_on_the_terminal(measured: Any) -> None:
    result, page, printed = measured
    assert result["gpu"]["compute_capability"] and result["tensorrt"] and result["machine"]["processor"]
    assert page == printed and page.count("| tiny | int8 |") == 3  # accuracy, and two ways to launch


def test_what_the_time_did_not_suffice_for_is_named(tiny_bundle: Path, street_folder: Path, tmp_path: Path) -> None:
    done = measure("10.3.0", tmp_path, tiny_bundle, f"folder:{street_folder}", "--minutes", 0)
    assert done.returncode == 0, done.stderr
    assert {row["not_measured"] for row in json.loads((tmp_path / "gpu.json").read_text())["rows"]} == {
        "the time was over"
    }
    assert (tmp_path / "gpu.md").read_text().count("the time was over") == 3


def test_without_a_gpu_it_says_so_in_one_line(tiny_bundle: Path, street_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu" / "measure.py"), str(tiny_bundle)]
    words = [f"folder:{street_folder}", "-o", str(tmp_path)]
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 4 and done.stderr.startswith("wanted an NVIDIA GPU")
    assert len(done.stderr.splitlines()) == 1
