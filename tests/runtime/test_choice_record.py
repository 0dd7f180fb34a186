"""runtime.choice_record: a choice is kept as long as the bundle, the machine and the wish are what they were."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from fcn_edge.manifest import MANIFEST
from runtime import choice_record
from runtime.choice_record import Choice, conditions, read_choice, write_choice
from runtime.engine_facts import engine_path
from runtime.engines import Serving
from tests.runtime.small_bundles import GPU, NO_GPU, wish_for, write_bundle

CHOICE = Choice("openvino", "fp32", {"openvino fp32": 1.5, "onnxruntime fp32": 2.5}, "2026-11-24", "TensorRT left out")


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With an engine, and a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = write_bundle(tmp_path / "bundle", {"fp32": (), "int8": ()})
    engine_path(folder, "fp32").write_bytes(b"plan")
    return folder


def test_a_choice_is_read_as_it_was_written(bundle: Path) -> None:
    assert read_choice(wish_for(bundle)) is None
    write_choice(wish_for(bundle), CHOICE)
    assert read_choice(wish_for(bundle)) == CHOICE


def test_what_decides_is_json_and_the_same_at_every_look(bundle: Path) -> None:
    assert json.dumps(conditions(wish_for(bundle))) == json.dumps(conditions(wish_for(bundle)))


@pytest.mark.parametrize(
    "choice",
    [
        {"engine": "tensorrt"},
        {"precision": "fp32"},
        {"serving": Serving(threads=1)},
        {"serving": Serving(trust_engine=True)},
        {"serving": Serving(cuda_graph=False)},
    ],
)
def test_another_wish_has_a_choice_of_its_own(bundle: Path, choice: dict[str, object]) -> None:
    write_choice(wish_for(bundle), CHOICE)
    assert read_choice(wish_for(bundle, **choice)) is None


def another_manifest(bundle: Path) -> None:
    path = bundle / MANIFEST
    path.write_text(path.read_text() + " ")


def another_engine(bundle: Path) -> None:
    engine = engine_path(bundle, "fp32")
    engine.write_bytes(b"plan, built again")


def one_engine_more(bundle: Path) -> None:
    engine_path(bundle, "int8").write_bytes(b"plan")


def no_engine(bundle: Path) -> None:
    engine_path(bundle, "fp32").unlink()


def a_sidecar(bundle: Path) -> None:
    engine_path(bundle, "fp32").with_name("model.fp32.engine.json").write_text("{}")


def a_closed_engine(bundle: Path) -> None:
    engine_path(bundle, "fp32").chmod(0o600)


def an_open_folder(bundle: Path) -> None:
    bundle.chmod(0o777)


@pytest.mark.parametrize(
    "change",
    [another_manifest, another_engine, one_engine_more, no_engine, a_sidecar, a_closed_engine, an_open_folder],
)
def test_a_bundle_that_changed_is_chosen_for_again(bundle: Path, change: Callable[[Path], None]) -> None:
    bundle.chmod(0o755)
    write_choice(wish_for(bundle), CHOICE)
    change(bundle)
    assert read_choice(wish_for(bundle)) is None


@pytest.mark.parametrize("fact", ["processor", "features", "cores", "system", "board"])
def test_another_machine_chooses_for_itself(bundle: Path, monkeypatch: pytest.MonkeyPatch, fact: str) -> None:
    write_choice(wish_for(bundle), CHOICE)
    here = choice_record.machine()
    monkeypatch.setattr(choice_record, "machine", lambda: {**here, fact: "another"})
    assert read_choice(wish_for(bundle)) is None


@pytest.mark.parametrize("gpu", [GPU, replace(GPU, driver_cuda="13.0"), NO_GPU], ids=["gpu", "driver", "none"])
def test_another_gpu_or_driver_is_another_machine(bundle: Path, monkeypatch: pytest.MonkeyPatch, gpu: object) -> None:
    def found() -> object:
        if isinstance(gpu, Exception):
            raise gpu
        return gpu

    monkeypatch.setattr(choice_record, "find_gpu", lambda: replace(GPU, name="Thor"))
    write_choice(wish_for(bundle), CHOICE)
    monkeypatch.setattr(choice_record, "find_gpu", found)
    assert read_choice(wish_for(bundle)) is None


def test_without_engines_the_driver_is_not_asked(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_engine(bundle)
    monkeypatch.setattr(choice_record, "find_gpu", lambda: pytest.fail("it was asked"))
    assert conditions(wish_for(bundle))["gpu"] == ""


@pytest.mark.parametrize("package", ["openvino", "onnxruntime", "tensorrt", "pycuda"])
def test_another_version_of_a_library_is_another_machine(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    for version in ("1.0.0", "1.0.1"):
        (tmp_path / version / package).mkdir(parents=True)
        (tmp_path / version / f"{package}-{version}.dist-info").mkdir()
    found = {"version": "1.0.0"}

    def find_spec(name: str) -> SimpleNamespace | None:
        places = [str(tmp_path / found["version"] / package)]
        return SimpleNamespace(submodule_search_locations=places) if name == package else None

    monkeypatch.setattr(choice_record, "find_spec", find_spec)
    write_choice(wish_for(bundle), CHOICE)
    assert read_choice(wish_for(bundle)) == CHOICE
    found["version"] = "1.0.1"
    assert read_choice(wish_for(bundle)) is None


def test_the_libraries_here_are_known_by_name_and_version(bundle: Path) -> None:
    import onnxruntime

    told = conditions(wish_for(bundle))["libraries"]
    assert f"onnxruntime-{onnxruntime.__version__}.dist-info" in told["onnxruntime"]


def test_a_hidden_package_is_none(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert conditions(wish_for(bundle))["libraries"]["openvino"] == []


def test_what_a_record_says_is_printed_without_what_a_terminal_would_obey(bundle: Path) -> None:
    write_choice(wish_for(bundle), replace(CHOICE, left_out="\x1b[2J\nTensorRT"))
    choice = read_choice(wish_for(bundle))
    assert choice is not None and choice.left_out == "?[2J?TensorRT"
