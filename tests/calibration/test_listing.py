"""A list of calibration pictures: what is written is read again, and pictures that are not the same are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from calibration.image_set import CalibrationSet, pick
from calibration.listing import read_list, read_listing, write_list
from fcn_edge.datasets import open_dataset
from fcn_edge.errors import FcnEdgeError, OutputError, SourceError, UsageError


@pytest.fixture
def data(street_folder: Path, tmp_path: Path) -> str:
    """A copy of the streets that a test may spoil."""
    shutil.copytree(street_folder, tmp_path / "streets")
    return f"folder:{tmp_path / 'streets'}"


@pytest.fixture
def pictures(data: str) -> CalibrationSet:
    return pick(open_dataset(data, "train"), 4, seed=7)


@pytest.fixture
def path(pictures: CalibrationSet, data: str, tmp_path: Path) -> Path:
    path = tmp_path / "calibration.json"
    write_list(path, pictures, data, "train")
    return path


def picture_of(data: str, pictures: CalibrationSet) -> Path:
    """The file of the second picture of a set."""
    return Path(data.removeprefix("folder:")) / "images" / "train" / pictures.names()[1]


def one_line(kind: type[FcnEdgeError], read: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        read()
    assert "\n" not in str(caught.value) and "wanted" in str(caught.value) and "found" in str(caught.value)
    return str(caught.value)


def test_what_is_written_is_read_again_in_the_order_of_choice(path: Path, pictures: CalibrationSet) -> None:
    again = read_list(path)
    assert again == pictures
    assert again.indices == pictures.indices != tuple(sorted(pictures.indices))
    assert again.to_json() == pictures.to_json()


def test_the_file_says_what_one_needs_to_find_the_pictures(path: Path, pictures: CalibrationSet, data: str) -> None:
    assert json.loads(path.read_text()) == {
        "schema_version": 1,
        "data": data,
        "split": "train",
        "seed": 7,
        "chosen": "balance",
        "pictures": pictures.names(),
        "sha256": pictures.digest(),
    }
    assert read_listing(path).pictures == tuple(pictures.names())


def test_a_list_without_labels_is_read_too(data: str, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "streets" / "masks")
    pictures = pick(open_dataset(data, "train"), 3)
    write_list(tmp_path / "list.json", pictures, data, "train")
    assert pictures.chosen == "lot"
    assert read_list(tmp_path / "list.json") == pictures


def test_data_that_moved_are_named_anew(path: Path, pictures: CalibrationSet, data: str, tmp_path: Path) -> None:
    digest = pictures.digest()
    (tmp_path / "streets").rename(tmp_path / "elsewhere")
    told = one_line(SourceError, lambda: read_list(path))
    assert str(tmp_path / "streets") in told and "place where" in told
    again = read_list(path, f"folder:{tmp_path / 'elsewhere'}")
    assert again.digest() == digest and again.names() == pictures.names()
    with pytest.raises(SourceError, match="nowhere"):
        read_list(path, "folder:nowhere")
    with pytest.raises(UsageError, match="put the kind before"):
        read_list(path, "elsewhere")


def test_a_picture_that_is_gone_is_named(path: Path, pictures: CalibrationSet, data: str) -> None:
    picture_of(data, pictures).unlink()
    told = one_line(SourceError, lambda: read_list(path))
    assert pictures.names()[1] in told and "1 of 4" in told


def test_a_picture_that_changed_by_one_value_is_refused(path: Path, pictures: CalibrationSet, data: str) -> None:
    changed = picture_of(data, pictures)
    image = cv2.imread(str(changed))
    assert image is not None
    image[5, 5, 1] ^= 1
    cv2.imwrite(str(changed), image)
    told = one_line(SourceError, lambda: read_list(path))
    assert pictures.digest()[:12] in told and "pick again" in told


def test_a_picture_that_joined_the_split_changes_nothing(path: Path, pictures: CalibrationSet, data: str) -> None:
    folder = Path(data.removeprefix("folder:"))
    cv2.imwrite(str(folder / "images" / "train" / "000a.png"), np.zeros((8, 8, 3), np.uint8))
    cv2.imwrite(str(folder / "masks" / "train" / "000a.png"), np.zeros((8, 8), np.uint8))
    assert read_list(path).names() == pictures.names()


def test_names_in_another_order_are_another_list(path: Path) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "pictures": content["pictures"][::-1]}))
    one_line(SourceError, lambda: read_list(path))


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_is_refused_by_its_number(path: Path, version: Any) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "schema_version": version}))
    told = one_line(SourceError, lambda: read_list(path))
    assert "schema 1" in told and repr(version) in told


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '"list"', "{}", '{"schema_version": 1}', "[" * 100_000, "\x00", "NaN"]
)
def test_what_is_no_list_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    assert str(path) in one_line(SourceError, lambda: read_list(path))


@pytest.mark.parametrize(
    "change",
    [
        {"pictures": []},
        {"pictures": "000.png"},
        {"pictures": [1]},
        {"pictures": None},
        {"seed": "0"},
        {"seed": True},
        {"seed": None},
        {"chosen": "taste"},
        {"chosen": ["lot"]},
        {"data": 3},
        {"split": None},
        {"sha256": ["a"]},
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(path: Path, change: dict[str, Any]) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert "calibration pick" in one_line(SourceError, lambda: read_list(path))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b'{"data": "\xe9"}')
    for path in (tmp_path / "missing.json", tmp_path, tmp_path / "latin.json"):
        assert str(path) in one_line(SourceError, lambda path=path: read_list(path))  # type: ignore[misc]


def test_a_place_that_takes_no_file_is_an_output_error(pictures: CalibrationSet, data: str, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(OutputError):
        write_list(tmp_path / "taken", pictures, data, "train")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["streets", "taken"]
