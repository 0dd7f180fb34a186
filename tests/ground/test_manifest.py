"""manifest.py: what is written is read back; anything else is refused as a model."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcn_edge.errors import ModelError
from fcn_edge.labels import LabelSet
from fcn_edge.manifest import (
    MANIFEST,
    METADATA_KEY,
    SCHEMA_VERSION,
    BundleFile,
    Manifest,
    ModelFacts,
    read_manifest,
    write_manifest,
)

LABELS = LabelSet(("sky", "road"), ((1, 2, 3), (4, 5, 6)))
FP32 = BundleFile("fcn.fp32.onnx", "fp32", "ab" * 32, 1234, {"mean_iou": 0.5})
INT8 = BundleFile(
    "fcn.int8-cpu.onnx",
    "int8-cpu",
    "cd" * 32,
    432,
    {"mean_iou": 0.25},
    scored_on="onnxruntime",
    proxy=True,
    float_layers=("conv1_1", "fc6"),
    calibration={"method": "mse", "count": 4},
)
WHOLE = Manifest(LABELS, (360, 480), (FP32, INT8), {"seed": 0, "data": "camvid:x"})
FACTS = ModelFacts(LABELS, (360, 480), "fp32", {"seed": 0})
PLACE = Path("x.onnx")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=6,
)


def content_of(bundle: Path) -> dict[str, Any]:
    content = json.loads((bundle / MANIFEST).read_text())
    assert isinstance(content, dict)
    return content


def reread(bundle: Path, content: Any) -> Manifest:
    (bundle / MANIFEST).write_text(content if isinstance(content, str) else json.dumps(content))
    return read_manifest(bundle)


def metadata(**changed: Any) -> dict[str, str]:
    return {METADATA_KEY: json.dumps({**FACTS.to_json(), **changed})}


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_manifest(tmp_path, WHOLE)
    assert read_manifest(tmp_path) == WHOLE


def test_files_are_found_by_precision() -> None:
    assert WHOLE.precisions == ("fp32", "int8-cpu")
    assert WHOLE.file("int8-cpu") is INT8
    assert WHOLE.file("fp16") is None


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="found no manifest"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1, "1", None])
def test_another_schema_is_refused_by_name(tmp_path: Path, version: Any) -> None:
    write_manifest(tmp_path, WHOLE)
    with pytest.raises(ModelError, match=f"wanted schema {SCHEMA_VERSION}, found {version}"):
        reread(tmp_path, {**content_of(tmp_path), "schema_version": version})


@pytest.mark.parametrize("content", ["", "words", "null", "[]", "{}", "[" * 100_000, '{"schema_version": 1}'])
def test_garbage_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    with pytest.raises(ModelError, match=MANIFEST) as caught:
        reread(tmp_path, content)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "name", ["../fcn.onnx", "sub/fcn.onnx", "/etc/passwd", "fcn.onnx/", ".", "..", "", "a\0b", 5, None]
)
def test_a_file_outside_the_bundle_is_refused(tmp_path: Path, name: Any) -> None:
    write_manifest(tmp_path, WHOLE)
    content = content_of(tmp_path)
    content["files"][0]["name"] = name
    with pytest.raises(ModelError, match=MANIFEST):
        reread(tmp_path, content)


@pytest.mark.parametrize("size", [None, [], [360], [1, 2, 3], ["a", "b"], [float("inf"), 1], [0, 480], [360, -1]])
def test_a_size_that_no_frame_has_is_refused(tmp_path: Path, size: Any) -> None:
    write_manifest(tmp_path, WHOLE)
    with pytest.raises(ModelError, match=MANIFEST):
        reread(tmp_path, {**content_of(tmp_path), "size_hw": size})


@settings(derandomize=True, deadline=None)
@given(st.sampled_from(["schema_version", "classes", "size_hw", "files", "provenance"]), JSON)
def test_any_value_in_place_of_a_part_is_read_or_refused(part: str, value: Any) -> None:
    with TemporaryDirectory() as folder:
        write_manifest(Path(folder), WHOLE)
        try:
            assert isinstance(reread(Path(folder), {**content_of(Path(folder)), part: value}), Manifest)
        except ModelError:
            pass


@settings(derandomize=True, deadline=None)
@given(st.data())
def test_damaged_bytes_are_read_or_refused(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        write_manifest(Path(folder), WHOLE)
        path = Path(folder) / MANIFEST
        content = bytearray(path.read_bytes())
        for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
            content[at] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        try:
            assert isinstance(read_manifest(Path(folder)), Manifest)
        except ModelError:
            pass


def test_facts_survive_the_metadata_of_a_file() -> None:
    assert ModelFacts.from_metadata(metadata(), PLACE) == FACTS


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"other": "{}"},
        {METADATA_KEY: ""},
        {METADATA_KEY: "[]"},
        {METADATA_KEY: "{}"},
        metadata(classes=[]),
        metadata(size_hw=[1]),
        metadata(size_hw=[float("inf"), 1]),
        metadata(provenance=None),
    ],
)
def test_metadata_that_we_did_not_write_is_refused_with_the_name_of_the_file(found: dict[str, str]) -> None:
    with pytest.raises(ModelError, match=r"x\.onnx.*exported by fcn-edge"):
        ModelFacts.from_metadata(found, PLACE)


def test_metadata_of_a_newer_schema_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match=f"wanted schema {SCHEMA_VERSION}, found {SCHEMA_VERSION + 1}"):
        ModelFacts.from_metadata(metadata(schema_version=SCHEMA_VERSION + 1), PLACE)
