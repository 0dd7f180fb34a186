"""What an engine is compared with: masks where a CPU engine is installed, else the scores that the export wrote."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from export import engine_reference
from export.buildable import Buildable, buildable
from export.engine_reference import MaskReference, ScoreReference, checkpoint_scores, drawn_streets, reference_for
from fcn_edge.datasets import Dataset, open_dataset
from fcn_edge.datasets.synthetic import SPLITS
from fcn_edge.errors import ModelError, SourceError, UsageError
from fcn_edge.manifest import Manifest, read_manifest
from fcn_edge.scoring import Answers, answer
from runtime.segmenter import Segmenter
from runtime.session import open_session


@pytest.fixture(scope="module")
def source(tiny_bundle: Path) -> Buildable:
    return buildable(tiny_bundle)


@pytest.fixture(scope="module")
def val(street_folder: Path) -> Dataset:
    return open_dataset(f"folder:{street_folder}", "val")


@pytest.fixture
def no_cpu_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_reference, "is_installed", lambda name: False)


def answers_of(path: Path, data: Dataset) -> Answers:
    with open_session(path, "onnxruntime") as session:
        return answer(Segmenter(session).segment, data, "scoring")


def test_a_bundles_fp32_file_gives_masks_and_scores(
    source: Buildable, val: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = reference_for(source, val)
    assert isinstance(reference, MaskReference)
    assert reference.description.startswith("model.fp32.onnx on onnxruntime ")
    assert f"reference: {reference.description}" in capsys.readouterr().err
    found = reference.compare(answers_of(source.files["int8"], val))
    assert found.scores is not None and found.drop is not None and 0.5 < found.agreement < 1
    itself = reference.compare(reference.answers)
    assert (itself.agreement, itself.drop) == (1, 0)


def test_openvino_serves_where_onnxruntime_is_not_installed(
    source: Buildable, val: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_reference, "is_installed", lambda name: name == "openvino")
    assert reference_for(source, val).description.startswith("model.fp32.onnx on openvino ")


def test_without_data_streets_are_drawn_that_no_dataset_holds_and_nothing_is_scored(source: Buildable) -> None:
    reference = reference_for(source, None)
    assert isinstance(reference, MaskReference) and not reference.dataset.has_masks
    found = reference.compare(answers_of(source.files["int8"], reference.dataset))
    assert found.scores is None and found.drop is None and 0 < found.agreement <= 1
    streets = drawn_streets(source.labels)
    assert all(streets.first_seed > first + count for count, first in SPLITS.values())


def test_a_model_of_other_classes_is_refused_with_labelled_data(source: Buildable, val: Dataset) -> None:
    from fcn_edge.labels import LabelSet

    other = LabelSet(("a", "b"), ((0, 0, 0), (1, 1, 1)))
    with pytest.raises(UsageError, match="a, b"):
        reference_for(Buildable(source.files, source.plainest, other, source.manifest), val)


def test_labels_that_are_void_everywhere_prove_nothing(source: Buildable, street_folder: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(street_folder, tmp_path / "data"))
    for path in (data / "masks" / "val").iterdir():
        assert cv2.imwrite(str(path), np.full((64, 96), 255, np.uint8))
    with pytest.raises(SourceError, match="only void"):
        reference_for(source, open_dataset(f"folder:{data}", "val"))


# -- without any CPU engine -----------------------------------------------------------------------------------------


def test_on_the_data_of_the_export_its_scores_serve(no_cpu_engine: None, source: Buildable, val: Dataset) -> None:
    reference = reference_for(source, val)
    assert isinstance(reference, ScoreReference)
    assert reference.description == "the checkpoint's scores in manifest.json"


def test_the_checkpoints_scores_come_out_of_the_manifest_as_they_were(
    tiny_bundle: Path, tiny_checkpoint: Path, val: Dataset
) -> None:
    from export.score import open_artifact

    reference = checkpoint_scores(read_manifest(tiny_bundle), val)
    with open_artifact(tiny_checkpoint, size_hw=(64, 96)) as artifact:
        scores = answer(artifact.segment, val, "scoring").scores()
    assert reference is not None and scores is not None
    assert reference.mean_iou == pytest.approx(scores.mean_iou, abs=1e-9)
    told = {name: iou for name, iou in reference.class_iou.items() if iou is not None}
    assert told == pytest.approx({name: scores.per_class_iou[name] for name in told}, abs=1e-9) and len(told) > 5


def test_scores_alone_tell_the_drop_and_leave_agreement_open(
    no_cpu_engine: None, source: Buildable, val: Dataset
) -> None:
    with_masks = MaskReference(val, answers_of(source.plainest, val), "fp32")
    answers = answers_of(source.files["int8"], val)
    found, wanted = reference_for(source, val).compare(answers), with_masks.compare(answers)
    assert found.drop == pytest.approx(wanted.drop, abs=1e-4), "fp32 and checkpoint are alike"
    assert found.scores == wanted.scores and found.drop_interval is None
    content = found.to_json()
    assert np.isnan(content["agreement"]) and content["mean_iou_drop"] == found.drop
    lost = {name: drop for name, drop in found.per_class_drop.items() if drop is not None}
    assert lost == pytest.approx({name: wanted.per_class_drop[name] for name in lost}, abs=1e-3) and len(lost) > 5


def test_on_other_data_one_line_says_which_would_serve(
    no_cpu_engine: None, source: Buildable, street_folder: Path
) -> None:
    with pytest.raises(ModelError) as refusal:
        reference_for(source, open_dataset(f"folder:{street_folder}", "train"))
    told = str(refusal.value)
    assert "found neither onnxruntime nor openvino here, and --data other than those" in told
    assert f"folder:{street_folder.name}, split val" in told


def test_without_data_one_line_asks_for_them(no_cpu_engine: None, source: Buildable) -> None:
    with pytest.raises(ModelError, match=r"and no --data; give those .*split val\), or install onnxruntime"):
        reference_for(source, None)


def test_a_lone_file_has_no_manifest_to_tell(no_cpu_engine: None, tiny_bundle: Path, val: Dataset) -> None:
    with pytest.raises(ModelError, match="no bundle, whose manifest would tell scores; install onnxruntime"):
        reference_for(buildable(tiny_bundle / "model.int8.onnx"), val)


@pytest.mark.parametrize("lacking", ["mean_iou", "mean_iou_drop"])
def test_a_bundle_that_was_proved_without_labels_has_no_scores(lacking: str, tiny_bundle: Path, val: Dataset) -> None:
    from dataclasses import replace

    manifest = read_manifest(tiny_bundle)
    files = tuple(replace(file, scores={**file.scores, lacking: None}) for file in manifest.files)
    assert checkpoint_scores(Manifest(manifest.labels, manifest.size_hw, files, manifest.provenance), val) is None


def test_pictures_without_labels_have_no_scores(tiny_bundle: Path, val: Dataset) -> None:
    class Unlabelled:
        has_masks = False
        digest: Any = staticmethod(val.digest)

    assert checkpoint_scores(read_manifest(tiny_bundle), Unlabelled()) is None  # type: ignore[arg-type]
