"""runtime.display.snapshot: three files at a time, and none is ever written over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcn_edge.errors import OutputError
from fcn_edge.images import read_image
from runtime.display.snapshot import png_of, save_snapshot

PNGS = {"frame": b"f", "mask": b"m"}


def test_each_kind_has_a_file(tmp_path: Path) -> None:
    assert save_snapshot(tmp_path / "new", "shot", PNGS) == "shot"
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == {
        "shot-frame.png": b"f", "shot-mask.png": b"m"
    }  # fmt: skip


def test_what_is_there_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "shot-mask.png").write_bytes(b"mine")
    assert save_snapshot(tmp_path, "shot", PNGS) == "shot-2"
    assert save_snapshot(tmp_path, "shot", PNGS) == "shot-3"
    assert (tmp_path / "shot-mask.png").read_bytes() == b"mine"
    assert not (tmp_path / "shot-frame.png").exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        save_snapshot(tmp_path / "file", "shot", PNGS)


def test_a_png_holds_the_picture_exactly(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (17, 23, 3), np.uint8)
    save_snapshot(tmp_path, "shot", {"frame": png_of(picture)})
    assert np.array_equal(read_image(tmp_path / "shot-frame.png"), picture)
