"""What may change when a training goes on, what may not, and that a refusal changes nothing."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from fcn_edge.errors import OutputError
from fcn_edge.training.run_lock import LOCK, run_lock
from fcn_edge.training.run_report import run_curves
from tests.conftest import assert_refused, call_fcn_edge
from tests.runtime import small_disk
from tests.runtime.small_disk import SmallDisk
from tests.training.test_train import SMALL, start, wait_for
from tests.training.test_train_faults import children_of

EPOCHS = 4


@pytest.fixture(scope="module")
def done_before(street_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four epochs; not to be changed."""
    run = tmp_path_factory.mktemp("runs") / "run"
    done = call_fcn_edge("train", f"folder:{street_folder}", "-o", run, *SMALL, "--epochs", EPOCHS)
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture
def run(done_before: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done_before, tmp_path / "run"))


def resume(data: Path, run: Path, *words: object) -> Any:
    return call_fcn_edge("train", f"folder:{data}", "-o", run, "--resume", *words)


def contents(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--epochs", 2], ["4 epochs", "--epochs"]),
        (["--batch-size", 3, "--accumulate", 2], ["--batch-size"]),
        (["--optimizer", "sgd"], ["optimizer"]),
        (["--averaging", 0], ["averaging"]),
        (["--crop", "32x32", "--batch-size", 1], ["batch norm"]),
    ],
)
def test_a_refused_resume_leaves_the_run_as_it_was(
    words: list[object], named: list[str], run: Path, street_folder: Path
) -> None:
    before = contents(run)
    assert_refused(resume(street_folder, run, *words), 2, *named)
    assert contents(run) == before


@pytest.mark.parametrize("batch", [1, 4])
def test_another_batch_size_keeps_to_the_schedule(batch: int, run: Path, street_folder: Path) -> None:
    """After half the epochs half the schedule is done, in however many steps."""
    done = resume(street_folder, run, "--epochs", 2 * EPOCHS, "--batch-size", batch)
    assert done.returncode == 0, done.stderr
    rates = run_curves(run / "logs")["learning rate"]
    second_half = [rates[epoch] for epoch in range(EPOCHS + 1, 2 * EPOCHS + 1)]
    assert second_half == sorted(second_half, reverse=True)
    assert second_half[0] > 0.25 * max(rates.values()) and 0 < second_half[-1] < second_half[0] / 4


def test_another_decay_takes_effect(run: Path, street_folder: Path) -> None:
    done = resume(street_folder, run, "--epochs", EPOCHS + 1, "--weight-decay", 0.5)
    assert done.returncode == 0, done.stderr
    (optimiser,) = torch.load(run / "last.ckpt", weights_only=False)["optimizer_states"]
    assert [group["weight_decay"] for group in optimiser["param_groups"]] == [0.5, 0.0]


def test_a_run_that_the_clock_ended_stays_ended_until_the_limit_is_raised(street_folder: Path, tmp_path: Path) -> None:
    run, limit = tmp_path / "run", ["--epochs", 500, "--max-minutes", 0.01]
    first = call_fcn_edge("train", f"folder:{street_folder}", "-o", run, *SMALL, *limit)
    assert first.returncode == 0 and "the time is up after" in first.stderr, first.stderr
    ended = (run / "last.ckpt").read_bytes()
    again = resume(street_folder, run)
    assert again.returncode == 0 and "the time was up after" in again.stderr, again.stderr
    assert (run / "last.ckpt").read_bytes() == ended
    longer = resume(street_folder, run, "--max-minutes", 100, "--epochs", 1 + epochs_done(run))
    assert longer.returncode == 0 and "the time" not in longer.stderr, longer.stderr
    assert (run / "last.ckpt").read_bytes() != ended


def epochs_done(run: Path) -> int:
    return int(torch.load(run / "last.ckpt", weights_only=False)["epochs_done"])


def test_a_loader_that_the_system_killed_ends_in_one_line(street_folder: Path, tmp_path: Path) -> None:
    process = start(street_folder, tmp_path / "run", "--epochs", "500", "--workers", "2")
    wait_for(process, "epoch 2/500, loss")
    for loader in children_of(process.pid):
        os.kill(loader, signal.SIGKILL)
    _, stderr = process.communicate(timeout=120)
    told = [line for line in stderr.splitlines() if line.startswith("fcn-edge: ")]
    assert process.returncode == 75 and len(told) == 1, stderr
    assert "--workers" in told[0] and "--resume" in told[0] and "Traceback" not in stderr


@pytest.mark.skipif(small_disk.why_not() is not None, reason=str(small_disk.why_not()))
def test_a_lock_that_cannot_be_signed_says_so(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", 1 << 20) as disk:
        (disk.seen / LOCK).touch()
        disk.fill()
        with pytest.raises(OutputError, match="No space left"), run_lock(disk.seen):
            pass
