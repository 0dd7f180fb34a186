"""`fcn-edge eval --report`: the same page for a checkpoint, an ONNX file, a bundle at any precision and an engine."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest

from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.manifest import ModelFacts
from runtime import trt_session
from runtime.engine_facts import EngineFacts
from runtime.session_protocol import FakeSession
from tests.conftest import assert_refused, call_fcn_edge
from tests.ground.test_evaluation_page import FILES
from tests.runtime.small_engines import BUILDER, become, engine_facts, write_engine


class Engine(FakeSession):
    """What would be an engine on a GPU: it sees sky."""

    def __init__(self, engine: Path, facts: EngineFacts, *, cuda_graph: bool) -> None:
        super().__init__(lambda frame: frame[..., 0] * 0, facts.model.labels, facts.model.size_hw)
        self.device = "TensorRT 10.3.0, Orin"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    become(monkeypatch, **BUILDER)
    monkeypatch.setattr(trt_session, "TrtSession", Engine)
    model: ModelFacts = replace(engine_facts().model, labels=STREET_LABELS)
    (tmp_path / "device").mkdir()
    return write_engine(tmp_path / "device", model=model)


def reported(model: Path, data: Path, target: Path, *more: object) -> tuple[dict[str, Any], str]:
    """What was printed, and the page."""
    done = call_fcn_edge("eval", model, f"folder:{data}", "--json", "--report", target, *more)
    assert done.returncode == 0, done.stderr
    page = target if target.is_file() else target / "report.html"
    return dict(json.loads(done.stdout)), page.read_text()


def require_page(page: str, numbers: dict[str, Any]) -> None:
    for heading in ("Scores", "Classes", "Confusion matrix", "Best frames", "Worst frames", "Origin"):
        assert f"<h2>{heading}</h2>" in page
    assert f"<tr><td>mean IoU</td><td>{100 * numbers['mean_iou']:.2f}</td></tr>" in page
    assert "mean IoU within 3 pixels of a border" in page and "<td>folder:streets" in page


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int8-cpu"])
def test_a_bundle_is_reported_at_any_precision(
    precision: str, tiny_bundle: Path, street_folder: Path, tmp_path: Path
) -> None:
    choice = ["--precision", precision, "--engine", "onnxruntime"]
    numbers, page = reported(tiny_bundle, street_folder, tmp_path / "page.html", *choice)
    require_page(page, numbers)
    assert f", {precision}</td>" in page


def test_an_onnx_file_is_reported(tiny_bundle: Path, street_folder: Path, tmp_path: Path) -> None:
    numbers, page = reported(tiny_bundle / "model.fp32.onnx", street_folder, tmp_path / "page.html")
    require_page(page, numbers)


def test_a_checkpoint_is_reported(tiny_checkpoint: Path, street_folder: Path, tmp_path: Path) -> None:
    numbers, page = reported(tiny_checkpoint, street_folder, tmp_path / "page.html")
    require_page(page, numbers)
    assert "tiny.safetensors" in page and "torch, float32" in page


def test_an_engine_is_reported(engine: Path, street_folder: Path, tmp_path: Path) -> None:
    numbers, page = reported(engine, street_folder, tmp_path / "page.html")
    require_page(page, numbers)
    assert "TensorRT 10.3.0, Orin" in page


def test_a_folder_gets_what_is_printed_and_more(tiny_bundle: Path, street_folder: Path, tmp_path: Path) -> None:
    numbers, _ = reported(tiny_bundle, street_folder, tmp_path / "report")
    assert {path.name for path in (tmp_path / "report").iterdir()} == FILES
    stored = json.loads((tmp_path / "report" / "report.json").read_text())
    assert {name: stored[name] for name in numbers} == numbers
    assert stored["border"]["pixels"] == 3 and len(stored["mean_iou_of_pictures"]) == 4
    assert str(street_folder) not in json.dumps(stored)


def test_what_is_printed_is_the_same_with_and_without_a_report(
    tiny_bundle: Path, street_folder: Path, tmp_path: Path
) -> None:
    words = ["eval", tiny_bundle, f"folder:{street_folder}", "--engine", "onnxruntime", "--precision", "fp32"]
    plain, with_report = call_fcn_edge(*words), call_fcn_edge(*words, "--report", tmp_path / "page.html")
    assert plain.stdout == with_report.stdout and "mean IoU" in plain.stdout


def test_classes_that_the_pictures_lack_are_dashes(tiny_bundle: Path, street_folder: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(street_folder, tmp_path / "streets"))
    for path in (data / "masks" / "val").iterdir():
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert cv2.imwrite(str(path), mask * 0 + 255)  # void
    _, page = reported(tiny_bundle, data, tmp_path / "page.html")
    assert "<tr><td>mean IoU</td><td>-</td></tr>" in page and "Best frames" not in page


@pytest.mark.parametrize("place", ["file/report", "file/page.html", "file"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    place: str, tiny_bundle: Path, street_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    done = call_fcn_edge("eval", tiny_bundle, f"folder:{street_folder}", "--report", tmp_path / place)
    assert_refused(done, 5, str(tmp_path / "file"))
    assert "scoring" not in done.stderr and not done.stdout


def test_pictures_without_labels_are_refused_and_leave_nothing(
    tiny_bundle: Path, street_folder: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(street_folder, tmp_path / "streets"))
    shutil.rmtree(data / "masks")
    done = call_fcn_edge("eval", tiny_bundle, f"folder:{data}", "--report", tmp_path / "report")
    assert_refused(done, 3, "no masks")
    assert not (tmp_path / "report").exists()
