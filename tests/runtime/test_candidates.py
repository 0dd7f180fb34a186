"""runtime.candidates: what of a bundle could be served here, and on which engine."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from fcn_edge.errors import ModelError, UsageError
from runtime import candidates, openvino_session, ort_session
from runtime.candidates import candidate_of, field_of
from tests.runtime.small_bundles import GPU, NO_GPU, Here, wish_for, write_bundle
from tests.runtime.small_engines import engine_facts

EVERYTHING = ("openvino", "openvino-gpu", "onnxruntime", "onnxruntime-cuda")
ALL_FILES = dict.fromkeys(("fp32", "fp16", "int8", "int8-cpu"), EVERYTHING)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    return Here(monkeypatch)


def names(bundle: Path, **choice: str) -> list[str]:
    return [candidate.name for candidate in field_of(wish_for(bundle, **choice)).candidates]


@pytest.mark.parametrize(
    ("installed", "competing"),
    [
        (("openvino", "onnxruntime"), ["openvino int8-cpu", "onnxruntime int8-cpu"]),
        (("onnxruntime",), ["onnxruntime int8-cpu"]),
        (
            EVERYTHING,
            ["openvino int8-cpu", "openvino-gpu int8-cpu", "onnxruntime int8-cpu", "onnxruntime-cuda fp16"],
        ),
    ],
)
def test_what_is_installed_competes_with_the_file_that_fits_it(
    here: Here, tmp_path: Path, installed: tuple[str, ...], competing: list[str]
) -> None:
    here.installed = installed
    assert names(write_bundle(tmp_path, ALL_FILES)) == competing


@pytest.mark.parametrize(
    ("choice", "competing"),
    [
        ({"precision": "fp32"}, ["openvino fp32", "onnxruntime fp32"]),
        ({"precision": "int8"}, ["openvino int8", "onnxruntime int8"]),
        ({"engine": "onnxruntime"}, ["onnxruntime int8-cpu"]),
        ({"engine": "openvino-gpu"}, ["openvino-gpu int8-cpu"]),
        ({"engine": "onnxruntime-cuda", "precision": "fp32"}, ["onnxruntime-cuda fp32"]),
    ],
)
def test_what_the_user_names_is_all_that_competes(
    here: Here, tmp_path: Path, choice: dict[str, str], competing: list[str]
) -> None:
    assert names(write_bundle(tmp_path, ALL_FILES), **choice) == competing


def test_a_bundle_without_an_int8_file_for_cpus_competes_with_fp32(here: Here, tmp_path: Path) -> None:
    assert names(write_bundle(tmp_path, {"fp32": (), "int8": ()})) == ["openvino fp32", "onnxruntime fp32"]


@pytest.mark.parametrize(
    ("proved_on", "competing"),
    [
        ({"fp32": ("openvino",), "int8-cpu": ("openvino",)}, ["openvino int8-cpu"]),
        (
            {"fp32": ("openvino", "onnxruntime"), "int8-cpu": ("openvino",)},
            ["openvino int8-cpu", "onnxruntime fp32"],
        ),
        ({"fp32": ("openvino",), "int8-cpu": ()}, ["openvino fp32"]),
    ],
)
def test_no_unproved_file_competes_with_a_proved_one(
    here: Here, tmp_path: Path, proved_on: dict[str, tuple[str, ...]], competing: list[str]
) -> None:
    assert names(write_bundle(tmp_path, proved_on)) == competing


def test_where_nothing_was_proved_on_what_is_here_the_rest_competes(here: Here, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path, {"int8-cpu": ("onnxruntime-cuda",)})
    found = field_of(wish_for(bundle)).candidates
    assert [candidate.name for candidate in found] == ["openvino int8-cpu", "onnxruntime int8-cpu"]
    assert not any(candidate.is_proved for candidate in found)


def test_an_engine_asked_for_competes_unproved(here: Here, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path, {"fp32": ("openvino",), "int8-cpu": ("openvino",)})
    assert names(bundle, engine="onnxruntime") == ["onnxruntime int8-cpu"]


def test_every_engine_that_passes_preflight_competes(here: Here, tmp_path: Path) -> None:
    bundle, here.gpu = write_bundle(tmp_path, ALL_FILES), GPU
    for precision in ("fp16", "int8"):
        here.add_engine(bundle, precision)
    assert names(bundle)[:2] == ["tensorrt fp16", "tensorrt int8"]
    assert names(bundle, engine="tensorrt") == ["tensorrt fp16", "tensorrt int8"]
    assert names(bundle, precision="int8")[0] == "tensorrt int8"
    assert names(bundle, precision="fp32") == ["openvino fp32", "onnxruntime fp32"]


def test_an_engine_that_was_never_scored_is_no_proved_one(here: Here, tmp_path: Path) -> None:
    bundle, here.gpu = write_bundle(tmp_path, {"int8": (), "int8-cpu": ("openvino",)}), GPU
    here.add_engine(bundle, "int8", replace(engine_facts(), scores={}))
    assert names(bundle) == ["openvino int8-cpu"]
    assert names(bundle, engine="tensorrt") == ["tensorrt int8"]


def test_engines_that_fail_preflight_are_told_and_the_others_compete(here: Here, tmp_path: Path) -> None:
    bundle, here.gpu = write_bundle(tmp_path, ALL_FILES), GPU
    here.add_engine(bundle, "fp16", ModelError("built elsewhere"))
    here.add_engine(bundle, "int8")
    found = field_of(wish_for(bundle))
    assert found.candidates[0].name == "tensorrt int8"
    assert [str(refusal) for refusal in found.refusals] == ["built elsewhere"]


def test_without_a_gpu_no_engine_is_looked_at(here: Here, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path, ALL_FILES)
    here.add_engine(bundle, "int8", ModelError("not reached"))
    found = field_of(wish_for(bundle))
    assert found.refusals == (NO_GPU,)
    assert [candidate.name for candidate in found.candidates] == ["openvino int8-cpu", "onnxruntime int8-cpu"]


def test_without_engines_the_gpu_is_not_asked_for(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "find_gpu", lambda: pytest.fail("it was asked for"))
    assert field_of(wish_for(write_bundle(tmp_path, ALL_FILES))).refusals == ()


def refused(kind: type[Exception], word: str, bundle: Path, **choice: str) -> None:
    with pytest.raises(kind) as told:
        field_of(wish_for(bundle, **choice))
    assert type(told.value) is kind
    assert word in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("choice", "kind", "word"),
    [
        ({"engine": "tensorrt"}, ModelError, "fcn-edge build '{bundle}'"),
        ({"engine": "tensorrt", "precision": "int8"}, ModelError, "fcn-edge build '{bundle}' --precision int8"),
        ({"precision": "fp17"}, UsageError, "wanted precision fp17, found fp16, int8"),
        ({"engine": "openvino"}, UsageError, "wanted precision int8-cpu or fp32, found fp16, int8"),
        ({}, UsageError, "wanted precision int8-cpu or fp32, found fp16, int8"),
    ],
)
def test_a_wish_that_cannot_be_met_is_told_in_one_line(
    here: Here, tmp_path: Path, choice: dict[str, str], kind: type[Exception], word: str
) -> None:
    bundle, here.gpu = write_bundle(tmp_path / "the bundle", {"fp16": (), "int8": ()}), GPU
    refused(kind, word.format(bundle=bundle), bundle, **choice)


def test_where_nothing_is_installed_one_line_says_what_to_install(here: Here, tmp_path: Path) -> None:
    here.installed = ()
    refused(UsageError, "pip install onnxruntime", write_bundle(tmp_path, ALL_FILES))


@pytest.mark.parametrize("choice", [{}, {"engine": "tensorrt"}])
def test_where_only_an_engine_might_have_served_its_refusal_is_told(
    here: Here, tmp_path: Path, choice: dict[str, str]
) -> None:
    bundle, here.gpu, here.installed = write_bundle(tmp_path, ALL_FILES), GPU, ()
    here.add_engine(bundle, "int8", ModelError("built elsewhere"))
    refused(ModelError, "built elsewhere", bundle, **choice)


def test_a_candidate_is_found_by_its_name_again(here: Here, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path, ALL_FILES)
    here.add_engine(bundle, "int8")
    for engine, precision in (("openvino", "int8-cpu"), ("tensorrt", "int8")):
        candidate = candidate_of(wish_for(bundle), engine, precision)
        assert candidate is not None and candidate.name == f"{engine} {precision}"


@pytest.mark.parametrize(("engine", "precision"), [("abacus", "fp32"), ("auto", "fp32"), ("openvino", "fp17")])
def test_a_name_of_nothing_is_no_candidate(here: Here, tmp_path: Path, engine: str, precision: str) -> None:
    assert candidate_of(wish_for(write_bundle(tmp_path, ALL_FILES)), engine, precision) is None


PACKAGES = {"openvino", "onnxruntime"}


@pytest.mark.parametrize(
    ("packages", "devices", "providers", "gpu", "installed"),
    [
        (set(), [], [], GPU, []),
        ({"onnxruntime"}, [], ["CPUExecutionProvider"], GPU, ["onnxruntime"]),
        (PACKAGES, ["CPU"], ["CPUExecutionProvider"], GPU, ["openvino", "onnxruntime"]),
        (PACKAGES, ["CPU", "GPU"], ["CPUExecutionProvider"], NO_GPU, ["openvino", "openvino-gpu", "onnxruntime"]),
        ({"openvino"}, ["CPU", "GPU.0", "GPU.1", "NPU"], [], NO_GPU, ["openvino", "openvino-gpu"]),
        (
            {"onnxruntime"},
            [],
            ["CUDAExecutionProvider", "CPUExecutionProvider"],
            GPU,
            ["onnxruntime", "onnxruntime-cuda"],
        ),
        ({"onnxruntime"}, [], ["CUDAExecutionProvider", "CPUExecutionProvider"], NO_GPU, ["onnxruntime"]),
    ],
)
def test_an_engine_on_a_gpu_counts_where_its_library_and_the_driver_show_one(
    monkeypatch: pytest.MonkeyPatch,
    packages: set[str],
    devices: list[str],
    providers: list[str],
    gpu: object,
    installed: list[str],
) -> None:
    def find_gpu() -> object:
        if isinstance(gpu, Exception):
            raise gpu
        return gpu

    monkeypatch.setattr(candidates, "is_installed", lambda package: package in packages)
    monkeypatch.setattr(openvino_session, "openvino_devices", lambda: devices)
    library = SimpleNamespace(get_available_providers=lambda: providers)
    monkeypatch.setattr(ort_session, "onnxruntime_library", lambda: library)
    monkeypatch.setattr(candidates, "find_gpu", find_gpu)
    assert list(candidates._installed()) == installed


def test_a_library_that_does_not_load_shows_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "is_installed", lambda package: True)
    for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
        monkeypatch.delitem(sys.modules, name)
    for package in PACKAGES:
        monkeypatch.setitem(sys.modules, package, None)
    assert list(candidates._installed()) == ["openvino", "onnxruntime"]
