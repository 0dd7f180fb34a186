"""What an export makes of bad pictures, labels, places and checkpoints: one line, the right exit code, no harm."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from export.exporter import ExportPlan
from fcn_edge.manifest import Manifest, read_manifest
from fcn_edge.training.checkpoint import HEADER_KEY, HEADER_VERSION, load_checkpoint, save_checkpoint
from tests.conftest import Done, assert_refused, call_fcn_edge
from tests.training.test_train import LIMITED

QUICK = ["--size", "64x96", "--calibration-count", "4", "--no-sensitivity", "--precisions", "int8-cpu"]


@pytest.fixture
def data(sure_folder: Path, tmp_path: Path) -> Path:
    """A copy of the labelled streets that a test may spoil."""
    return Path(shutil.copytree(sure_folder, tmp_path / "data"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where bundles go; nothing else is in it."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def export(checkpoint: Path, place: Path, data: Path, *more: object) -> Done:
    words = ["export", checkpoint, "-o", place / "bundle", *QUICK, "--data", f"folder:{data}"]
    return call_fcn_edge(*words, *more)


def assert_only_refused(done: Done, place: Path, code: int, *words: str) -> None:
    assert_refused(done, code, *words)
    assert list(place.iterdir()) == []


def finished(done: Done, place: Path) -> Manifest:
    assert done.returncode == 0, done.stderr
    assert [path.name for path in place.iterdir()] == ["bundle"]
    return read_manifest(place / "bundle")


# -- calibration pictures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["empty", "missing", "no folder"])
def test_a_calibration_folder_without_pictures_is_refused(
    how: str, tiny_checkpoint: Path, sure_folder: Path, data: Path, place: Path
) -> None:
    shutil.rmtree(data if how == "no folder" else data / "images" / "train")
    if how == "empty":
        (data / "images" / "train").mkdir()
    done = export(tiny_checkpoint, place, sure_folder, "--calibration", f"folder:{data}")
    assert_only_refused(done, place, 3, str(data), "found")


def test_calibration_pictures_without_labels_will_do(
    tiny_checkpoint: Path, sure_folder: Path, data: Path, place: Path
) -> None:
    shutil.rmtree(data / "masks")
    done = export(tiny_checkpoint, place, sure_folder, "--calibration", f"folder:{data}", "--allow-drop")
    assert finished(done, place).provenance["calibration"]["chosen"] == "lot"
    assert "no labelled picture is left to judge" in done.stderr


def test_calibration_pictures_of_noise_are_refused_by_the_gate_and_not_by_a_traceback(
    tiny_checkpoint: Path, sure_folder: Path, data: Path, place: Path
) -> None:
    """Dim noise: its ranges cut everything that a street holds."""
    rng = np.random.default_rng(0)
    for path in (data / "images" / "train").iterdir():
        assert cv2.imwrite(str(path), rng.integers(120, 136, (64, 96, 3), np.uint8))
    done = export(tiny_checkpoint, place, sure_folder, "--calibration", f"folder:{data}")
    assert_refused(done, 4, "model.int8-cpu.onnx", "points of mean IoU lost")
    assert [path.name for path in place.iterdir()] == ["bundle.refused.html"]


@pytest.mark.parametrize("kind", ["images", "masks"])
@pytest.mark.parametrize("which", range(6))
def test_one_broken_file_is_named_wherever_it_is(
    which: int, kind: str, tiny_checkpoint: Path, data: Path, place: Path
) -> None:
    """Among the pictures that calibrate or among those that judge the contest."""
    broken = data / kind / "train" / f"{which:03d}.png"
    broken.write_bytes(broken.read_bytes()[:60])
    assert_only_refused(export(tiny_checkpoint, place, data), place, 3, broken.name)


def test_one_calibration_picture_is_enough_to_end_well(
    tiny_checkpoint: Path, sure_folder: Path, data: Path, place: Path
) -> None:
    for path in sorted((data / "images" / "train").iterdir())[1:]:
        path.unlink()
    manifest = finished(
        export(tiny_checkpoint, place, sure_folder, "--calibration", f"folder:{data}", "--allow-drop"), place
    )
    calibration = manifest.provenance["calibration"]
    assert (calibration["count"], calibration["pictures"]) == (1, ["000.png"])


# -- labels -------------------------------------------------------------------------------------------------------


def fewer_classes(data: Path) -> None:
    rewrite_classes(data, lambda classes: classes[:-1])


def renamed_class(data: Path) -> None:
    rewrite_classes(data, lambda classes: [{**classes[0], "name": "river"}, *classes[1:]])


def other_order(data: Path) -> None:
    names = [row["name"] for row in json.loads((data / "labels.json").read_text())["classes"]]
    rewrite_classes(data, lambda rows: [{**row, "name": name} for row, name in zip(rows, reversed(names), strict=True)])


def rewrite_classes(data: Path, change: Callable[[list[dict]], list[dict]]) -> None:  # type: ignore[type-arg]
    content = json.loads((data / "labels.json").read_text())
    (data / "labels.json").write_text(json.dumps({"classes": change(content["classes"]), "ignore_index": 10}))
    for path in (data / "masks").glob("*/*.png"):
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), np.where(mask == 10, np.uint8(255), mask))


def small_mask(data: Path) -> None:
    cv2.imwrite(str(data / "masks" / "val" / "001.png"), np.zeros((32, 48), np.uint8))


def stray_id(data: Path) -> None:
    cv2.imwrite(str(data / "masks" / "val" / "001.png"), np.full((64, 96), 77, np.uint8))


def no_mask(data: Path) -> None:
    (data / "masks" / "val" / "001.png").unlink()


def stray_colour(data: Path) -> None:
    cv2.imwrite(str(data / "masks" / "val" / "001.png"), np.full((64, 96, 3), 77, np.uint8))


@pytest.mark.parametrize(
    ("spoil", "code", "word"),
    [
        (fewer_classes, 2, "10 classes"),
        (renamed_class, 2, "river"),
        (other_order, 2, "classes"),
        (small_mask, 3, "001.png"),
        (stray_id, 3, "001.png"),
        (no_mask, 3, "001.png"),
        (stray_colour, 3, "001.png"),
    ],
)
def test_labels_that_do_not_match_are_refused(
    spoil: Callable[[Path], None], code: int, word: str, tiny_checkpoint: Path, data: Path, place: Path
) -> None:
    spoil(data)
    assert_only_refused(export(tiny_checkpoint, place, data), place, code, word)


def test_labels_that_are_void_everywhere_are_no_labels_to_prove_with(
    tiny_checkpoint: Path, data: Path, place: Path
) -> None:
    for path in (data / "masks" / "val").iterdir():
        cv2.imwrite(str(path), np.full((64, 96), 255, np.uint8))
    assert_only_refused(export(tiny_checkpoint, place, data), place, 3, "label")


def test_held_out_labels_that_are_void_everywhere_judge_no_contest(
    tiny_checkpoint: Path, data: Path, place: Path
) -> None:
    for path in (data / "masks" / "train").iterdir():
        cv2.imwrite(str(path), np.full((64, 96), 255, np.uint8))
    done = export(tiny_checkpoint, place, data, "--allow-drop")
    finished(done, place)
    assert "no labelled picture is left to judge" in done.stderr


# -- places -------------------------------------------------------------------------------------------------------


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_bundle_that_exists_is_refused_and_untouched(
    tiny_bundle: Path, tiny_checkpoint: Path, data: Path, place: Path
) -> None:
    shutil.copytree(tiny_bundle, place / "bundle")
    before = bytes_of(place / "bundle")
    assert_refused(export(tiny_checkpoint, place, data), 2, "bundle", "another -o")
    assert bytes_of(place / "bundle") == before and len(before) == 7
    assert [path.name for path in place.iterdir()] == ["bundle"]


def test_a_bundle_that_appears_meanwhile_is_untouched_too(
    tiny_bundle: Path, tiny_checkpoint: Path, data: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two exports to one place: the second to end finds it taken."""
    started = ExportPlan.__init__

    def with_a_rival(plan: ExportPlan, **words: object) -> None:
        shutil.copytree(tiny_bundle, place / "bundle")
        started(plan, **words)  # type: ignore[arg-type]

    monkeypatch.setattr(ExportPlan, "__init__", with_a_rival)
    before = bytes_of(tiny_bundle)
    assert_refused(export(tiny_checkpoint, place, data), 5, "bundle")
    assert bytes_of(place / "bundle") == before
    assert [path.name for path in place.iterdir()] == ["bundle"]


def test_an_empty_folder_is_as_good_as_none(tiny_checkpoint: Path, data: Path, place: Path) -> None:
    (place / "bundle").mkdir()
    finished(export(tiny_checkpoint, place, data, "--precisions", "fp32"), place)


def test_an_unwritable_place_is_refused(tiny_checkpoint: Path, data: Path, place: Path) -> None:
    (place / "file").write_text("in the way")
    assert_refused(export(tiny_checkpoint, place / "file", data), 5, "file")
    assert (place / "file").read_text() == "in the way"


# One ends within the first graph, the other within the page of pictures.
@pytest.mark.parametrize("limit", [20_000, 500_000])
def test_a_full_disk_leaves_nothing(limit: int, tiny_checkpoint: Path, street_folder: Path, place: Path) -> None:
    words = ["export", tiny_checkpoint, "-o", place / "bundle", *QUICK, "--data", f"folder:{street_folder}"]
    words += ["--calibration-method", "minmax", "--allow-drop"]
    command = [sys.executable, "-c", LIMITED, str(limit), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert_only_refused(done, place, 5, "bundle")


# -- checkpoints --------------------------------------------------------------------------------------------------


def rewritten(checkpoint: Path, path: Path, **changed: object) -> Path:
    with safe_open(checkpoint, framework="pt") as file:
        header = json.loads(file.metadata()[HEADER_KEY])
        weights = {key: file.get_tensor(key) for key in file.keys()}
    save_file(weights, path, {HEADER_KEY: json.dumps({**header, **changed})})
    return path


def test_a_checkpoint_of_a_newer_version_is_refused_by_number(tiny_checkpoint: Path, data: Path, place: Path) -> None:
    newer = rewritten(tiny_checkpoint, data / "newer.safetensors", version=HEADER_VERSION + 1)
    done = export(newer, place, data)
    assert_only_refused(
        done, place, 4, "newer.safetensors", f"wanted version {HEADER_VERSION}, found {HEADER_VERSION + 1}"
    )


def test_a_checkpoint_of_a_network_that_nobody_knows_is_refused(tiny_checkpoint: Path, data: Path, place: Path) -> None:
    newer = rewritten(tiny_checkpoint, data / "newer.safetensors", network={"variant": "fcn2s"})
    assert_only_refused(export(newer, place, data), place, 4, "newer.safetensors", "fcn2s")


def test_a_checkpoint_whose_numbers_are_none_is_refused(tiny_checkpoint: Path, data: Path, place: Path) -> None:
    """As after a training that ran away."""
    checkpoint = load_checkpoint(tiny_checkpoint)
    with torch.no_grad():
        checkpoint.network.get_parameter("conv3_1.weight")[0] = float("nan")
    save_checkpoint(data / "nan.safetensors", checkpoint)
    done = export(data / "nan.safetensors", place, data)
    assert_only_refused(done, place, 4, "finite")


@pytest.mark.parametrize("what", ["text", "missing", "onnx"])
def test_what_is_no_checkpoint_is_refused(what: str, tiny_bundle: Path, data: Path, place: Path) -> None:
    path = {"text": data / "a.safetensors", "missing": data / "b.safetensors", "onnx": tiny_bundle / "model.fp32.onnx"}
    (data / "a.safetensors").write_text("no model")
    assert_only_refused(export(path[what], place, data), place, 4, path[what].name)


@pytest.mark.parametrize("size", ["360", "0x5", "axb", "99999x99999"])
def test_a_size_that_is_none_is_refused(size: str, tiny_checkpoint: Path, data: Path, place: Path) -> None:
    assert_only_refused(export(tiny_checkpoint, place, data, "--size", size), place, 2, "HEIGHTxWIDTH", size)


def test_a_swapped_size_is_told(tiny_checkpoint: Path, data: Path, place: Path) -> None:
    done = export(tiny_checkpoint, place, data, "--size", "96x64", "--precisions", "fp32")
    finished(done, place)
    assert "--size 96x64 distorts the pictures of 64x96" in done.stderr and "HEIGHTxWIDTH" in done.stderr
