"""What engines can be built of, and what is refused before anything is built."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from export.buildable import buildable
from fcn_edge.errors import FcnEdgeError, ModelError, UsageError
from fcn_edge.manifest import Manifest, read_manifest, write_manifest


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def holding(bundle: Path, *precisions: str) -> Path:
    """The bundle without its other files."""
    manifest = read_manifest(bundle)
    files = tuple(file for file in manifest.files if file.precision in precisions)
    write_manifest(bundle, Manifest(manifest.labels, manifest.size_hw, files, manifest.provenance))
    return bundle


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (("all",), ["fp32", "fp16", "int8"]),
        (("int8",), ["int8"]),
        (("fp16", "int8"), ["fp16", "int8"]),
        (("all", "int8"), ["fp32", "fp16", "int8"]),
    ],
)
def test_of_a_bundle_the_files_for_tensorrt_that_are_asked_for(
    asked: tuple[str, ...], found: list[str], tiny_bundle: Path
) -> None:
    source = buildable(tiny_bundle, asked)
    assert source.files == {name: tiny_bundle / f"model.{name}.onnx" for name in found}
    assert source.plainest == tiny_bundle / "model.fp32.onnx" and source.manifest == read_manifest(tiny_bundle)


def test_all_are_those_that_the_bundle_holds(bundle: Path) -> None:
    assert list(buildable(holding(bundle, "fp32", "int8", "int8-cpu")).files) == ["fp32", "int8"]


def test_of_an_onnx_file_itself(tiny_bundle: Path) -> None:
    path = tiny_bundle / "model.int8.onnx"
    source = buildable(path)
    assert source.files == {"int8": path} and source.plainest == path and source.manifest is None
    assert len(source.labels) == 11 and buildable(path, ("fp16", "int8")).files == {"int8": path}


def refused(model: Path, *asked: str) -> FcnEdgeError:
    with pytest.raises(FcnEdgeError) as refusal:
        buildable(model, asked or ("all",))
    return refusal.value


def test_a_precision_that_the_bundle_lacks_is_named(bundle: Path) -> None:
    error = refused(holding(bundle, "fp32"), "fp16", "int8")
    assert type(error) is UsageError and "wanted files of fp16, int8, found fp32" in str(error)


def test_a_bundle_for_cpus_alone_has_nothing_to_build(bundle: Path) -> None:
    assert "found int8-cpu" in str(refused(holding(bundle, "int8-cpu")))


@pytest.mark.parametrize("damage", ["another", "gone"])
def test_a_file_that_the_manifest_does_not_speak_of_is_refused(damage: str, bundle: Path) -> None:
    path = bundle / "model.int8.onnx"
    path.unlink()
    if damage == "another":
        shutil.copy(bundle / "model.fp16.onnx", path)
    error = refused(bundle)
    assert type(error) is ModelError and ("another file" if damage == "another" else "found none") in str(error)
    assert list(buildable(bundle, ("fp16",)).files) == ["fp16"], "what is not asked for does no harm"


def test_a_damaged_reference_is_refused_whatever_is_asked_for(bundle: Path) -> None:
    (bundle / "model.fp32.onnx").write_bytes(b"other")
    assert "model.fp32.onnx" in str(refused(bundle, "int8"))


def test_what_cannot_be_built_is_told_in_one_line(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "x.engine").write_bytes(b"plan")
    for model, asked, error, words in (
        (tiny_bundle / "model.int8-cpu.onnx", "all", UsageError, "fp32 or fp16 or int8, found int8-cpu"),
        (tiny_bundle / "model.int8.onnx", "fp16", UsageError, "wanted fp16, found int8"),
        (tmp_path / "empty.onnx", "all", ModelError, "0 bytes"),
        (tmp_path / "nothing.onnx", "all", ModelError, "found nothing"),
        (tmp_path / "x.engine", "all", UsageError, "give its ONNX file"),
        (tmp_path, "all", ModelError, "no manifest.json"),
    ):
        found = refused(model, asked)
        assert type(found) is error and words in str(found) and "\n" not in str(found), found
