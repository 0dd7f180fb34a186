"""runtime.bench.served_file: the file that figures, digests and scores are told of."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcn_edge.errors import ModelError
from fcn_edge.files import sha256_of
from fcn_edge.manifest import read_manifest
from runtime.bench.served_file import ServedFile, served_file
from runtime.session import open_session
from tests.runtime.small_bundles import write_bundle
from tests.runtime.small_engines import write_engine


@pytest.mark.parametrize("precision", ["fp32", "int8-cpu"])
def test_of_a_bundle_it_is_the_file_that_was_opened(precision: str, tiny_bundle: Path) -> None:
    with open_session(tiny_bundle, "onnxruntime", precision) as session:
        found = served_file(tiny_bundle, "onnxruntime", session.facts.precision)
    row = read_manifest(tiny_bundle).file(precision)
    assert found and row and found.onnx == row and not found.is_engine
    assert sha256_of(found.path) == row.sha256


def test_an_engine_goes_before_the_file_that_it_was_built_of_on_tensorrt_alone(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path, {"int8": ()})
    onnx = served_file(bundle, "tensorrt", "int8")
    assert onnx and onnx.path == bundle / "model.int8.onnx"
    engine = write_engine(bundle)
    built = served_file(bundle, "tensorrt", "int8")
    assert built and (built.path, built.is_engine, built.onnx) == (engine, True, onnx.onnx)
    assert served_file(bundle, "onnxruntime", "int8") == onnx


def test_a_file_on_its_own_is_itself_and_no_bundle_tells_of_it(tmp_path: Path) -> None:
    engine = write_engine(write_bundle(tmp_path, {"int8": ()}))
    assert served_file(engine, "tensorrt", "int8") == ServedFile(engine)


def test_a_precision_that_a_bundle_lacks_is_no_file_and_a_bare_folder_no_bundle(tmp_path: Path) -> None:
    assert served_file(write_bundle(tmp_path / "bundle", {"int8": ()}), "openvino", "fp16") is None
    with pytest.raises(ModelError, match="wanted a bundle"):
        served_file(tmp_path, "openvino", "fp16")
