"""The calibration cache as an export uses it: read when it fits, ignored when damaged, never in the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Done, call_fcn_edge

FILES = ("model.fp32.onnx", "model.fp16.onnx", "model.int8.onnx", "model.int8-cpu.onnx", "manifest.json")


def export(checkpoint: Path, bundle: Path, data: Path, *more: object) -> Done:
    words = ["-o", bundle, "--size", "64x96", "--data", f"folder:{data}", "--allow-drop", "--no-sensitivity"]
    done = call_fcn_edge(
        "export", checkpoint, *words, "--calibration-count", 4, "--calibration-method", "mse", *more
    )
    assert done.returncode == 0, done.stderr
    return done


def measured(done: Done) -> bool:
    """Whether the network was run over the calibration pictures."""
    assert ("calibrating: 4/4" in done.stderr) != ("ranges of 4 calibration pictures: from" in done.stderr)
    return "calibrating: 4/4" in done.stderr


def kept(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_second_export_reads_the_first_ones_ranges_and_makes_the_very_same_files(
    cache: Path, tiny_checkpoint: Path, street_folder: Path, tmp_path: Path
) -> None:
    assert measured(export(tiny_checkpoint, tmp_path / "first", street_folder))
    (path,) = kept(cache)
    before = path.read_bytes()
    assert not measured(export(tiny_checkpoint, tmp_path / "second", street_folder))
    assert kept(cache) == [path] and path.read_bytes() == before
    for name in FILES:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "of something else", "a folder"])
def test_a_damaged_cache_file_is_measured_anew(
    damage: str, cache: Path, tiny_checkpoint: Path, street_folder: Path, tmp_path: Path
) -> None:
    only_cpu = ["--precisions", "int8-cpu"]
    export(tiny_checkpoint, tmp_path / "first", street_folder, *only_cpu)
    (path,) = kept(cache)
    whole = path.read_bytes()
    if damage == "of something else":
        np.savez(path.open("wb"), other=np.zeros(3))
    elif damage == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes({"cut": whole[: len(whole) // 2], "garbage": b"\0" * 1000, "empty": b""}[damage])
    assert measured(export(tiny_checkpoint, tmp_path / "second", street_folder, *only_cpu))
    assert damage == "a folder" or path.read_bytes() == whole, "and mended"
    assert (tmp_path / "first" / FILES[-2]).read_bytes() == (tmp_path / "second" / FILES[-2]).read_bytes()


def test_other_pictures_and_another_checkpoint_have_ranges_of_their_own(
    cache: Path, tiny_checkpoint: Path, sabotaged_checkpoint: Path, street_folder: Path, tmp_path: Path
) -> None:
    only_cpu = ["--precisions", "int8-cpu"]
    export(tiny_checkpoint, tmp_path / "a", street_folder, *only_cpu)
    assert measured(export(tiny_checkpoint, tmp_path / "b", street_folder, "--seed", 1, *only_cpu))
    assert measured(export(sabotaged_checkpoint, tmp_path / "c", street_folder, *only_cpu))
    assert len(kept(cache)) == 3


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(
    cache: Path, tiny_checkpoint: Path, street_folder: Path, tmp_path: Path
) -> None:
    cache.write_text("a file in the way")
    assert measured(export(tiny_checkpoint, tmp_path / "bundle", street_folder, "--precisions", "int8-cpu"))
    assert cache.read_text() == "a file in the way"
