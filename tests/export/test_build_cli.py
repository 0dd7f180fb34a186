"""`fcn-edge build` as users type it. The GPU's part is a stand-in (`workshop.py`); all else is real."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from export import build_cli
from fcn_edge.errors import ModelError
from runtime.engine_facts import read_engine_facts
from tests.conftest import Done, assert_refused, call_fcn_edge
from tests.export.workshop import Workshop, wrong

ENGINES = ["model.fp16.engine", "model.fp32.engine", "model.int8.engine"]


@pytest.fixture
def bundle(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny bundle in the workshop, on a machine with a GPU."""
    monkeypatch.setattr(build_cli, "require_tensorrt", lambda: None)
    return Path(shutil.copytree(workshop.tiny, workshop.folder, dirs_exist_ok=True))


def build(model: Path, *more: object) -> Done:
    return call_fcn_edge("build", model, *more)


def engines(bundle: Path) -> list[str]:
    """What a build left: names of engines, each with a sidecar that fits, and nothing half done."""
    found = sorted(path.name for path in bundle.glob("*.engine"))
    assert sorted(path.name for path in bundle.glob("*.engine.json")) == [f"{name}.json" for name in found]
    assert not list(bundle.glob(".*"))
    return found


def scored(data: Path) -> list[object]:
    return ["--data", f"folder:{data}", "--split", "val"]


# -- what is built --------------------------------------------------------------------------------------------------


def test_all_files_for_tensorrt_are_built_scored_and_told_in_a_table(bundle: Path, sure_folder: Path) -> None:
    done = build(bundle, *scored(sure_folder))
    assert done.returncode == 0, done.stderr
    assert engines(bundle) == ENGINES
    lines = done.stdout.splitlines()
    assert "on TensorRT 10.3.0, Orin, against model.fp32.onnx on onnxruntime" in lines[0]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert [row[0] for row in rows] == ["fp32", "fp16", "int8"]
    assert [row[5] for row in rows] == ["", "", "1 of 1"]
    assert all(float(row[1]) > 90 and abs(float(row[2])) < 1 and float(row[3]) > 95 for row in rows)
    for name in ENGINES:
        facts = read_engine_facts(bundle / name)
        assert facts.scores["mean_iou"] > 0.9 and "4 pictures, against model.fp32.onnx" in facts.scored_on


@pytest.mark.parametrize(
    ("asked", "made"), [("int8", ["model.int8.engine"]), ("fp16,fp32", ENGINES[:2]), ("int8,all", ENGINES)]
)
def test_only_the_precisions_asked_for_are_built(asked: str, made: list[str], bundle: Path, sure_folder: Path) -> None:
    assert build(bundle, "--precision", asked, *scored(sure_folder)).returncode == 0
    assert engines(bundle) == made


def test_an_engine_of_a_lone_file_lies_beside_it_and_is_compared_with_it(bundle: Path, sure_folder: Path) -> None:
    (bundle / "manifest.json").unlink()
    done = build(bundle / "model.int8.onnx", *scored(sure_folder))
    assert done.returncode == 0, done.stderr
    assert engines(bundle) == ["model.int8.engine"]
    facts = read_engine_facts(bundle / "model.int8.engine")
    assert facts.scores["mean_iou_drop"] == 0 and "against model.int8.onnx on onnxruntime" in facts.scored_on


def test_results_can_be_had_as_one_json_object(bundle: Path, sure_folder: Path) -> None:
    done = build(bundle, "--precision", "fp16,int8", "--json", *scored(sure_folder))
    content = json.loads(done.stdout)
    assert content["model"] == str(bundle) and content["reference"].startswith("model.fp32.onnx on onnxruntime")
    assert [engine["precision"] for engine in content["engines"]] == ["fp16", "int8"]
    assert all(engine["scores"]["mean_iou"] > 0.9 and engine["median_ms"] > 0 for engine in content["engines"])


def test_the_users_options_reach_the_build(bundle: Path, workshop: Workshop, tmp_path: Path) -> None:
    more = ["--workspace", 64, "--level", 5, "--timing-cache", tmp_path / "timings", "--precision", "int8"]
    assert build(bundle, *more).returncode == 0
    assert build(bundle, "--no-timing-cache", "--precision", "int8").returncode == 0
    chosen, plain = workshop.options
    assert (chosen.workspace_mib, chosen.level, chosen.timing_cache) == (64, 5, tmp_path / "timings")
    assert (plain.workspace_mib, plain.level, plain.use_timing_cache) == (None, None, False)


def test_without_data_masks_are_compared_on_drawn_streets_and_it_is_said(bundle: Path) -> None:
    done = build(bundle, "--precision", "int8")
    assert done.returncode == 0, done.stderr
    assert "without --data no accuracy is scored: only masks are compared, on 8 drawn streets" in done.stderr
    facts = read_engine_facts(bundle / "model.int8.engine")
    assert facts.scores == {} and "not scored: 8 pictures without labels, masks agree to" in facts.scored_on


# -- the gate -------------------------------------------------------------------------------------------------------


def test_an_engine_over_the_budget_is_refused_and_the_others_are_kept(
    bundle: Path, workshop: Workshop, sure_folder: Path
) -> None:
    workshop.disturbed["fp16"] = wrong
    done = build(bundle, *scored(sure_folder))
    assert_refused(done, 4, "model.fp16.engine", "at most 0.5 points of mean IoU lost", "--allow-drop")
    assert engines(bundle) == ["model.fp32.engine", "model.int8.engine"]
    assert "fp32" in done.stdout and "int8" in done.stdout and "fp16" not in done.stdout


def test_of_several_that_are_refused_each_has_its_line(bundle: Path, workshop: Workshop, sure_folder: Path) -> None:
    workshop.disturbed["fp16"] = wrong
    workshop.failing["int8"] = ModelError("model.int8.onnx: wanted an engine, found: no kernel")
    done = build(bundle, *scored(sure_folder))
    assert_refused(done, 4, "model.int8.onnx", "no kernel")
    assert "refused: model.fp16.engine: wanted at most 0.5 points" in done.stderr
    assert engines(bundle) == ["model.fp32.engine"]


def test_where_all_are_refused_there_is_no_table(bundle: Path, workshop: Workshop, sure_folder: Path) -> None:
    workshop.disturbed["int8"] = wrong
    done = build(bundle, "--precision", "int8", *scored(sure_folder))
    assert done.returncode == 4 and done.stdout == "" and engines(bundle) == []


def test_the_budget_is_the_users(bundle: Path, workshop: Workshop, sure_folder: Path) -> None:
    workshop.disturbed["int8"] = wrong
    more = ["--precision", "int8", *scored(sure_folder)]
    assert build(bundle, "--max-miou-drop", 100, *more).returncode == 0
    assert_refused(build(bundle, "--max-miou-drop", 20, *more), 4, "at most 20 points")


def test_a_drop_that_is_allowed_is_kept_and_told(bundle: Path, workshop: Workshop, sure_folder: Path) -> None:
    workshop.disturbed["int8"] = wrong
    done = build(bundle, "--precision", "int8", "--allow-drop", *scored(sure_folder))
    assert done.returncode == 0 and engines(bundle) == ["model.int8.engine"]
    assert "warning: model.int8.engine: wanted at most 0.5 points" in done.stderr


def test_a_build_that_was_stopped_is_one_line_and_leaves_nothing(bundle: Path, workshop: Workshop) -> None:
    workshop.failing["fp16"] = KeyboardInterrupt()
    done = build(bundle)
    assert_refused(done, 130, "interrupted")
    assert engines(bundle) == ["model.fp32.engine"], "what was whole before stays"


# -- what is refused before the work --------------------------------------------------------------------------------


def test_what_cannot_be_meant_is_refused(bundle: Path, sure_folder: Path, tmp_path: Path) -> None:
    for more, code, words in (
        (["--precision", "int8-cpu"], 2, "int8-cpu"),
        (["--precision", "int4"], 2, "int4"),
        (["--max-miou-drop", "nan"], 2, "nan"),
        (["--level", "6"], 2, "6"),
        (["--workspace", "0"], 2, "0"),
        (["--timing-cache", "x", "--no-timing-cache"], 2, "found both"),
        (["--data", "street:x"], 2, "street:x"),
        (["--data", f"folder:{tmp_path / 'none'}"], 3, "no folder"),
        (["--data", f"folder:{sure_folder}", "--split", "none"], 3, "none"),
    ):
        assert_refused(build(bundle, *more), code, words)
    assert engines(bundle) == []


def test_what_is_no_model_is_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "x.engine").write_bytes(b"plan")
    assert_refused(build(tmp_path / "x.engine"), 2, "give its ONNX file")
    assert_refused(build(tmp_path / "none.onnx"), 4, "found nothing")
    assert_refused(build(bundle / "model.int8-cpu.onnx"), 2, "int8-cpu")


def test_a_missing_gpu_is_told_before_the_reference_is_run(
    tiny_bundle: Path, street_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.cuda_driver.LIBRARY", "libcuda-that-is-not-there.so.1")
    done = build(tiny_bundle, *scored(street_folder))
    assert_refused(done, 4, "wanted an NVIDIA GPU, found no NVIDIA driver")
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_pycuda_is_told_before_the_engine_is_built(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens engines, and whoever lacks it should not learn that after minutes."""
    from export import engine_proof

    monkeypatch.setattr(engine_proof, "load_tensorrt", lambda: None)
    monkeypatch.setitem(sys.modules, "pycuda", None)
    done = build(tiny_bundle)
    assert_refused(done, 4, "wanted the package pycuda")
    assert len(done.stderr.splitlines()) == 1


def test_build_needs_neither_torch_nor_onnx_nor_a_cpu_engine() -> None:
    heavy = {"torch", "onnx", "onnxruntime", "openvino", "tensorrt", "pycuda", "calibration", "fcn_edge.training"}
    code = f"import sys, export.build_cli\nprint(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
