"""Bundles: whole, scored, reproducible; a failed export leaves nothing; and `eval` of every artifact."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from fcn_edge.files import sha256_of
from fcn_edge.manifest import read_manifest
from tests.conftest import Done, assert_refused, run_fcn_edge
from tests.training.test_train import LIMITED

SMALL = ["--size", "64x96", "--calibration-count", "4"]


def test_a_bundle_names_its_files_by_digest_with_their_scores(tiny_bundle: Path) -> None:
    manifest = read_manifest(tiny_bundle)
    assert manifest.precisions == ("fp32", "int8-cpu") and manifest.size_hw == (64, 96) and len(manifest.labels) == 11
    for file in manifest.files:
        assert sha256_of(tiny_bundle / file.name) == file.sha256
        assert 0 <= file.scores["mean_iou"] <= 1 and 0.5 < file.scores["agreement"] <= 1
    assert manifest.provenance["calibration"]["count"] == 4 and len(manifest.provenance["calibration"]["pictures"]) == 4


def test_fp32_scores_what_the_checkpoint_scores(tiny_bundle: Path) -> None:
    artifacts = json.loads((tiny_bundle / "report.json").read_text())["artifacts"]
    assert artifacts["fp32"]["mean_iou"] == pytest.approx(artifacts["checkpoint"]["mean_iou"], abs=1e-4)
    assert artifacts["fp32"]["agreement"] > 0.999


def test_the_page_needs_nothing_from_outside(tiny_bundle: Path) -> None:
    page = (tiny_bundle / "report.html").read_text()
    assert "http://" not in page and "https://" not in page and "data:image/png;base64," in page
    assert "int8-cpu" in page and "pedestrian" in page


def export(checkpoint: Path, bundle: Path, data: str, *more: object) -> Done:
    return run_fcn_edge("export", checkpoint, "-o", bundle, *SMALL, "--data", data, *more)


def test_exporting_twice_gives_the_same_models_and_manifest(
    tiny_checkpoint: Path, tiny_bundle: Path, street_folder: Path, tmp_path: Path
) -> None:
    done = export(tiny_checkpoint, tmp_path / "again", f"folder:{street_folder}")
    assert done.returncode == 0, done.stderr
    for name in ("model.fp32.onnx", "model.int8-cpu.onnx", "manifest.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tiny_bundle / name).read_bytes(), name


def test_a_bundle_that_exists_is_left_alone(tiny_checkpoint: Path, street_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "mine.txt").write_text("precious")
    assert_refused(export(tiny_checkpoint, tmp_path / "bundle", f"folder:{street_folder}"), 2, "bundle")
    assert [path.name for path in (tmp_path / "bundle").iterdir()] == ["mine.txt"]


def test_data_of_other_classes_is_refused(tiny_checkpoint: Path, street_folder: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(street_folder, tmp_path / "data"))
    classes = json.loads((data / "labels.json").read_text())
    classes["classes"] = classes["classes"][:-1]
    classes["ignore_index"] = 10  # the dropped class becomes void
    (data / "labels.json").write_text(json.dumps(classes))
    done = export(tiny_checkpoint, tmp_path / "bundle", f"folder:{data}")
    assert_refused(done, 2, "10 classes", "11")
    assert not (tmp_path / "bundle").exists()


def test_calibration_without_pictures_is_refused(tiny_checkpoint: Path, street_folder: Path, tmp_path: Path) -> None:
    empty = Path(shutil.copytree(street_folder, tmp_path / "data"))
    shutil.rmtree(empty / "images" / "train")
    (empty / "images" / "train").mkdir()
    more = ["--calibration", f"folder:{empty}"]
    done = export(tiny_checkpoint, tmp_path / "bundle", f"folder:{street_folder}", *more)
    assert_refused(done, 3, "train")


def test_an_unlabelled_calibration_set_will_do(tiny_checkpoint: Path, street_folder: Path, tmp_path: Path) -> None:
    unlabelled = Path(shutil.copytree(street_folder, tmp_path / "data"))
    shutil.rmtree(unlabelled / "masks")
    more = ["--calibration", f"folder:{unlabelled}"]
    done = export(tiny_checkpoint, tmp_path / "bundle", f"folder:{street_folder}", *more)
    assert done.returncode == 0, done.stderr


def test_broken_calibration_pictures_leave_nothing(tiny_checkpoint: Path, street_folder: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(street_folder, tmp_path / "data"))
    for path in (broken / "images" / "train").iterdir():
        path.write_bytes(b"broken")
    done = export(tiny_checkpoint, tmp_path / "bundle", f"folder:{street_folder}", "--calibration", f"folder:{broken}")
    assert_refused(done, 3, ".png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


@pytest.mark.parametrize("what", ["text", "missing", "onnx"])
def test_what_is_no_checkpoint_is_refused(what: str, tiny_bundle: Path, street_folder: Path, tmp_path: Path) -> None:
    path = {
        "text": tmp_path / "a.safetensors",
        "missing": tmp_path / "b.safetensors",
        "onnx": tiny_bundle / "model.fp32.onnx",
    }[what]
    if what == "text":
        path.write_text("no model")
    assert_refused(export(path, tmp_path / "bundle", f"folder:{street_folder}"), 4, path.name)
    assert not (tmp_path / "bundle").exists()


def test_an_unwritable_place_is_refused(tiny_checkpoint: Path, street_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert_refused(export(tiny_checkpoint, tmp_path / "file" / "bundle", f"folder:{street_folder}"), 5, "file")


@pytest.mark.parametrize("limit", [20_000, 300_000])
def test_a_full_disk_leaves_no_bundle(limit: int, tiny_checkpoint: Path, street_folder: Path, tmp_path: Path) -> None:
    words = [
        "export",
        str(tiny_checkpoint),
        "-o",
        str(tmp_path / "bundle"),
        *SMALL,
        "--data",
        f"folder:{street_folder}",
    ]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert_refused(done, 5, "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", ["360", "0x5", "axb", "99999x99999"])
def test_a_size_that_is_none_is_refused(size: str, tiny_checkpoint: Path, tmp_path: Path) -> None:
    done = run_fcn_edge("export", tiny_checkpoint, "-o", tmp_path / "bundle", "--size", size, "--data", "synthetic:")
    assert_refused(done, 2, "HEIGHTxWIDTH", size)


def evaluated(model: Path, data: Path, *more: object) -> dict[str, object]:
    done = run_fcn_edge("eval", model, f"folder:{data}", "--json", *more)
    assert done.returncode == 0, done.stderr
    content: dict[str, object] = json.loads(done.stdout)
    return content


def test_eval_finds_the_scores_of_the_manifest(tiny_bundle: Path, street_folder: Path) -> None:
    for file in read_manifest(tiny_bundle).files:
        wanted = {key: value for key, value in file.scores.items() if key != "agreement"}
        assert evaluated(tiny_bundle, street_folder, "--precision", file.precision) == wanted
        assert evaluated(tiny_bundle / file.name, street_folder) == wanted


def test_eval_gives_null_for_an_absent_class(tiny_checkpoint: Path, street_folder: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(street_folder, tmp_path / "data"))
    for path in (data / "masks" / "val").iterdir():
        cv2.imwrite(str(path), np.full((64, 96), 255, np.uint8))
    scores = evaluated(tiny_checkpoint, data)
    assert scores["mean_iou"] is None and scores["pixel_accuracy"] is None
    assert set(scores["per_class_iou"].values()) == {None}  # type: ignore[attr-defined]


def test_a_swapped_size_is_told(tiny_checkpoint: Path, street_folder: Path, tmp_path: Path) -> None:
    words = [
        "-o",
        tmp_path / "bundle",
        "--size",
        "96x64",
        "--data",
        f"folder:{street_folder}",
        "--calibration-count",
        4,
    ]
    done = run_fcn_edge("export", tiny_checkpoint, *words)
    assert done.returncode == 0 and "HEIGHTxWIDTH" in done.stderr


@pytest.mark.parametrize("flag", [["--precision", "int8-cpu"], ["--engine", "onnxruntime"]])
def test_eval_of_a_checkpoint_has_no_choice_of_precision(
    flag: list[str], tiny_checkpoint: Path, street_folder: Path
) -> None:
    assert_refused(run_fcn_edge("eval", tiny_checkpoint, f"folder:{street_folder}", *flag), 2, "float32")


@pytest.mark.parametrize("precision", ["fp32", "int8-cpu"])
def test_eval_on_other_classes_is_refused(
    precision: str, tiny_bundle: Path, street_folder: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(street_folder, tmp_path / "data"))
    classes = json.loads((data / "labels.json").read_text())
    classes["classes"][3]["name"] = "river"
    (data / "labels.json").write_text(json.dumps(classes))
    assert_refused(run_fcn_edge("eval", tiny_bundle, f"folder:{data}", "--precision", precision), 2, "river")


@pytest.mark.parametrize("method", ["entropy", "percentile"])
def test_every_calibration_method_exports(
    method: str, tiny_checkpoint: Path, tiny_bundle: Path, street_folder: Path, tmp_path: Path
) -> None:
    done = export(tiny_checkpoint, tmp_path / "bundle", f"folder:{street_folder}", "--calibration-method", method)
    assert done.returncode == 0, done.stderr
    manifest = read_manifest(tmp_path / "bundle")
    assert manifest.provenance["calibration"]["method"] == method
    int8, minmax = manifest.file("int8-cpu"), read_manifest(tiny_bundle).file("int8-cpu")
    assert int8 is not None and minmax is not None and int8.sha256 != minmax.sha256
    assert int8.scores["agreement"] > 0.5


def test_eval_draws_a_sheet(tiny_bundle: Path, street_folder: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    evaluated(tiny_bundle, street_folder, "--sheet", sheet)
    drawn = cv2.imread(str(sheet))
    assert drawn is not None and drawn.shape[0] > 4 * 180 and drawn.shape[1] > 3 * 270


def test_eval_of_a_checkpoint_can_stretch_frames_as_the_bundle_does(tiny_checkpoint: Path, street_folder: Path) -> None:
    assert evaluated(tiny_checkpoint, street_folder, "--size", "64x96") == evaluated(tiny_checkpoint, street_folder)
    assert evaluated(tiny_checkpoint, street_folder, "--size", "32x48") != evaluated(tiny_checkpoint, street_folder)
