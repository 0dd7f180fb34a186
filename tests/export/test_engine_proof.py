"""The gate of `build`: an engine is built aside, opened, compared, and only then put in its place.

The build and the session are stand-ins; what is tested is what becomes of their files.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from export import engine_proof
from export.engine_build import BuildOptions, BuiltEngine
from export.engine_proof import Gate
from export.engine_reference import MaskReference, ScoreReference, drawn_streets
from fcn_edge.datasets import open_dataset
from fcn_edge.errors import ModelError, OutputError
from fcn_edge.files import sha256_of
from runtime.engine_facts import read_engine_facts, sidecar_of
from runtime.session import open_session
from tests.export.workshop import Workshop, masks_of, wrong


@pytest.fixture(scope="module")
def reference(tiny_bundle: Path, sure_folder: Path) -> MaskReference:
    return masks_of(tiny_bundle, open_dataset(f"folder:{sure_folder}", "val"))


# -- an engine that holds -------------------------------------------------------------------------------------------


def test_an_engine_that_holds_takes_its_place_with_its_sidecar(workshop: Workshop, reference: MaskReference) -> None:
    proved = workshop.make(Gate(reference, 0.005))
    assert workshop.left == ["model.int8.engine", "model.int8.engine.json"]
    assert proved.path == workshop.engine and workshop.engine.read_bytes() == b"plan"
    facts = read_engine_facts(workshop.engine)
    assert facts == proved.facts and facts.engine_sha256 == sha256_of(workshop.engine)
    assert facts.scores["mean_iou_drop"] == 0 and facts.scores["agreement"] == 1 and facts.scores["mean_iou"] > 0.9
    assert facts.scored_on == "TensorRT 10.3.0, Orin; 4 pictures, against model.fp32.onnx on a CPU"


def test_it_is_opened_before_it_is_in_its_place(workshop: Workshop, reference: MaskReference) -> None:
    workshop.make(Gate(reference))
    (opened,) = workshop.opened
    assert opened.name == workshop.engine.name and opened.parent.parent == workshop.folder and not opened.exists()


def test_what_is_known_of_it_can_be_told_as_json(workshop: Workshop, reference: MaskReference) -> None:
    content = workshop.make(Gate(reference)).to_json()
    assert content == json.loads(json.dumps(content))
    assert (content["precision"], content["engine"], content["bytes"]) == ("int8", "model.int8.engine", 4)
    assert content["build_s"] == 12.5 and content["median_ms"] > 0
    assert content["layers"] == {"by_precision": {}, "int8_wanted": 1, "int8_held": 1, "int8_missed": {}}


def test_a_new_engine_replaces_the_old_one(workshop: Workshop, reference: MaskReference) -> None:
    workshop.make(Gate(reference))
    workshop.plan = b"a better plan"
    workshop.make(Gate(reference))
    assert workshop.engine.read_bytes() == b"a better plan"
    assert read_engine_facts(workshop.engine).engine_sha256 == sha256_of(workshop.engine)


def test_convolutions_that_did_not_get_int8_are_told_loudly_and_refuse_nothing(
    workshop: Workshop, reference: MaskReference, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop.missed = {"fc6": "fp32"}
    workshop.make(Gate(reference))
    told = "warning: model.int8.engine: INT8: 1 of 2 convolutions that the file asks for; in fp32: fc6"
    assert told in capsys.readouterr().err.splitlines()


def test_pictures_without_labels_score_nothing_and_the_sidecar_says_so(workshop: Workshop, tiny_bundle: Path) -> None:
    with open_session(tiny_bundle, precision="fp32") as session:
        labels = session.facts.labels
    reference = masks_of(tiny_bundle, drawn_streets(labels))
    facts = workshop.make(Gate(reference, 0.005)).facts
    assert facts.scores == {}, "it counts as not proved wherever a proved one is to be had"
    told = "not scored: 8 pictures without labels, masks agree to 100.00 % with model.fp32.onnx on a CPU"
    assert facts.scored_on == f"TensorRT 10.3.0, Orin; {told}"


def test_where_only_scores_are_known_the_sidecar_leaves_the_agreement_open(
    workshop: Workshop, reference: MaskReference
) -> None:
    scores = reference.answers.scores()
    assert scores is not None
    told = ScoreReference(reference.dataset, scores.mean_iou + 0.001, scores.per_class_iou, "manifest.json")
    workshop.make(Gate(told, 0.005))
    facts = read_engine_facts(workshop.engine)
    assert facts.scores["mean_iou_drop"] == pytest.approx(0.001) and facts.scores["agreement"] is None


# -- an engine that does not ----------------------------------------------------------------------------------------


def test_an_engine_over_the_budget_is_refused_and_nothing_is_left(workshop: Workshop, reference: MaskReference) -> None:
    workshop.disturbed["int8"] = wrong
    with pytest.raises(ModelError) as refusal:
        workshop.make(Gate(reference, 0.005))
    told = str(refusal.value)
    assert told.startswith("model.int8.engine: wanted at most 0.5 points of mean IoU lost, found ")
    assert "--allow-drop" in told and refusal.value.exit_code == 4
    assert workshop.left == []


def test_with_a_reference_of_scores_alone_it_is_refused_as_well(workshop: Workshop, reference: MaskReference) -> None:
    workshop.disturbed["int8"] = wrong
    told = ScoreReference(reference.dataset, 0.99, {}, "manifest.json")
    with pytest.raises(ModelError, match=r"found [\d.]+; build another"):
        workshop.make(Gate(told, 0.005))
    assert workshop.left == []


def test_a_refused_engine_leaves_the_old_one_untouched(workshop: Workshop, reference: MaskReference) -> None:
    workshop.make(Gate(reference))
    before = {path.name: path.read_bytes() for path in workshop.folder.iterdir()}
    workshop.plan, workshop.disturbed["int8"] = b"worse", wrong
    with pytest.raises(ModelError):
        workshop.make(Gate(reference, 0.005))
    assert {path.name: path.read_bytes() for path in workshop.folder.iterdir()} == before


def test_a_drop_that_is_allowed_is_kept_and_told(
    workshop: Workshop, reference: MaskReference, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop.disturbed["int8"] = wrong
    proved = workshop.make(Gate(reference, 0.005, allow_drop=True))
    assert proved.comparison.drop and proved.comparison.drop > 0.005
    assert workshop.left == ["model.int8.engine", "model.int8.engine.json"]
    assert "warning: model.int8.engine: wanted at most 0.5 points" in capsys.readouterr().err


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ModelError("no kernel"), OutputError("disk full")])
def test_a_build_that_ends_early_leaves_nothing(
    failure: Any, workshop: Workshop, reference: MaskReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(onnx: Path, engine: Path, options: BuildOptions) -> BuiltEngine:
        engine.write_bytes(b"half")
        raise failure

    monkeypatch.setattr(engine_proof, "engine_from_onnx", fail)
    with pytest.raises(type(failure) if isinstance(failure, Exception) else failure):
        workshop.make(Gate(reference))
    assert workshop.left == []


def test_a_crash_between_engine_and_sidecar_leaves_a_pair_that_is_refused(
    workshop: Workshop, reference: MaskReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sidecar names another engine's sha256, or there is none: either is refused when the engine is opened."""
    from runtime.preflight import require_servable

    workshop.make(Gate(reference))
    workshop.plan = b"a better plan"
    rename = os.replace

    def crashing(source: Path, target: Path) -> None:
        if target == sidecar_of(workshop.engine):
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr("os.replace", crashing)
    with pytest.raises(KeyboardInterrupt):
        workshop.make(Gate(reference))
    assert workshop.engine.read_bytes() == b"a better plan"
    assert read_engine_facts(workshop.engine).engine_sha256 != sha256_of(workshop.engine)
    with pytest.raises(ModelError, match=r"model\.int8\.engine"):
        require_servable(workshop.engine)
    sidecar_of(workshop.engine).unlink()
    with pytest.raises(ModelError, match=r"model\.int8\.engine"):
        require_servable(workshop.engine)


def test_a_folder_that_cannot_be_written_is_one_line(workshop: Workshop, reference: MaskReference) -> None:
    shutil.rmtree(workshop.folder)
    workshop.folder.write_text("a file in the way")
    with pytest.raises(OutputError, match="wanted to write here"):
        workshop.make(Gate(reference))


def test_a_gate_without_a_budget_holds_everything(workshop: Workshop, reference: MaskReference) -> None:
    workshop.disturbed["int8"] = wrong
    assert replace(workshop.make(Gate(reference)), median_ms=0.0).comparison.agreement == 0
