"""labels.py: class lists, in memory and in files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcn_edge.errors import SourceError
from fcn_edge.labels import BLACK, RGB, VOID, ClassList, LabelSet, read_classes

SKY = {"id": 0, "name": "sky", "rgb": [1, 2, 3]}
ROAD = {"id": 1, "name": "road", "rgb": [4, 5, 6]}
NOTHING = {"id": 2, "name": "void", "rgb": [0, 0, 0]}
TWO = LabelSet(("sky", "road"), ((1, 2, 3), (4, 5, 6)))


def read(tmp_path: Path, content: Any) -> ClassList:
    path = tmp_path / "labels.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_classes(path)


def test_json_and_back_is_the_same_label_set() -> None:
    assert LabelSet.from_json(json.loads(json.dumps(TWO.to_json()))) == TWO


def test_classes_may_stand_in_any_order() -> None:
    assert LabelSet.from_json([ROAD, SKY]) == TWO


def test_further_keys_of_a_class_do_not_matter() -> None:
    assert LabelSet.from_json([{**SKY, "weight": 0.3}, ROAD]) == TWO


@pytest.mark.parametrize(
    "rows",
    [
        None,
        {},
        "sky",
        [],
        [SKY, "road"],
        [{"id": 0, "name": "sky"}],
        [{"id": 0, "rgb": [1, 2, 3]}],
        [{"name": "sky", "rgb": [1, 2, 3]}],
        [{**SKY, "id": None}],
        [{**SKY, "id": "one"}],
        [{**SKY, "id": float("inf")}],
        [{**SKY, "id": float("nan")}],
        [{**SKY, "id": -1}],
        [ROAD],
        [SKY, SKY],
        [SKY, {**ROAD, "id": 2}],
        [{**SKY, "rgb": 7}],
        [{**SKY, "rgb": [1, 2]}],
        [{**SKY, "rgb": [1, 2, 3, 4]}],
        [{**SKY, "rgb": [1, 2, 256]}],
        [{**SKY, "rgb": [-1, 2, 3]}],
        [{**SKY, "rgb": [1, 2, None]}],
        [{**SKY, "id": k} for k in range(256)],
    ],
)
def test_bad_class_lists_are_refused(rows: Any) -> None:
    with pytest.raises(ValueError):
        LabelSet.from_json(rows)


def test_two_classes_of_one_name_are_refused() -> None:
    # Scores are kept by name: of two classes of one name, one would vanish from every table.
    with pytest.raises(ValueError, match="sky"):
        LabelSet.from_json([SKY, {**ROAD, "name": "sky"}])


@pytest.mark.parametrize(("names", "palette"), [((), ()), (("a",), ()), (("a",), ((0, 0, 0), (1, 1, 1)))])
def test_names_and_colours_must_pair_up(names: tuple[str, ...], palette: tuple[tuple[int, int, int], ...]) -> None:
    with pytest.raises(ValueError):
        LabelSet(names, palette)


def test_every_mask_value_has_a_bgr_colour_and_those_of_no_class_are_black() -> None:
    table = TWO.colours_bgr()
    assert table.shape == (256, 3) and table.dtype == np.uint8
    assert table[:2].tolist() == [[3, 2, 1], [6, 5, 4]]
    assert not table[2:].any()


@pytest.mark.parametrize(
    ("extra", "expected"), [({}, VOID), ({"ignore_index": None}, VOID), ({"ignore_index": 11}, 11)]
)
def test_the_void_number_is_read_and_is_255_where_none_is_given(
    tmp_path: Path, extra: dict[str, Any], expected: int
) -> None:
    assert read(tmp_path, {"classes": [SKY, ROAD], **extra}) == ClassList(TWO, expected)


@pytest.mark.parametrize("rgb", [BLACK, (224, 224, 192)])
def test_a_void_class_listed_last_is_no_class_to_learn_but_gives_its_colour(tmp_path: Path, rgb: RGB) -> None:
    found = read(tmp_path, {"classes": [SKY, {**NOTHING, "rgb": rgb}, ROAD], "ignore_index": 2})
    assert found == ClassList(TWO, 2, rgb)


def test_a_void_class_listed_first_keeps_the_ids_of_the_others(tmp_path: Path) -> None:
    assert read(tmp_path, {"classes": [SKY, ROAD], "ignore_index": 0}) == ClassList(TWO, 0)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "words",
        "[]",
        "null",
        "{}",
        '{"classes": 5}',
        '{"classes": []}',
        '{"classes": [{"id": 0, "name": "sky"}]}',
        {"classes": [SKY, ROAD], "ignore_index": "eleven"},
        {"classes": [SKY, ROAD], "ignore_index": [2]},
        {"classes": [SKY, ROAD], "ignore_index": float("inf")},
        {"classes": [SKY], "ignore_index": 0},
        '{"classes": [{"id": 1e999, "name": "sky", "rgb": [1, 2, 3]}]}',
        "[" * 100_000,
    ],
)
def test_a_file_that_is_no_class_list_is_refused_in_one_line_with_its_name(tmp_path: Path, content: Any) -> None:
    with pytest.raises(SourceError) as caught:
        read(tmp_path, content)
    assert "labels.json" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_bytes_that_are_no_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match=r"labels\.json"):
        read_classes(tmp_path / "labels.json")


def test_a_missing_class_list_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no such file.*write one"):
        read_classes(tmp_path / "labels.json")


def test_a_folder_is_no_class_list(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        read_classes(tmp_path)
