"""`train --init` as users type it: a run starts with the weights and their normalisation, keeps both, tells whence."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.training import cli
from fcn_edge.training.checkpoint import Checkpoint, Preprocessing, load_checkpoint, save_checkpoint
from fcn_edge.training.evaluate import CheckpointSession
from fcn_edge.training.surgery import transplant
from fcn_edge.training.weights import CAFFE, TORCHVISION
from runtime.session import open_session
from tests.conftest import assert_refused, call_fcn_edge, run_fcn_edge
from tests.training.foreign_weights import published_fcn, saved, vgg16

QUICK = ["--crop", "64x96", "--batch-size", "2", "--workers", "0", "--precision", "32", "--validate-every", "1"]
RATE, STEPS = 2e-3, 6  # Adam moves a weight by about its rate a step, at most


BRIEF = ["--epochs", "2", "--learning-rate", RATE, "--averaging", "0"]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(vgg16(), tmp_path_factory.mktemp("weights") / "vgg16.pth")


@pytest.fixture(scope="module")
def run(start: Path, street_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two epochs from VGG16; no word of the network but the file."""
    folder = tmp_path_factory.mktemp("runs") / "vgg16"
    done = run_fcn_edge("train", f"folder:{street_folder}", "-o", folder, "--init", start, *QUICK, *BRIEF)
    assert done.returncode == 0, done.stderr
    assert "starting from vgg16.pth, VGG16 of torchvision" in done.stderr
    return folder


def test_the_network_its_weights_and_its_normalisation_are_those_of_the_file(run: Path) -> None:
    checkpoint = load_checkpoint(run / "best.safetensors")
    config = checkpoint.network.config
    assert (config.variant, config.width, config.fc_dim, config.norm) == ("fcn8s", 1 / 16, 16, "none")
    assert checkpoint.preprocessing == TORCHVISION
    state = checkpoint.network.state_dict()
    for name, value in transplant(vgg16(), "none").items():
        assert 0 < float((state[name] - value).abs().max()) < 1.5 * RATE * STEPS, name


def test_the_checkpoint_tells_what_it_started_from(run: Path, start: Path) -> None:
    wanted = {
        "name": "vgg16.pth",
        "kind": "VGG16 of torchvision (RGB, mean and deviation)",
        "sha256": hashlib.sha256(start.read_bytes()).hexdigest(),
    }
    provenance = load_checkpoint(run / "best.safetensors").provenance
    assert provenance["init"] == wanted and provenance["data"].startswith("folder:")
    assert json.loads((run / "config.json").read_text())["init"] == wanted


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Checkpoint]:
    """`train` within this process up to its first step: what it would start with."""

    def start(*words: object) -> Checkpoint:
        held: list[Checkpoint] = []

        def train(fresh: Checkpoint, *others: Any) -> None:
            others[-1]()  # begins
            held.append(fresh)

        monkeypatch.setattr(cli, "train", train)
        done = call_fcn_edge("train", *words)
        assert done.returncode == 0, done.stderr
        return held[0]

    return start


def test_a_resumed_run_keeps_its_normalisation_and_its_origin(
    run: Path, start: Path, street_folder: Path, tmp_path: Path, untrained: Callable[..., Checkpoint]
) -> None:
    """By the same command, though the file of weights is gone, and again by less of it."""
    again = Path(shutil.copytree(run, tmp_path / "run"))
    for more in (["--init", tmp_path / "gone" / start.name], []):
        fresh = untrained(f"folder:{street_folder}", "-o", again, "--resume", *more)
        assert fresh.preprocessing == TORCHVISION and fresh.provenance["init"]["name"] == "vgg16.pth"
        assert fresh.network.config == load_checkpoint(run / "best.safetensors").network.config


def test_a_run_of_before_there_was_init_is_resumed_with_our_own_normalisation(
    run: Path, street_folder: Path, tmp_path: Path, untrained: Callable[..., Checkpoint]
) -> None:
    again = Path(shutil.copytree(run, tmp_path / "run"))
    settings = json.loads((again / "config.json").read_text())
    del settings["init"], settings["preprocessing"]
    (again / "config.json").write_text(json.dumps(settings))
    fresh = untrained(f"folder:{street_folder}", "-o", again, "--resume")
    assert fresh.preprocessing == Preprocessing() and "init" not in fresh.provenance


@pytest.mark.parametrize("init", ["vgg16", "other.pth"])
def test_a_run_is_not_resumed_from_other_weights(init: str, run: Path, street_folder: Path) -> None:
    before = (run / "config.json").read_bytes()
    done = call_fcn_edge("train", f"folder:{street_folder}", "-o", run, "--resume", "--init", init)
    assert_refused(done, 2, "vgg16.pth", init)
    assert (run / "config.json").read_bytes() == before


def test_a_run_from_vgg16_is_exported_and_runs(run: Path, street_folder: Path, tmp_path: Path) -> None:
    """Frames as a camera gives them, masks as the checkpoint makes them."""
    words = ["--size", "64x96", "--data", f"folder:{street_folder}", "--precisions", "fp32", "--no-sensitivity"]
    done = run_fcn_edge("export", run / "best.safetensors", "-o", tmp_path / "bundle", *words)
    assert done.returncode == 0, done.stderr
    checkpoint = CheckpointSession(load_checkpoint(run / "best.safetensors"))
    seen: set[int] = set()
    with open_session(tmp_path / "bundle", engine="onnxruntime") as session:
        for path in sorted((street_folder / "images" / "val").iterdir()):
            frame = cv2.imread(str(path))
            mask = checkpoint.infer(frame)
            assert (session.infer(frame) == mask).mean() > 0.999
            seen |= set(mask.flat)
    assert len(seen) > 1  # or these masks would agree whatever the graph did


def test_a_coarser_run_starts_a_finer_one(
    street_folder: Path, tmp_path: Path, untrained: Callable[..., Checkpoint]
) -> None:
    """The paper's stages from its published coarse network; width and the rest are taken over at each step."""
    wanted = published_fcn("fcn32s", classes=len(STREET_LABELS))
    start = saved(wanted, tmp_path / "fcn32s.pth")
    for variant in ("fcn16s", "fcn8s"):
        words = ["--init", start, "--variant", variant]
        fresh = untrained(f"folder:{street_folder}", "-o", tmp_path / variant, *words)
        start = tmp_path / f"{variant}.safetensors"
        save_checkpoint(start, fresh)
    assert fresh.network.config.variant == "fcn8s" and fresh.preprocessing == CAFFE
    assert fresh.provenance["init"]["init"]["name"] == "fcn32s.pth"
    state = fresh.network.state_dict()
    assert all(torch.equal(state[name], value) for name, value in wanted.items() if name != "upscore.weight")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--width", "0.5"], 2, ("do not fit", "--width 0.0625", "--width 0.5")),
        (["--norm", "batch"], 2, ("do not fit", "--norm none", "--norm batch")),
        (["--fc-dim", "512"], 2, ("do not fit", "--fc-dim 16", "--fc-dim 512")),
        (["--init", "nowhere.pth"], 4, ("nowhere.pth", "vgg16_bn")),
    ],
)
def test_weights_that_cannot_be_used_are_refused_before_anything_is_made(
    options: list[str], code: int, words: tuple[str, ...], start: Path, street_folder: Path, tmp_path: Path
) -> None:
    done = call_fcn_edge("train", f"folder:{street_folder}", "-o", tmp_path / "run", "--init", start, *options)
    assert_refused(done, code, *words)
    assert not (tmp_path / "run").exists()


def test_a_run_that_started_from_nothing_is_not_resumed_from_weights(
    street_folder: Path, tmp_path: Path, start: Path, untrained: Callable[..., Checkpoint]
) -> None:
    run = tmp_path / "run"
    assert "init" not in untrained(f"folder:{street_folder}", "-o", run, "--width", "0.05").provenance
    (run / "last.ckpt").touch()
    done = call_fcn_edge("train", f"folder:{street_folder}", "-o", run, "--resume", "--init", start)
    assert_refused(done, 2, "had no --init")
