"""The gate: a file that loses too much is refused with the evidence, mended by --repair or taken by --allow-drop."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import onnx
import pytest

from fcn_edge.datasets import open_dataset
from fcn_edge.manifest import read_manifest
from fcn_edge.training.checkpoint import load_checkpoint
from fcn_edge.training.evaluate import CheckpointSession
from tests.conftest import Done, assert_refused, call_fcn_edge
from tests.export.conftest import READER, sabotaged

INT8 = ("int8", "int8-cpu")
BUDGET = 0.005  # the default


@dataclass
class Outcome:
    """What an export told, and what it left in its folder."""

    done: Done
    bundle: Path

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.bundle.parent.iterdir())

    @property
    def page(self) -> str:
        return (self.bundle.parent / "bundle.refused.html").read_text()

    @property
    def report(self) -> dict[str, Any]:
        return dict(json.loads((self.bundle / "report.json").read_text()))


def export(checkpoint: Path, data: Path, folder: Path, *more: object) -> Outcome:
    bundle = folder / "bundle"
    words = ["export", checkpoint, "-o", bundle, "--size", "64x96", "--data", f"folder:{data}"]
    return Outcome(call_fcn_edge(*words, "--calibration-count", 4, *more), bundle)


def float_layers(path: Path) -> set[str]:
    """The layers of a file that are neither score, nor upsampling, nor quantised."""
    graph = onnx.load(path).graph
    made = {output: node.op_type for node in graph.node for output in node.output}
    plain = {node.name for node in graph.node if node.op_type == "Conv" and node.input[1] not in made}
    return {name for name in plain if not name.startswith(("score", "upscore"))}


@pytest.fixture(scope="module")
def refused(sabotaged_checkpoint: Path, sure_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return export(sabotaged_checkpoint, sure_folder, tmp_path_factory.mktemp("refused"))


@pytest.fixture(scope="module")
def repaired(
    refused: Outcome, sabotaged_checkpoint: Path, sure_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Outcome:
    """With the evidence of a refused attempt still lying about."""
    folder = tmp_path_factory.mktemp("repaired")
    shutil.copy(refused.bundle.parent / "bundle.refused.html", folder)
    return export(sabotaged_checkpoint, sure_folder, folder, "--repair")


@pytest.fixture(scope="module")
def allowed(sabotaged_checkpoint: Path, sure_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    more = ["--allow-drop", "--no-sensitivity", "--precisions", "int8-cpu", "--calibration-method", "minmax"]
    return export(sabotaged_checkpoint, sure_folder, tmp_path_factory.mktemp("allowed"), *more)


def test_the_same_network_unspoilt_passes_the_gate(tiny_checkpoint: Path, sure_folder: Path, tmp_path: Path) -> None:
    """Guards the tests below: what they see is the sabotage."""
    outcome = export(tiny_checkpoint, sure_folder, tmp_path, "--no-sensitivity")
    assert outcome.done.returncode == 0, outcome.done.stderr
    manifest = read_manifest(outcome.bundle)
    assert manifest.precisions == ("fp32", "fp16", "int8", "int8-cpu")
    assert all(abs(file.scores["mean_iou_drop"]) <= BUDGET and not file.float_layers for file in manifest.files)


def test_a_file_over_the_budget_is_refused_with_one_line_that_names_file_layer_and_cure(refused: Outcome) -> None:
    assert_refused(refused.done, 4, "model.int8", "at most 0.5 points", f"most by {READER})", "--repair")


def test_nothing_but_the_evidence_is_left(refused: Outcome) -> None:
    assert refused.left == ["bundle.refused.html"]
    assert str(refused.bundle.with_name("bundle.refused.html")) in refused.done.stderr


def test_the_evidence_shows_scores_layers_and_the_frames_that_disagree(refused: Outcome) -> None:
    page = refused.page
    assert "over it: int8, int8-cpu" in page and "every file holds it" not in page
    for precision in INT8:
        section = page.split(f"What each layer costs {precision}</h2>")[1]
        assert section.split("<td>")[1].startswith(f"{READER}<"), "the costliest layer comes first"
    assert "disagrees most with the checkpoint" in page and page.count("data:image/png;base64,") == 2


def test_fp32_and_fp16_of_a_network_that_int8_breaks_are_sound(refused: Outcome) -> None:
    rows = refused.page.split("<tr><td>fp")[1:3]
    assert [row[:2] for row in rows] == ["32", "16"] and all("<td>100.00</td><td>0.00</td>" in row for row in rows)


def test_repair_keeps_the_culprit_in_float_and_the_budget_holds(repaired: Outcome) -> None:
    assert repaired.done.returncode == 0, repaired.done.stderr
    manifest = read_manifest(repaired.bundle)
    for precision in INT8:
        file = manifest.file(precision)
        assert file is not None and file.float_layers == (READER,)
        assert float_layers(repaired.bundle / file.name) == {READER}
        assert file.scores["mean_iou_drop"] <= BUDGET


def test_a_bundle_that_was_mended_clears_the_evidence_of_the_attempt_before(repaired: Outcome) -> None:
    assert repaired.left == ["bundle"]


def test_the_report_tells_the_way_to_the_budget_in_accuracy_work_and_time(repaired: Outcome) -> None:
    for precision in INT8:
        first, last = repaired.report["repairs"][precision]
        assert first["kept"] == [] and last["kept"] == [READER]
        assert first["mean_iou_drop"] > 0.2 > BUDGET >= last["mean_iou_drop"]
        assert 0.5 < last["low_share"] < first["low_share"] == 1
        measured = precision == "int8-cpu"  # int8 is for another machine
        assert (last["latency_against_fp32"] is not None) == measured
    assert f"<td>{READER}</td>" in (repaired.bundle / "report.html").read_text().split("Repair of int8-cpu</h2>")[1]


def test_the_manifest_names_the_scores_of_the_mended_file(repaired: Outcome) -> None:
    for precision in INT8:
        file = read_manifest(repaired.bundle).file(precision)
        assert file is not None
        last = repaired.report["repairs"][precision][-1]
        assert file.scores["mean_iou_drop"] == last["mean_iou_drop"]


def test_a_drop_that_is_allowed_is_kept_and_told(allowed: Outcome) -> None:
    assert allowed.done.returncode == 0, allowed.done.stderr
    assert allowed.left == ["bundle"]
    file = read_manifest(allowed.bundle).file("int8-cpu")
    assert file is not None and file.scores["mean_iou_drop"] > 0.2
    assert "over it: int8-cpu" in (allowed.bundle / "report.html").read_text()


SABOTAGED = ("conv1_2", "conv2_2", "conv3_2", "conv3_3", "conv4_2", "conv4_3")  # more than half of the work
BEFORE = ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "conv4_1", "conv4_2")


def test_a_budget_that_no_repair_can_hold_ends_early_and_honestly(
    tiny_checkpoint: Path, sure_folder: Path, tmp_path: Path
) -> None:
    broken = sabotaged(tiny_checkpoint, tmp_path / "a.safetensors", *zip(BEFORE, SABOTAGED, strict=True), power=12)
    (tmp_path / "out").mkdir()
    more = ["--repair", "--precisions", "int8-cpu", "--calibration-method", "minmax"]
    outcome = export(broken, sure_folder, tmp_path / "out", *more)
    assert_refused(outcome.done, 4, "model.int8-cpu.onnx", "--allow-drop")
    assert "--repair" not in outcome.done.stderr.splitlines()[-1]
    assert "with at most half of the work in float it cannot be repaired" in outcome.done.stderr
    assert outcome.left == ["bundle.refused.html"]
    assert "Repair of int8-cpu" in outcome.page


def test_a_budget_of_nothing_refuses_the_least_loss(tiny_checkpoint: Path, sure_folder: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(sure_folder, tmp_path / "data"))
    label_as_fp32_would(tiny_checkpoint, data)
    more = ["--max-miou-drop", "0", "--no-sensitivity", "--precisions", "int8-cpu", "--calibration-method", "minmax"]
    (tmp_path / "out").mkdir()
    outcome = export(tiny_checkpoint, data, tmp_path / "out", *more)
    assert_refused(outcome.done, 4, "at most 0 points")


def label_as_fp32_would(checkpoint: Path, data: Path) -> None:
    """Every pixel of val, the unsure ones too: each one that changes is a loss."""
    session, dataset = CheckpointSession(load_checkpoint(checkpoint)), open_dataset(f"folder:{data}", "val")
    for index in range(len(dataset)):
        assert cv2.imwrite(str(data / "masks" / "val" / dataset.name(index)), session.infer(dataset.image(index)))


@pytest.fixture(scope="module")
def unlabelled(sabotaged_checkpoint: Path, sure_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The same breakage seen without labels."""
    folder = tmp_path_factory.mktemp("unlabelled")
    data = Path(shutil.copytree(sure_folder, folder / "data"))
    shutil.rmtree(data / "masks")
    (folder / "out").mkdir()
    return export(sabotaged_checkpoint, data, folder / "out", "--calibration-method", "minmax")


def test_without_labels_there_is_no_gate_but_the_agreement_of_masks_and_it_is_said(unlabelled: Outcome) -> None:
    assert unlabelled.done.returncode == 0, unlabelled.done.stderr
    assert "without labels: agreement of masks only" in unlabelled.done.stdout
    assert "pictures without labels: only masks are compared" in (unlabelled.bundle / "report.html").read_text()
    report = unlabelled.report
    assert report["labelled"] is False
    for file in read_manifest(unlabelled.bundle).files:
        assert "mean_iou" not in file.scores and file.scores["mean_iou_drop"] is None
        assert 0 < file.scores["agreement"] <= 1
    assert report["artifacts"]["fp32"]["agreement"] > 0.999 > 0.9 > report["artifacts"]["int8"]["agreement"]


def test_without_labels_layers_are_ranked_by_the_pixels_they_change(unlabelled: Outcome) -> None:
    (costs,) = unlabelled.report["sensitivity"].values()
    assert costs[0]["layer"] == READER and costs[0]["drop"] is None
    assert [cost["disagreement"] for cost in costs] == sorted((cost["disagreement"] for cost in costs), reverse=True)
