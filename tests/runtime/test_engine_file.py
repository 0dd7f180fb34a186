"""runtime.engine_file: what is known of an engine before TensorRT sees it, and when it may be trusted."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.errors import ModelError
from fcn_edge.manifest import MANIFEST, read_manifest
from runtime.engine_facts import engine_path, sidecar_of
from runtime.engine_file import servable_facts
from tests.runtime.small_bundles import write_bundle
from tests.runtime.small_engines import BUILDER, PLAN, become, write_engine


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine on which the engines were built."""
    become(monkeypatch, **BUILDER)
    assert platform.machine() == BUILDER["machine"]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle", {"fp32": (), "int8": ()})


def sha256_in(bundle: Path) -> str:
    file = read_manifest(bundle).file("int8")
    assert file is not None
    return file.sha256


def refused(word: str, engine: Path, *, trust: bool = False) -> None:
    with pytest.raises(ModelError) as told:
        servable_facts(engine, trust=trust)
    assert word in str(told.value) and "\n" not in str(told.value)


def test_an_engine_of_the_bundles_own_file_is_servable(bundle: Path) -> None:
    facts = servable_facts(write_engine(bundle, onnx_sha256=sha256_in(bundle)))
    assert facts.model.precision == "int8" and facts.onnx_sha256 == sha256_in(bundle)


def test_an_engine_of_another_model_is_refused(bundle: Path) -> None:
    refused("one of another model", write_engine(bundle))


def test_an_engine_outside_a_bundle_is_known_by_its_sidecar(tmp_path: Path) -> None:
    assert servable_facts(write_engine(tmp_path)).model.precision == "int8"


def test_an_engine_that_is_not_named_after_a_file_of_the_bundle_is_known_by_its_sidecar(bundle: Path) -> None:
    engine = write_engine(bundle).rename(bundle / "mine.engine")
    sidecar_of(engine_path(bundle, "int8")).rename(sidecar_of(engine))
    assert servable_facts(engine).model.precision == "int8"


@pytest.mark.parametrize("trust", [True, False])
def test_a_damaged_manifest_beside_an_engine_is_told(bundle: Path, trust: bool) -> None:
    engine = write_engine(bundle)
    (bundle / MANIFEST).write_text("{")
    refused(MANIFEST, engine, trust=trust)


def foreign(bundle: Path, name: str = "model.int8.engine", plan: bytes = PLAN) -> Path:
    """An engine without a sidecar."""
    (bundle / name).write_bytes(plan)
    return bundle / name


def test_a_foreign_engine_is_refused(bundle: Path) -> None:
    refused("model.int8.engine.json", foreign(bundle))


def test_a_trusted_foreign_engine_has_the_classes_and_size_of_its_bundle(bundle: Path) -> None:
    facts = servable_facts(foreign(bundle), trust=True)
    assert (facts.model.labels, facts.model.size_hw, facts.model.precision) == (STREET_LABELS, (8, 12), "int8")
    assert not facts.scores


@pytest.mark.parametrize("name", ["mine.engine", "model.fp17.engine"])
def test_a_trusted_foreign_engine_of_no_file_of_its_bundle_is_refused(bundle: Path, name: str) -> None:
    refused("model.PRECISION.engine", foreign(bundle, name), trust=True)


def test_a_trusted_foreign_engine_outside_a_bundle_is_refused(tmp_path: Path) -> None:
    refused("the manifest of a bundle", foreign(tmp_path), trust=True)


def test_a_trusted_foreign_engine_of_no_bytes_is_refused(bundle: Path) -> None:
    refused("0 bytes", foreign(bundle, plan=b""), trust=True)


def test_a_trusted_engine_with_a_sidecar_still_has_to_fit_the_machine(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch, tensorrt="8.6.2")
    refused("TensorRT 8.6.2", write_engine(bundle, onnx_sha256=sha256_in(bundle)), trust=True)
