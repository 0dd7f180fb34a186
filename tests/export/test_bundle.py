"""Bundles: whole, scored, reproducible; and `eval` of every artifact. What goes wrong is in test_bad_input.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from calibration.image_set import pick
from calibration.listing import write_list
from export.bundle import export_bundle
from export.exporter import ExportPlan
from fcn_edge.datasets import open_dataset
from fcn_edge.files import sha256_of
from fcn_edge.manifest import read_manifest
from fcn_edge.training.checkpoint import load_checkpoint
from tests.conftest import Done, assert_refused, call_fcn_edge

SMALL = ["--size", "64x96", "--calibration-count", "4"]
FILES = ("model.fp32.onnx", "model.fp16.onnx", "model.int8.onnx", "model.int8-cpu.onnx", "manifest.json")


def export(checkpoint: Path, bundle: Path, data: str, *more: object) -> Done:
    done = call_fcn_edge("export", checkpoint, "-o", bundle, *SMALL, "--data", data, *more)
    assert done.returncode == 0, done.stderr
    return done


def test_a_bundle_names_its_files_by_digest_with_their_scores(tiny_bundle: Path) -> None:
    manifest = read_manifest(tiny_bundle)
    assert manifest.precisions == ("fp32", "fp16", "int8", "int8-cpu")
    assert manifest.size_hw == (64, 96) and len(manifest.labels) == 11
    for file in manifest.files:
        assert sha256_of(tiny_bundle / file.name) == file.sha256
        assert (tiny_bundle / file.name).stat().st_size == file.bytes
        assert 0 <= file.scores["mean_iou"] <= 1 and 0.5 < file.scores["agreement"] <= 1
    assert manifest.provenance["calibration"]["count"] == 4 and len(manifest.provenance["calibration"]["pictures"]) == 4


def test_a_bundle_holds_its_files_and_reports_and_nothing_else(tiny_bundle: Path) -> None:
    assert {path.name for path in tiny_bundle.iterdir()} == {*FILES, "report.json", "report.html"}
    assert [path.name for path in tiny_bundle.parent.iterdir()] == [tiny_bundle.name]


def test_fp32_scores_what_the_checkpoint_scores(tiny_bundle: Path) -> None:
    artifacts = json.loads((tiny_bundle / "report.json").read_text())["artifacts"]
    assert artifacts["fp32"]["mean_iou"] == pytest.approx(artifacts["checkpoint"]["mean_iou"], abs=1e-4)
    assert artifacts["fp32"]["agreement"] > 0.999 and artifacts["fp16"]["agreement"] > 0.99


def test_files_for_tensorrt_are_scored_by_proxy_and_say_so(tiny_bundle: Path) -> None:
    files = {file.precision: file for file in read_manifest(tiny_bundle).files}
    assert {name for name, file in files.items() if file.proxy} == {"fp16", "int8"}
    assert all("onnxruntime" in file.scored_on for file in files.values() if file.proxy)


def test_exporting_twice_gives_the_same_models_and_manifest(
    tiny_checkpoint: Path, tiny_bundle: Path, street_folder: Path, tmp_path: Path
) -> None:
    """The second one in another process, by ranges from the first one's cache."""
    done = export(tiny_checkpoint, tmp_path / "again", f"folder:{street_folder}", "--no-sensitivity")
    assert "ranges of 4 calibration pictures: from" in done.stderr
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (tiny_bundle / name).read_bytes(), name


@pytest.mark.parametrize(
    ("asked", "made"), [("int8-cpu,fp32", ("fp32", "int8-cpu")), ("fp16", ("fp32", "fp16")), ("fp32", ("fp32",))]
)
def test_only_the_files_asked_for_are_made_and_always_fp32(
    asked: str, made: tuple[str, ...], tiny_checkpoint: Path, street_folder: Path, tmp_path: Path
) -> None:
    more = ["--precisions", asked, "--calibration-method", "minmax", "--no-sensitivity"]
    export(tiny_checkpoint, tmp_path / "bundle", f"folder:{street_folder}", *more, "--allow-drop")
    assert read_manifest(tmp_path / "bundle").precisions == made
    assert sorted((tmp_path / "bundle").glob("*.onnx")) == sorted(tmp_path / "bundle" / f"model.{p}.onnx" for p in made)


def test_a_list_of_pictures_takes_the_place_of_a_choice(
    tiny_checkpoint: Path, street_folder: Path, tmp_path: Path
) -> None:
    pictures = pick(open_dataset(f"folder:{street_folder}", "train"), 3, seed=5)
    write_list(tmp_path / "list.json", pictures, f"folder:{street_folder}", "train")
    more = [
        "--calibration-list",
        tmp_path / "list.json",
        "--precisions",
        "int8-cpu",
        "--no-sensitivity",
        "--allow-drop",
    ]
    export(tiny_checkpoint, tmp_path / "bundle", f"folder:{street_folder}", *more)
    provenance = read_manifest(tmp_path / "bundle").provenance
    assert provenance["calibration"]["pictures"] == pictures.names()
    assert provenance["calibration"]["sha256"] == pictures.digest() and provenance["calibration_list"] == "list.json"


def test_a_bundle_is_exported_by_a_python_call_too(
    tiny_checkpoint: Path, street_folder: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    """As the command does it; the names of the data are the caller's."""
    train, val = (open_dataset(f"folder:{street_folder}", split) for split in ("train", "val"))
    plan = ExportPlan(
        load_checkpoint(tiny_checkpoint), tiny_checkpoint, (64, 96), val, pick(train, 4), "minmax", {}, ("fp32", "int8")
    )
    manifest, evidence = export_bundle(plan, tmp_path / "bundle")
    assert manifest.precisions == tuple(evidence.proofs) == ("fp32", "int8")
    assert manifest == read_manifest(tmp_path / "bundle")
    assert evidence.own.drop == 0 and set(evidence.latencies) == {"fp32"} and set(evidence.costs) == {"int8"}


# -- eval ---------------------------------------------------------------------------------------------------------


def evaluated(model: Path, data: Path, *more: object) -> dict[str, Any]:
    done = call_fcn_edge("eval", model, f"folder:{data}", "--json", *more)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_eval_finds_the_scores_of_the_manifest(tiny_bundle: Path, street_folder: Path) -> None:
    for file in read_manifest(tiny_bundle).files:
        engine = ["--engine", "onnxruntime"] if file.proxy else []
        found = evaluated(tiny_bundle, street_folder, "--precision", file.precision, *engine)
        assert {key: file.scores[key] for key in found} == found and found["mean_iou"] > 0
        assert evaluated(tiny_bundle / file.name, street_folder, *engine) == found


def test_eval_gives_null_for_an_absent_class(tiny_checkpoint: Path, street_folder: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(street_folder, tmp_path / "data"))
    for path in (data / "masks" / "val").iterdir():
        cv2.imwrite(str(path), np.full((64, 96), 255, np.uint8))
    scores = evaluated(tiny_checkpoint, data)
    assert scores["mean_iou"] is None and scores["pixel_accuracy"] is None
    assert set(scores["per_class_iou"].values()) == {None}


@pytest.mark.parametrize("flag", [["--precision", "int8-cpu"], ["--engine", "onnxruntime"]])
def test_eval_of_a_checkpoint_has_no_choice_of_precision(
    flag: list[str], tiny_checkpoint: Path, street_folder: Path
) -> None:
    assert_refused(call_fcn_edge("eval", tiny_checkpoint, f"folder:{street_folder}", *flag), 2, "float32")


@pytest.mark.parametrize("precision", ["fp32", "int8-cpu"])
def test_eval_on_other_classes_is_refused(
    precision: str, tiny_bundle: Path, street_folder: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(street_folder, tmp_path / "data"))
    classes = json.loads((data / "labels.json").read_text())
    classes["classes"][3]["name"] = "river"
    (data / "labels.json").write_text(json.dumps(classes))
    assert_refused(call_fcn_edge("eval", tiny_bundle, f"folder:{data}", "--precision", precision), 2, "river")


def test_eval_draws_a_sheet(tiny_bundle: Path, street_folder: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    evaluated(tiny_bundle, street_folder, "--sheet", sheet)
    drawn = cv2.imread(str(sheet))
    assert drawn is not None and drawn.shape[0] > 4 * 180 and drawn.shape[1] > 3 * 270


def test_eval_of_a_checkpoint_can_stretch_frames_as_the_bundle_does(tiny_checkpoint: Path, street_folder: Path) -> None:
    plain = evaluated(tiny_checkpoint, street_folder)
    assert evaluated(tiny_checkpoint, street_folder, "--size", "64x96") == plain
    assert evaluated(tiny_checkpoint, street_folder, "--size", "32x48") != plain
