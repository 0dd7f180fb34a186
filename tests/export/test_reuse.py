"""The calibration cache as an export uses it: read when it fits, ignored when damaged, never in the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.cache import Snapshots, observed
from calibration.image_set import CalibrationSet, pick
from fcn_edge.datasets import open_dataset
from tests.conftest import SIZE_HW, Done, call_fcn_edge

FILES = ("model.fp32.onnx", "model.fp16.onnx", "model.int8.onnx", "model.int8-cpu.onnx", "manifest.json")


def export(checkpoint: Path, bundle: Path, data: Path) -> Done:
    words = ["-o", bundle, "--size", "64x96", "--data", f"folder:{data}", "--allow-drop", "--no-sensitivity"]
    done = call_fcn_edge("export", checkpoint, *words, "--calibration-count", 4, "--calibration-method", "mse")
    assert done.returncode == 0, done.stderr
    return done


def was_measured(told: str) -> bool:
    """Whether the network was run over the calibration pictures."""
    assert ("calibrating: 4/4" in told) != ("ranges of 4 calibration pictures: from" in told)
    return "calibrating: 4/4" in told


def kept(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def pictures(street_folder: Path) -> CalibrationSet:
    return pick(open_dataset(f"folder:{street_folder}", "train"), 4)


def ranges_of(fp32: Path, pictures: CalibrationSet, counts: tuple[int, ...] = (4,)) -> Snapshots:
    return observed(fp32, pictures, SIZE_HW, counts)


def as_lists(snapshots: Snapshots) -> list[object]:
    return [
        (count, layer, found.high, found.maximum, found.counts.tolist())
        for count, layers in snapshots.items()
        for layer, found in layers.items()
    ]


def test_a_second_export_reads_the_first_ones_ranges_and_makes_the_very_same_files(
    cache: Path, tiny_checkpoint: Path, street_folder: Path, tmp_path: Path
) -> None:
    assert was_measured(export(tiny_checkpoint, tmp_path / "first", street_folder).stderr)
    (path,) = kept(cache)
    before = path.read_bytes()
    assert not was_measured(export(tiny_checkpoint, tmp_path / "second", street_folder).stderr)
    assert kept(cache) == [path] and path.read_bytes() == before
    for name in FILES:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name


def test_ranges_come_out_of_the_cache_as_they_went_in(
    cache: Path, tiny_bundle: Path, pictures: CalibrationSet, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = ranges_of(tiny_bundle / "model.fp32.onnx", pictures, (1, 2, 4))
    assert was_measured(capsys.readouterr().err)
    again = ranges_of(tiny_bundle / "model.fp32.onnx", pictures, (1, 2, 4))
    assert not was_measured(capsys.readouterr().err)
    assert as_lists(again) == as_lists(measured) and sorted(again) == [1, 2, 4] and len(again[1]) == 15


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "of something else", "a folder"])
def test_a_damaged_cache_file_is_measured_anew_and_mended(
    damage: str, cache: Path, tiny_bundle: Path, pictures: CalibrationSet, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = ranges_of(tiny_bundle / "model.fp32.onnx", pictures)
    (path,) = kept(cache)
    whole = path.read_bytes()
    path.unlink()
    if damage == "of something else":
        with path.open("wb") as file:
            np.savez(file, other=np.zeros(3))
    elif damage == "a folder":
        path.mkdir()
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "garbage": b"\0" * 1000, "empty": b""}[damage])
    capsys.readouterr()
    assert as_lists(ranges_of(tiny_bundle / "model.fp32.onnx", pictures)) == as_lists(measured)
    assert was_measured(capsys.readouterr().err)
    assert damage == "a folder" or path.read_bytes() == whole


def test_other_pictures_another_choice_of_counts_and_another_model_have_ranges_of_their_own(
    cache: Path, tiny_bundle: Path, street_folder: Path, tmp_path: Path, pictures: CalibrationSet
) -> None:
    fp32 = tiny_bundle / "model.fp32.onnx"
    other = pick(open_dataset(f"folder:{street_folder}", "val"), 4)
    ranges_of(fp32, pictures)
    for measure in (lambda: ranges_of(fp32, other), lambda: ranges_of(fp32, pictures, (2, 4))):
        before = len(kept(cache))
        measure()
        assert len(kept(cache)) == before + 1
    retouched = tmp_path / "retouched.onnx"
    retouched.write_bytes(fp32.read_bytes().replace(b"conv1_1", b"conv0_0"))
    ranges_of(retouched, pictures)
    assert len(kept(cache)) == 4


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(
    cache: Path, tiny_bundle: Path, pictures: CalibrationSet, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.write_text("a file in the way")
    assert len(ranges_of(tiny_bundle / "model.fp32.onnx", pictures)[4]) == 15
    assert was_measured(capsys.readouterr().err)
    assert cache.read_text() == "a file in the way"
