"""`export --engine tensorrt`: engines beside the files, and the proof of a file for TensorRT is its engine's own.

The GPU's part is a stand-in (`workshop.py`).
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import export.cli
from fcn_edge.manifest import read_manifest
from runtime.engine_facts import read_engine_facts
from tests.conftest import Done, assert_refused, call_fcn_edge
from tests.export.workshop import Workshop, wrong

PRECISIONS = ("fp32", "fp16", "int8")


@pytest.fixture
def gpu(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.setattr(export.cli, "require_tensorrt", lambda: None)
    return workshop


def exported(checkpoint: Path, data: Path, bundle: Path, *more: object) -> Done:
    words = ["-o", bundle, "--size", "64x96", "--data", f"folder:{data}", "--engine", "tensorrt", "--no-sensitivity"]
    quick = ["--calibration-count", 4, "--calibration-method", "minmax"]
    return call_fcn_edge("export", checkpoint, *words, *quick, *more)


@dataclass
class Made:
    """A bundle whose engines all hold."""

    done: Done
    bundle: Path


@pytest.fixture(scope="module")
def made(tiny_bundle: Path, tiny_checkpoint: Path, sure_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        Workshop(folder, tiny_bundle, patch)
        patch.setattr(export.cli, "require_tensorrt", lambda: None)
        done = exported(tiny_checkpoint, sure_folder, folder / "bundle")
    assert done.returncode == 0, done.stderr
    return Made(done, folder / "bundle")


def test_every_file_for_tensorrt_gets_an_engine_that_names_it(made: Made) -> None:
    bundle = made.bundle
    assert sorted(path.name for path in bundle.glob("*.engine")) == sorted(
        f"model.{name}.engine" for name in PRECISIONS
    )
    manifest = read_manifest(bundle)
    for name in PRECISIONS:
        file, facts = manifest.file(name), read_engine_facts(bundle / f"model.{name}.engine")
        assert file is not None and facts.onnx_sha256 == file.sha256
        assert facts.scores["mean_iou"] > 0.9 and "4 pictures, against the checkpoint" in facts.scored_on
    assert "engines of TensorRT" in made.done.stdout and not list(bundle.glob(".*"))


def test_the_engines_proof_takes_the_place_of_the_proxys_where_a_file_is_for_tensorrt_alone(made: Made) -> None:
    files = {file.precision: file for file in read_manifest(made.bundle).files}
    assert not any(file.proxy for file in files.values())
    for name in ("fp16", "int8"):
        assert files[name].scored_on.startswith("TensorRT ") and files[name].proved_on == ("tensorrt", "onnxruntime")
    for name in ("fp32", "int8-cpu"):
        assert files[name].scored_on.startswith(("openvino", "onnxruntime"))
    assert files["fp32"].proved_on[-1] == "tensorrt" and "tensorrt" not in files["int8-cpu"].proved_on
    report = json.loads((made.bundle / "report.json").read_text())
    assert [engine["precision"] for engine in report["engines"]] == list(PRECISIONS)
    assert report["artifacts"]["int8"] == files["int8"].scores == report["engines"][2]["scores"]
    assert "onnxruntime" in report["other_engines"]["int8"]
    assert "Engines of TensorRT</h2>" in (made.bundle / "report.html").read_text()


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_an_engine_over_the_budget_refuses_the_whole_bundle(
    precision: str, gpu: Workshop, tiny_checkpoint: Path, sure_folder: Path, tmp_path: Path
) -> None:
    gpu.disturbed[precision] = wrong
    (tmp_path / "out").mkdir()
    done = exported(tiny_checkpoint, sure_folder, tmp_path / "out" / "bundle")
    assert_refused(done, 4, f"model.{precision}.", "at most 0.5 points")
    left = [path.name for path in (tmp_path / "out").iterdir()]
    assert left == (["bundle.refused.html"] if precision == "int8" else []), "of int8 the page tells the evidence"


def test_a_drop_that_is_allowed_is_kept_but_not_called_proved(
    gpu: Workshop, tiny_checkpoint: Path, sure_folder: Path, tmp_path: Path
) -> None:
    gpu.disturbed |= {"int8": wrong, "fp32": wrong}
    bundle = tmp_path / "made"
    assert exported(tiny_checkpoint, sure_folder, bundle, "--allow-drop").returncode == 0
    files = {file.precision: file for file in read_manifest(bundle).files}
    assert files["int8"].proved_on == ("onnxruntime",) and "tensorrt" not in files["fp32"].proved_on
    assert "over the budget" in (bundle / "report.html").read_text()


def test_only_files_that_are_made_get_an_engine(
    gpu: Workshop, tiny_checkpoint: Path, sure_folder: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "made"
    assert exported(tiny_checkpoint, sure_folder, bundle, "--precisions", "int8-cpu").returncode == 0
    assert [path.name for path in bundle.glob("*.engine")] == ["model.fp32.engine"]


def test_without_a_gpu_it_is_refused_at_once(
    tiny_checkpoint: Path, street_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.cuda_driver.LIBRARY", "libcuda-that-is-not-there.so.1")
    done = exported(tiny_checkpoint, street_folder, tmp_path / "bundle")
    assert_refused(done, 4, "wanted an NVIDIA GPU, found no NVIDIA driver")
    assert len(done.stderr.splitlines()) == 1 and not list(tmp_path.glob("*bundle*"))


def test_without_tensorrt_it_is_refused_at_once(
    tiny_checkpoint: Path, street_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime.cuda_driver import Gpu

    gpu = Gpu("NVIDIA A2", "8.6", False, 16 << 30, "12.6")
    monkeypatch.setattr("runtime.tensorrt_library.find_gpu", lambda: gpu)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    done = exported(tiny_checkpoint, street_folder, tmp_path / "bundle")
    assert_refused(done, 4, "wanted the package tensorrt", "fcn-edge[tensorrt]")
    assert len(done.stderr.splitlines()) == 1
