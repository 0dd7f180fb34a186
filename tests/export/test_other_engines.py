"""On which engines a file is proved: its own, and every other one that is installed; or the one that the user names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from export import other_engines
from export.evidence import Evidence
from export.other_engines import proved_on_others
from export.prover import Proof
from fcn_edge.errors import ModelError, UsageError
from fcn_edge.manifest import Manifest, read_manifest
from fcn_edge.scoring import Comparison
from runtime.engines import engine_at_hand, is_installed
from tests.conftest import call_fcn_edge

BUDGET = 0.005
CPU_ENGINES = ("onnxruntime", "openvino")


def compared(drop: float | None) -> Comparison:
    return Comparison(None, 0.9, 0.9, drop, None, {}, ())


def prover(own: str, prove: Callable[[str], float | None]) -> Any:
    """A prover on one engine; `prove` tells the drop on another."""

    def proof(path: Path, precision: str, engine: str = "") -> Any:
        return SimpleNamespace(comparison=compared(prove(engine)))

    return SimpleNamespace(engine=own, prove=proof)


@pytest.fixture
def both_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_engines, "is_installed", lambda name: True)


@pytest.mark.parametrize(("own", "other"), [("openvino", "onnxruntime"), ("onnxruntime", "openvino")])
def test_the_engines_beside_the_provers_own_are_asked(own: str, other: str, both_installed: None) -> None:
    found = proved_on_others(prover(own, lambda engine: 0.001), Path("model.fp32.onnx"), "fp32", BUDGET)
    assert found == {other: compared(0.001)}


def test_what_is_not_installed_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_engines, "is_installed", lambda name: False)
    assert proved_on_others(prover("openvino", lambda engine: 1 / 0), Path("x.onnx"), "fp32", BUDGET) == {}


def test_one_that_loses_too_much_is_told_in_a_line(both_installed: None, capsys: pytest.CaptureFixture[str]) -> None:
    found = proved_on_others(prover("openvino", lambda engine: 0.02), Path("b/model.fp32.onnx"), "fp32", BUDGET)
    assert found["onnxruntime"].drop == 0.02
    told = "model.fp32.onnx is not proved on onnxruntime: it loses 2.00 points there\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("failure", [ModelError("found: no such operator"), UsageError("wanted the package")])
def test_one_that_does_not_open_the_file_is_told_and_refuses_nothing(
    failure: Exception, both_installed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(engine: str) -> float:
        raise failure

    assert proved_on_others(prover("openvino", fail), Path("model.fp32.onnx"), "fp32", BUDGET) == {}
    assert capsys.readouterr().err == f"model.fp32.onnx is not proved on onnxruntime: {failure}\n"


@pytest.mark.parametrize(
    ("own", "others", "proved"),
    [
        (0.0, {}, ("openvino",)),
        (0.005, {"onnxruntime": 0.0}, ("openvino", "onnxruntime")),
        (0.0, {"onnxruntime": 0.006}, ("openvino",)),
        (0.1, {"onnxruntime": 0.0, "tensorrt": 0.1}, ("onnxruntime",)),
        (0.1, {}, ()),
        (None, {"onnxruntime": None}, ("openvino", "onnxruntime")),
    ],
)
def test_a_file_was_proved_where_it_holds_the_budget(
    own: float | None, others: dict[str, float | None], proved: tuple[str, ...]
) -> None:
    nothing: Any = None
    evidence = Evidence(nothing, {"fp32": Proof(compared(own), nothing, "a CPU", "openvino")})
    evidence.elsewhere["fp32"] = {engine: compared(drop) for engine, drop in others.items()}
    assert evidence.proved_on("fp32", BUDGET) == proved


# -- as an export does it -------------------------------------------------------------------------------------------


def proved_on(manifest: Manifest, precision: str) -> tuple[str, ...]:
    file = manifest.file(precision)
    assert file is not None
    return file.proved_on


def test_files_for_cpus_are_proved_on_every_engine_here_and_those_for_tensorrt_by_proxy(tiny_bundle: Path) -> None:
    here = {name for name in CPU_ENGINES if is_installed(name)}
    assert "onnxruntime" in here
    manifest = read_manifest(tiny_bundle)
    for precision in ("fp32", "int8-cpu"):
        assert proved_on(manifest, precision)[0] == engine_at_hand() and set(proved_on(manifest, precision)) == here
    assert proved_on(manifest, "fp16") == proved_on(manifest, "int8") == ("onnxruntime",)


def test_the_scores_are_those_of_the_first(tiny_bundle: Path) -> None:
    for file in read_manifest(tiny_bundle).files:
        assert file.scored_on.startswith(file.proved_on[0])


def test_the_report_tells_how_each_did(tiny_bundle: Path) -> None:
    others = json.loads((tiny_bundle / "report.json").read_text())["other_engines"]
    wanted = {name for name in CPU_ENGINES if is_installed(name)} - {engine_at_hand()}
    assert {name: set(found) for name, found in others.items()} == {"fp32": wanted, "int8-cpu": wanted}
    assert all(0.9 < found["agreement"] <= 1 for rows in others.values() for found in rows.values())
    page = (tiny_bundle / "report.html").read_text()
    assert ("The same files on other engines</h2>" in page) == bool(wanted)
    assert f"proved on {', '.join([engine_at_hand(), *wanted])}" in page


def test_with_an_engine_named_there_is_that_one_alone(
    tiny_checkpoint: Path, street_folder: Path, tmp_path: Path
) -> None:
    words = ["-o", tmp_path / "bundle", "--size", "64x96", "--data", f"folder:{street_folder}", "--no-sensitivity"]
    done = call_fcn_edge("export", tiny_checkpoint, *words, "--precisions", "fp32", "--engine", "onnxruntime")
    assert done.returncode == 0, done.stderr
    assert proved_on(read_manifest(tmp_path / "bundle"), "fp32") == ("onnxruntime",)
    assert json.loads((tmp_path / "bundle" / "report.json").read_text())["other_engines"] == {}
