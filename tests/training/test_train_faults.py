"""What befalls a training that nobody watches: it is killed, the disk fills, files break, the loss runs away, a second
one is started. It ends in one line or goes on, and no epoch that was done is lost.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from fcn_edge.errors import UsageError
from fcn_edge.training.checkpoint import load_checkpoint
from fcn_edge.training.run_lock import run_lock
from tests.conftest import assert_refused, call_fcn_edge, run_fcn_edge
from tests.runtime import small_disk
from tests.runtime.small_disk import SmallDisk
from tests.training.test_train import SMALL, start, wait_for, weights

EPOCHS = ["--epochs", "16"]  # enough that a busy test meets a training before it is over
BEST, LAST = "best.safetensors", "last.ckpt"

needs_small_disk = pytest.mark.skipif(small_disk.why_not() is not None, reason=str(small_disk.why_not()))


@pytest.fixture(scope="module")
def unbroken(street_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing befell."""
    run = tmp_path_factory.mktemp("runs") / "unbroken"
    train(street_folder, run, *SMALL, *EPOCHS)
    assert load_checkpoint(run / BEST).provenance["epoch"] > 8  # or a resumed run need not have kept a better one
    return run


@pytest.fixture
def copied(street_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(street_folder, tmp_path / "data"))


def epochs_done(run: Path) -> int:
    return int(torch.load(run / LAST, weights_only=False)["epochs_done"])


def train(data: Path, run: Path, *words: str) -> None:
    """In a process of its own: what other tests did to this one (floating-point modes, threads) changes last bits."""
    done = run_fcn_edge("train", f"folder:{data}", "-o", run, *words)
    assert done.returncode == 0, done.stderr


def assert_same_end(run: Path, unbroken: Path) -> None:
    """The same weights, averages, best checkpoint and curves, and nothing left of the attempt before."""
    wanted, got = weights(unbroken), weights(run)
    assert wanted.keys() == got.keys()
    for key, value in wanted.items():
        torch.testing.assert_close(got[key], value, rtol=0, atol=0, msg=key)
    best, best_unbroken = (load_checkpoint(folder / BEST) for folder in (run, unbroken))
    assert best.scores == best_unbroken.scores
    assert best.provenance["epoch"] == best_unbroken.provenance["epoch"]
    curves, curves_unbroken = (json.loads((folder / "report.json").read_text())["curves"] for folder in (run, unbroken))
    assert curves == curves_unbroken
    assert not list(run.glob(".*.part"))


@contextmanager
def in_the_middle_of_an_epoch(picture: Path) -> Iterator[None]:
    """A training waits for this picture, as on a dead network share, when the block begins."""
    whole = picture.with_suffix(".whole")
    pipe = picture.with_suffix(".pipe")
    shutil.copy(picture, whole)
    os.mkfifo(pipe)
    os.replace(pipe, picture)
    opened = until(lambda: opened_for_a_reader(picture))
    yield
    os.close(opened)
    os.replace(whole, picture)


def opened_for_a_reader(pipe: Path) -> int | None:
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # nobody reads
        return None


def until(true: Callable[[], Any], within_s: float = 120) -> Any:
    ends_s = time.monotonic() + within_s
    while not (found := true()):
        assert time.monotonic() < ends_s
        time.sleep(0.01)
    return found


def test_a_run_killed_in_the_middle_of_an_epoch_resumes_to_the_same_end(
    unbroken: Path, copied: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = start(copied, run, *EPOCHS)
    wait_for(process, "epoch 2/16, loss")
    with in_the_middle_of_an_epoch(copied / "images" / "train" / "003.png"):
        process.kill()
        process.communicate(timeout=120)
    train(copied, run, "--resume")
    assert_same_end(run, unbroken)


def test_no_loader_outlives_a_killed_run_and_none_keeps_it_from_resuming(
    unbroken: Path, street_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = start(street_folder, run, *EPOCHS, "--workers", "2")
    wait_for(process, "epoch 2/16, loss")
    loaders = children_of(process.pid)
    assert len(loaders) >= 2
    process.kill()
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL  # or it was over before
    train(street_folder, run, "--resume")
    assert_same_end(run, unbroken)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in loaders))


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


MORTAL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # the kernel kills who writes beyond the limit, at that very byte
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from fcn_edge.__main__ import main
sys.exit(main(sys.argv[2:]))
"""


def start_mortal(limit: int, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MORTAL, str(limit), "train", *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_run_killed_while_it_writes_a_checkpoint_keeps_the_one_before(
    unbroken: Path, street_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = (f"folder:{street_folder}", "-o", str(run), *SMALL, *EPOCHS)
    process = start_mortal(resource.RLIM_INFINITY, *words)
    wait_for(process, "epoch 2/16, loss")
    half = (unbroken / LAST).stat().st_size // 2
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (half, resource.RLIM_INFINITY))
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGXFSZ
    (torn,) = run.glob(f".{LAST}.*.part")
    assert torn.stat().st_size == half
    train(street_folder, run, "--resume")
    assert_same_end(run, unbroken)


def test_a_run_killed_in_its_first_checkpoint_starts_again_by_the_same_command(
    unbroken: Path, street_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    half = (unbroken / LAST).stat().st_size // 2
    process = start_mortal(half, f"folder:{street_folder}", "-o", str(run), *SMALL, *EPOCHS)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGXFSZ and list(run.glob(f".{LAST}.*.part"))
    train(street_folder, run, *SMALL, *EPOCHS)
    assert_same_end(run, unbroken)


LAST_BREATH = """
import os, signal, sys
from fcn_edge.__main__ import main
from fcn_edge.training.callbacks import KeepLast

save = KeepLast.on_train_epoch_end
def save_and_die(self, trainer, module):
    save(self, trainer, module)
    if module.epochs_done == 2:
        os.kill(os.getpid(), signal.SIGKILL)
KeepLast.on_train_epoch_end = save_and_die
sys.exit(main(sys.argv[1:]))
"""


def test_a_run_killed_right_after_a_checkpoint_has_logged_that_epoch(
    unbroken: Path, street_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["train", f"folder:{street_folder}", "-o", str(run), *SMALL, *EPOCHS]
    done = subprocess.run([sys.executable, "-c", LAST_BREATH, *words], capture_output=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL and epochs_done(run) == 2
    train(street_folder, run, "--resume")
    assert_same_end(run, unbroken)


def damage(path: Path) -> None:
    broken = path.with_suffix(".broken")
    broken.write_bytes(b"broken")
    os.replace(broken, path)


@pytest.mark.parametrize(
    ("file", "befall", "workers"), [("images/train/003.png", damage, "1"), ("masks/val/002.png", Path.unlink, "0")]
)
def test_a_file_that_breaks_during_a_training_is_named_and_costs_no_epoch_that_was_done(
    file: str, befall: Callable[[Path], None], workers: str, unbroken: Path, copied: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = start(copied, run, *EPOCHS, "--workers", workers)
    wait_for(process, "epoch 2/16, loss")
    whole = (copied / file).read_bytes()
    befall(copied / file)
    stdout, stderr = process.communicate(timeout=120)
    done = subprocess.CompletedProcess([], process.returncode, stdout, stderr)
    assert_refused(done, 3, str(copied / file), "--resume goes on after epoch ")
    (copied / file).write_bytes(whole)
    train(copied, run, "--resume")
    assert_same_end(run, unbroken)


WILD = ["--learning-rate", "1e30", "--schedule", "fixed"]


@pytest.mark.parametrize("batch_size", ["2", "6"])
def test_a_loss_that_runs_away_leaves_the_checkpoints_from_before(
    batch_size: str, street_folder: Path, tmp_path: Path
) -> None:
    """With all six pictures in a batch, the step that ruins the weights is the last one of its epoch."""
    run, data = tmp_path / "run", f"folder:{street_folder}"
    train(street_folder, run, *SMALL, "--norm", "none", "--epochs", "2")
    before = {file: (run / file).read_bytes() for file in (BEST, LAST)}
    done = call_fcn_edge("train", data, "-o", run, "--resume", "--epochs", "6", "--batch-size", batch_size, *WILD)
    assert_refused(done, 4, "finite loss", "in epoch 3", "--learning-rate", "--resume, from the end of epoch 2")
    assert {file: (run / file).read_bytes() for file in (BEST, LAST)} == before
    train(street_folder, run, "--resume", "--learning-rate", "1e-3", "--schedule", "cosine")
    assert epochs_done(run) == 6


def test_a_second_training_in_a_runs_folder_is_refused_at_once_and_harms_nothing(
    unbroken: Path, street_folder: Path, tmp_path: Path
) -> None:
    run, data = tmp_path / "run", f"folder:{street_folder}"
    process = start(street_folder, run, "--epochs", "5000")
    wait_for(process, "epoch 1/5000, loss")
    second = call_fcn_edge("train", data, "-o", run, *SMALL, *EPOCHS)
    assert_refused(second, 2, str(run), f"process {process.pid} on ", "another -o")
    assert "reading" not in second.stderr
    assert_refused(call_fcn_edge("train", data, "-o", run, "--resume"), 2, f"process {process.pid} on ")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    train(street_folder, run, "--resume", *EPOCHS)


def test_a_lock_dies_with_its_process_though_a_child_of_it_lives_on(tmp_path: Path) -> None:
    holder = f"""
import os, sys, time
from pathlib import Path
from fcn_edge.training.run_lock import run_lock
with run_lock(Path({str(tmp_path)!r})):
    child = os.fork()
    if not child:
        time.sleep(600)
    print(child, flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            with pytest.raises(UsageError, match=f"found process {process.pid} on "), run_lock(tmp_path):
                pass
            process.kill()
            process.wait(120)
            with run_lock(tmp_path):
                assert Path(f"/proc/{child}").exists()
        finally:
            os.kill(child, signal.SIGKILL)


@needs_small_disk
def test_a_disk_that_fills_up_costs_no_epoch_that_was_done(street_folder: Path, unbroken: Path, tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", 16 << 20) as disk:
        words = ["train", f"folder:{street_folder}", "-o", str(disk.folder / "run")]
        program = [*disk.enter, sys.executable, "-m", "fcn_edge", *words]
        process = subprocess.Popen(
            [*program, *SMALL, *EPOCHS], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        wait_for(process, "epoch 2/16, loss")
        disk.fill()
        stdout, stderr = process.communicate(timeout=120)
        done = subprocess.CompletedProcess([], process.returncode, stdout, stderr)
        assert_refused(done, 5, str(disk.folder / "run"), "No space left on device")
        assert load_checkpoint(disk.seen / "run" / BEST).provenance["epoch"] < 16
        still_full = subprocess.run([*program, "--resume"], capture_output=True, text=True, timeout=240, check=False)
        assert_refused(still_full, 5, "No space left on device")
        disk.free()
        resumed = subprocess.run([*program, "--resume"], capture_output=True, text=True, timeout=240, check=False)
        assert resumed.returncode == 0, resumed.stderr
        assert_same_end(disk.seen / "run", unbroken)


@needs_small_disk
def test_a_folder_that_may_not_be_written_is_refused_before_a_picture_is_read(
    street_folder: Path, tmp_path: Path
) -> None:
    """A disk that is mounted for reading alone, which binds root too."""
    with SmallDisk(tmp_path / "disk", 1 << 20) as disk:
        subprocess.run([*disk.enter, "mount", "-o", "remount,ro", str(disk.folder)], check=True)
        words = ["train", f"folder:{street_folder}", "-o", str(disk.folder / "run"), *SMALL]
        done = subprocess.run(
            [*disk.enter, sys.executable, "-m", "fcn_edge", *words],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert_refused(done, 5, str(disk.folder / "run"), "Read-only file system")
    assert "reading" not in done.stderr


def test_a_log_that_cannot_be_written_ends_in_one_line_too(street_folder: Path, unbroken: Path, tmp_path: Path) -> None:
    """TensorBoard's, which grows until it passes the limit that both checkpoints keep."""
    limited = MORTAL.replace("SIG_DFL", "SIG_IGN")
    limit = (unbroken / LAST).stat().st_size * 11 // 10
    words = ["train", f"folder:{street_folder}", "-o", str(tmp_path / "run"), *SMALL, "--epochs", "5000"]
    done = subprocess.run(
        [sys.executable, "-c", limited, str(limit), *words], capture_output=True, text=True, timeout=240, check=False
    )
    assert_refused(done, 5, str(tmp_path / "run"), "File too large")


@pytest.mark.parametrize("more", [[], ["--epochs", "18"]])
def test_a_run_whose_best_checkpoint_was_taken_away_scores_and_keeps_a_new_one(
    more: list[str], unbroken: Path, street_folder: Path, tmp_path: Path
) -> None:
    """Be it done or not."""
    run = Path(shutil.copytree(unbroken, tmp_path / "run"))
    (run / BEST).unlink()
    done = run_fcn_edge("train", f"folder:{street_folder}", "-o", run, "--resume", *more)
    assert done.returncode == 0, done.stderr
    assert load_checkpoint(run / BEST).provenance["epoch"] == (18 if more else 16)
