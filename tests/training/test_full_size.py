"""VGG16 itself, all 138 million weights of it: from torch hub's cache to a mask, by the commands that users type.

The weights are drawn by a seed and stand where the download would, so the masks mean nothing; sizes, names and memory
are those of the real thing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from fcn_edge.training.checkpoint import load_checkpoint
from fcn_edge.training.segmentation import parameter_count
from fcn_edge.training.state_dict import PUBLISHED
from tests.conftest import SIZE_HW, run_fcn_edge
from tests.training.foreign_weights import saved, vgg16


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """Some gigabytes, which do not wait for pytest to remove them."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_vgg16_at_its_full_width_trains_checkpoints_exports_and_runs(work: Path, street_folder: Path) -> None:
    hub = work / "torch" / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    saved(vgg16(1.0, 4096), hub / Path(PUBLISHED["vgg16"]).name)
    run, bundle, data = work / "run", work / "bundle", f"folder:{street_folder}"
    brief = "--init vgg16 --width 1.0 --epochs 1 --crop 64x96 --batch-size 2 --workers 0".split()
    trained = run_fcn_edge(
        "train", data, "-o", run, *brief, env={**os.environ, "TORCH_HOME": str(work / "torch")}, timeout=600
    )
    assert trained.returncode == 0, trained.stderr
    checkpoint = load_checkpoint(run / "best.safetensors")
    assert checkpoint.network.config.width == 1.0 and 134e6 < parameter_count(checkpoint.network) < 135e6
    assert checkpoint.provenance["init"]["name"] == "vgg16" and (run / "last.ckpt").exists()
    made = run_fcn_edge(
        *("export", run / "best.safetensors", "-o", bundle, "--size", "64x96", "--data", data, "--precisions", "fp32"),
        timeout=600,
    )
    assert made.returncode == 0, made.stderr
    picture = min((street_folder / "images" / "val").iterdir())
    done = run_fcn_edge("run", picture, work / "mask.png", "--model", bundle)
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(work / "mask.png"), cv2.IMREAD_UNCHANGED).shape[:2] == SIZE_HW
