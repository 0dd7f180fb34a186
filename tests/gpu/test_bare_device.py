"""A Jetson as far as code can tell: host and GPU share their memory, and there is neither onnxruntime nor OpenVINO."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fcn_edge.datasets import open_dataset
from fcn_edge.palette_png import decode_palette_png
from runtime.ort_session import OrtSession
from tests.gpu.bindings import bindings_of
from tests.gpu.contract import Built, Machine

OF_JETPACK = ["8.6.1", "10.3.0", "10.16.1.11"]  # 6.0, 6.1 to 6.2.1, 7.2


@pytest.fixture(scope="module", params=OF_JETPACK)
def jetson(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp(f"jetson-{request.param}")
    absent = ("onnxruntime", "openvino")
    with Machine(bindings_of(request.param), folder, hidden=absent, integrated=1, capability="8.7") as machine:
        yield machine


@pytest.fixture(scope="module")
def built_there(jetson: Machine, tiny_bundle: Path, data: str, tmp_path_factory: pytest.TempPathFactory) -> Built:
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("built") / "bundle"))
    done = jetson("build", bundle, "--data", data, "--json")
    assert (done.returncode, done.breaches) == (0, []), done.stderr
    return Built(bundle, done)


def test_engines_are_proved_against_the_scores_of_the_export(built_there: Built) -> None:
    told = built_there.done.json
    assert "checkpoint" in told["reference"]
    assert all(abs(engine["scores"]["mean_iou_drop"]) < 0.005 for engine in told["engines"])


def test_masks_come_without_a_copy_on_the_gpu(
    built_there: Built, jetson: Machine, street_folder: Path, tmp_path: Path
) -> None:
    pictures = sorted((street_folder / "images" / "val").iterdir())
    done = jetson("run", pictures[0].parent, tmp_path / "{name}.png", "--model", built_there.bundle)
    assert (done.returncode, done.breaches) == (0, []), done.stderr
    assert "infer.compute" in done.stderr and "infer.h2d" not in done.stderr
    dataset = open_dataset(f"folder:{street_folder}", "val")
    masks = [decode_palette_png((tmp_path / f"{picture.stem}.png").read_bytes()) for picture in pictures]
    precision = next(name for name in ("fp32", "fp16", "int8") if f": {name} on TensorRT" in done.stderr)
    with OrtSession(built_there.bundle / f"model.{precision}.onnx") as session:
        assert all(np.array_equal(mask, session.infer(dataset.image(index))) for index, mask in enumerate(masks))
