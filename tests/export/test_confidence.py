"""`--outputs mask,confidence`: a second output beside an unchanged mask, and a file that serves as any other."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.onnx_export import onnx_from_checkpoint
from fcn_edge.datasets.street import draw_street
from fcn_edge.manifest import ModelFacts, read_manifest
from fcn_edge.training.checkpoint import Checkpoint, load_checkpoint
from fcn_edge.training.network import FCN
from runtime.session import open_session
from tests.conftest import SIZE_HW, assert_refused, call_fcn_edge, lively
from tests.export.test_decoder import LABELS

BOTH = ("mask", "confidence")
PRECISIONS = ("fp32", "fp16", "int8", "int8-cpu")


def outputs_of(path: Path, frame: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return [np.asarray(output) for output in session.run(None, {"frame": frame[None]})]


@torch.inference_mode()
def confidence_of(checkpoint: Checkpoint, frame: np.ndarray) -> np.ndarray:
    scores = checkpoint.network(checkpoint.preprocessing.normalise(torch.from_numpy(frame)[None]))
    return (scores.softmax(1).amax(1) * 255).numpy()


@pytest.mark.parametrize("learned", [False, True], ids=["phases", "deconvolution"])
def test_confidence_is_the_softmax_of_the_winning_class_and_the_mask_is_as_without_it(
    learned: bool, tmp_path: Path
) -> None:
    checkpoint = Checkpoint(lively(FCN(num_classes=3, width=0.06, fc_dim=12, norm="batch")), LABELS)
    if learned:
        with torch.no_grad():
            checkpoint.network.upscore8.weight *= 1.01
    size_hw = (61, 83)
    facts = ModelFacts(LABELS, size_hw, "fp32")
    onnx_from_checkpoint(checkpoint, facts, tmp_path / "mask.onnx")
    onnx_from_checkpoint(checkpoint, facts, tmp_path / "both.onnx", outputs=BOTH)
    spread = set()
    for seed in range(3):
        frame = draw_street(seed, size_hw=size_hw)[0]
        mask, confidence = outputs_of(tmp_path / "both.onnx", frame)
        assert np.array_equal(mask, outputs_of(tmp_path / "mask.onnx", frame)[0])
        assert confidence.shape == mask.shape == (1, *size_hw) and confidence.dtype == np.uint8
        wanted = confidence_of(checkpoint, frame)
        assert np.abs(confidence - np.round(wanted)).max() <= 1
        assert np.mean(confidence == np.round(wanted)) > 0.99
        spread |= set(confidence.reshape(-1).tolist())
    assert len(spread) > 50, "or anything would pass"


@pytest.fixture(scope="module")
def bundle(tiny_checkpoint: Path, sure_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("confident") / "bundle"
    words = ["--size", "64x96", "--data", f"folder:{sure_folder}", "--calibration-count", 2, "--no-sensitivity"]
    more = ["--outputs", "confidence,mask", "--calibration-method", "minmax", "--allow-drop"]
    done = call_fcn_edge("export", tiny_checkpoint, "-o", path, *words, *more)
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_file_of_a_bundle_has_both_outputs(precision: str, bundle: Path, tiny_checkpoint: Path) -> None:
    model = onnx.load(bundle / f"model.{precision}.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [output.name for output in model.graph.output] == list(BOTH)
    frame = draw_street(5, size_hw=SIZE_HW)[0]
    mask, confidence = outputs_of(bundle / f"model.{precision}.onnx", frame)
    off = np.abs(confidence.astype(float) - confidence_of(load_checkpoint(tiny_checkpoint), frame))
    assert off.mean() < (12 if "int8" in precision else 1)
    assert mask.max() < 11


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("precision", ["fp32", "int8-cpu"])
def test_the_runtime_opens_such_a_file_and_takes_its_mask(engine: str, precision: str, bundle: Path) -> None:
    if engine == "openvino" and not find_spec("openvino"):
        pytest.skip("openvino is not installed")
    frame = draw_street(5, size_hw=SIZE_HW)[0]
    with open_session(bundle, engine, precision) as session:
        found = session.infer(frame)
    assert np.mean(found == outputs_of(bundle / f"model.{precision}.onnx", frame)[0][0]) > 0.98
    assert len(np.unique(found)) > 1


def test_the_bundle_is_scored_by_its_masks(bundle: Path) -> None:
    assert all(file.scores["agreement"] > 0.9 for file in read_manifest(bundle).files)


@pytest.mark.parametrize("outputs", ["confidence", "mask,depth", ""])
def test_other_outputs_are_refused(outputs: str, tiny_checkpoint: Path, street_folder: Path, tmp_path: Path) -> None:
    words = ["-o", tmp_path / "bundle", "--size", "64x96", "--data", f"folder:{street_folder}", "--outputs", outputs]
    assert_refused(call_fcn_edge("export", tiny_checkpoint, *words), 2, "mask,confidence")
    assert list(tmp_path.iterdir()) == []
