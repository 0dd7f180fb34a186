"""`--deterministic`: the same weights to the bit, or a line that says which operator cannot give them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from fcn_edge.training.checkpoint import load_checkpoint
from fcn_edge.training.network import FCN
from tests.conftest import Done, assert_refused, call_fcn_edge

WORDS = ["--width", "0.05", "--fc-dim", "8", "--crop", "64x96", "--batch-size", "2", "--epochs", "2", "--deterministic"]


def trained(street_folder: Path, run: Path, *more: str) -> Done:
    return call_fcn_edge("train", f"folder:{street_folder}", "-o", run, *WORDS, "--workers", "0", *more)


def weights(run: Path) -> dict[str, Tensor]:
    return load_checkpoint(run / "best.safetensors").network.state_dict()


def test_two_runs_of_one_seed_give_equal_weights_to_the_bit(street_folder: Path, tmp_path: Path) -> None:
    runs = {name: tmp_path / name for name in ("one", "two", "other")}
    for name, run in runs.items():
        done = trained(street_folder, run, "--seed", "1" if name == "other" else "0")
        assert done.returncode == 0, done.stderr
    one, two, other = (weights(run) for run in runs.values())
    assert all(torch.equal(two[name], value) for name, value in one.items())
    assert not all(torch.equal(other[name], value) for name, value in one.items())
    assert load_checkpoint(runs["one"] / "best.safetensors").provenance["config"]["deterministic"] is True


def test_an_operator_without_a_deterministic_form_is_named_in_one_line(
    street_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's own refusal, by an operator that has no such form on any device."""
    forward = FCN.forward

    def wild(network: FCN, images: Tensor) -> Tensor:
        scores = forward(network, images)
        torch.zeros(2).put_(torch.tensor([0]), torch.ones(1))
        return scores

    monkeypatch.setattr(FCN, "forward", wild)
    assert_refused(trained(street_folder, tmp_path / "run"), 2, "found put_", "leave --deterministic out")
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_time_limit_is_refused_for_it_follows_the_clock(street_folder: Path, tmp_path: Path) -> None:
    done = trained(street_folder, tmp_path / "run", "--max-minutes", "5")
    assert_refused(done, 2, "--max-minutes", "clock")
