"""Checkpoints: nothing is lost on the way to a file and back, and what is no checkpoint is refused in one line."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from fcn_edge.errors import ModelError
from fcn_edge.labels import LabelSet
from fcn_edge.training.checkpoint import Checkpoint, Preprocessing, load_checkpoint, save_checkpoint
from fcn_edge.training.evaluate import CheckpointSession
from fcn_edge.training.network import FCN

LABELS = LabelSet(("road", "rest"), ((128, 64, 128), (0, 0, 0)))


def checkpoint() -> Checkpoint:
    network = FCN("fcn16s", 2, width=0.05, fc_dim=8, norm="batch")
    return Checkpoint(
        network, LABELS, Preprocessing((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)), {"mean_iou": 0.5}, {"data": "x"}
    )


def test_a_checkpoint_comes_back_whole(tmp_path: Path) -> None:
    made = checkpoint()
    save_checkpoint(tmp_path / "a.safetensors", made)
    read = load_checkpoint(tmp_path / "a.safetensors")
    assert asdict(read.network.config) == asdict(made.network.config)
    assert (read.labels, read.preprocessing, read.scores, read.provenance) == (
        made.labels,
        made.preprocessing,
        made.scores,
        made.provenance,
    )
    for key, value in made.network.state_dict().items():
        assert torch.equal(read.network.state_dict()[key], value)
    assert not read.network.training


def test_the_header_alone_tells_how_to_use_the_weights(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.safetensors", checkpoint())
    with safe_open(tmp_path / "a.safetensors", framework="np") as file:
        header = json.loads(file.metadata()["fcn_edge"])
    assert header["network"]["variant"] == "fcn16s" and header["preprocessing"]["mean_bgr"] == [1.0, 2.0, 3.0]
    assert [row["name"] for row in header["labels"]] == ["road", "rest"]


def test_normalisation_subtracts_and_divides_per_channel() -> None:
    frames = torch.tensor([[[[11, 12, 13]]]], dtype=torch.uint8)
    got = Preprocessing((1.0, 2.0, 3.0), (2.0, 5.0, 10.0)).normalise(frames)
    assert got.shape == (1, 3, 1, 1) and got.flatten().tolist() == [5.0, 2.0, 1.0]


def _text(path: Path) -> None:
    path.write_text("not a model")


def _nothing(path: Path) -> None:
    path.write_bytes(b"")


def _foreign(path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, path)


def _cut(path: Path) -> None:
    save_checkpoint(path, checkpoint())
    path.write_bytes(path.read_bytes()[:-100])


def _header(path: Path, **changes: object) -> None:
    made = checkpoint()
    header = {**made.header(), **changes}
    save_file(made.network.state_dict(), path, metadata={"fcn_edge": json.dumps(header)})


def _newer(path: Path) -> None:
    _header(path, version=99)


def _other_network(path: Path) -> None:
    _header(path, network={**checkpoint().header()["network"], "variant": "fcn8s"})


def _too_many_labels(path: Path) -> None:
    _header(path, labels=LabelSet(("a", "b", "c"), ((0, 0, 0),) * 3).to_json())


def _unknown_key(path: Path) -> None:
    _header(path, network={**checkpoint().header()["network"], "depth": 3})


@pytest.mark.parametrize(
    "damage",
    [_text, _nothing, _foreign, _cut, _newer, _other_network, _too_many_labels, _unknown_key],
    ids=lambda f: f.__name__,
)
def test_what_is_no_whole_checkpoint_is_refused_in_one_line(damage, tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    damage(path)
    with pytest.raises(ModelError, match=r"bad\.safetensors") as refused:
        load_checkpoint(path)
    assert "\n" not in str(refused.value)


def test_a_missing_checkpoint_is_refused() -> None:
    with pytest.raises(ModelError, match="no file"):
        load_checkpoint(Path("nowhere.safetensors"))


@pytest.mark.parametrize("size_hw", [(1, 1), (30, 47), (64, 96)])
def test_a_checkpoint_segments_frames_of_any_size(size_hw: tuple[int, int], tiny_checkpoint: Path) -> None:
    session = CheckpointSession(load_checkpoint(tiny_checkpoint))
    frame = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)
    mask = session.segment(frame)
    assert mask.shape == size_hw and mask.dtype == np.uint8
    assert np.array_equal(mask, session.infer(frame))
