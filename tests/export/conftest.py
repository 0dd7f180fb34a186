"""Data on which every difference is the export's: labelled by the tiny checkpoint itself, and a checkpoint that INT8
breaks.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from fcn_edge.datasets import open_dataset
from fcn_edge.labels import VOID
from fcn_edge.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tests.conftest import SPLITS
from tests.export.workshop import Workshop

UNSURE = 0.3  # of the pixels of each picture
LOUD, READER = "conv4_1", "conv4_2"  # whose output is scaled, and who reads it


@pytest.fixture(scope="session")
def sure_folder(street_folder: Path, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The streets, their masks what the tiny checkpoint says where it is sure, and void elsewhere.

    So it scores 100 %, and so does a file of it that works.
    """
    folder = tmp_path_factory.mktemp("sure") / "streets"
    shutil.copytree(street_folder, folder)
    checkpoint = load_checkpoint(tiny_checkpoint)
    for split in SPLITS:
        dataset = open_dataset(f"folder:{street_folder}", split)
        for index in range(len(dataset)):
            mask = _sure_mask(checkpoint, dataset.image(index))
            assert cv2.imwrite(str(folder / "masks" / split / dataset.name(index)), mask)
    return folder


@torch.inference_mode()
def _sure_mask(checkpoint: Checkpoint, image: np.ndarray) -> np.ndarray:
    scores = checkpoint.network(checkpoint.preprocessing.normalise(torch.from_numpy(image)[None]))[0]
    best, second = scores.topk(2, 0).values
    margin = best - second
    mask = scores.argmax(0).to(torch.uint8).numpy()
    return np.where((margin < margin.quantile(UNSURE)).numpy(), np.uint8(VOID), mask)


def sabotage(checkpoint: Checkpoint, loud: str, reader: str, power: int) -> None:
    """One channel of a layer 2**power times as loud, and read as much more softly: in float32 the very same network.

    Its ranges leave no step of INT8 for the other channels, and in float16 it may overflow.
    """
    norm = checkpoint.network.get_submodule(f"{loud}_norm")
    with torch.no_grad():
        norm.weight[0] *= 2**power
        norm.bias[0] *= 2**power
        checkpoint.network.get_submodule(reader).weight[:, 0] /= 2**power


def sabotaged(source: Path, path: Path, *pairs: tuple[str, str], power: int = 10) -> Path:
    """A copy of a checkpoint, sabotaged at each of the pairs of layers."""
    checkpoint = load_checkpoint(source)
    for loud, reader in pairs or [(LOUD, READER)]:
        sabotage(checkpoint, loud, reader, power)
    save_checkpoint(path, checkpoint)
    return path


@pytest.fixture(scope="session")
def sabotaged_checkpoint(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sabotaged(tiny_checkpoint, tmp_path_factory.mktemp("sabotaged") / "tiny.safetensors")


@pytest.fixture
def workshop(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """An empty folder for engines of the tiny bundle."""
    (tmp_path / "bundle").mkdir()
    return Workshop(tmp_path / "bundle", tiny_bundle, monkeypatch)
