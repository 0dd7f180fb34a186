"""Training as users type it: it learns, stops on Ctrl-C, resumes to the same end, and refuses what it cannot use."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from fcn_edge.training.checkpoint import load_checkpoint
from tests.conftest import assert_refused, run_fcn_edge

SMALL = [
    "--width",
    "0.05",
    "--fc-dim",
    "8",
    "--crop",
    "64x96",
    "--batch-size",
    "2",
    "--workers",
    "0",
    "--precision",
    "32",
]
EPOCHS = ["--epochs", "4"]


@pytest.fixture(scope="module")
def unbroken(street_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four epochs."""
    run = tmp_path_factory.mktemp("runs") / "unbroken"
    done = run_fcn_edge("train", f"folder:{street_folder}", "-o", run, *SMALL, *EPOCHS)
    assert done.returncode == 0, done.stderr
    assert "epoch 4/4, loss" in done.stderr and "mean IoU" in done.stdout
    return run


def test_a_run_leaves_a_scored_checkpoint_and_logs(unbroken: Path, street_folder: Path) -> None:
    checkpoint = load_checkpoint(unbroken / "best.safetensors")
    assert 0 < checkpoint.scores["mean_iou"] < 1 and len(checkpoint.scores["per_class_iou"]) == 11
    assert checkpoint.provenance["data"] == f"folder:{street_folder}"
    assert checkpoint.provenance["config"]["epochs"] == 4
    rows = (unbroken / "logs" / "version_0" / "metrics.csv").read_text().splitlines()
    assert {"loss", "mean_iou", "epoch"} <= set(rows[0].split(",")) and len(rows) >= 5
    assert list((unbroken / "logs" / "version_0").glob("events.out.tfevents.*"))


def test_the_checkpoints_scores_are_what_eval_finds(unbroken: Path, street_folder: Path) -> None:
    done = run_fcn_edge("eval", unbroken / "best.safetensors", f"folder:{street_folder}", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    stored = load_checkpoint(unbroken / "best.safetensors").scores
    assert found == stored
    assert set(found) == {"pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou", "per_class_iou"}


def weights(run: Path) -> dict[str, torch.Tensor]:
    content = torch.load(run / "last.ckpt", weights_only=False)
    return {
        **content["current_model_state"],
        **{f"average {key}": value for key, value in content["state_dict"].items()},
    }


def start(street_folder: Path, run: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fcn_edge", "train", f"folder:{street_folder}", "-o", str(run), *SMALL, *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], words: str) -> list[str]:
    """The lines of stderr until one holds `words`."""
    lines: list[str] = []
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError("".join(lines))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_resumes_to_the_same_end(
    how: signal.Signals, unbroken: Path, street_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = start(street_folder, run, *EPOCHS)
    wait_for(process, "epoch 2/4, loss")
    process.send_signal(how)
    _, stderr = process.communicate(timeout=60)
    if how == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL  # or it was over before
    else:
        assert process.returncode == 0 and "--resume" in stderr and "Traceback" not in stderr
    assert not list(run.glob(".*.part")) or how == signal.SIGKILL
    done = run_fcn_edge("train", f"folder:{street_folder}", "-o", run, "--resume")
    assert done.returncode == 0, done.stderr
    wanted, got = weights(unbroken), weights(run)
    assert wanted.keys() == got.keys()
    for key, value in wanted.items():
        torch.testing.assert_close(got[key], value, rtol=0, atol=0, msg=key)
    assert load_checkpoint(run / "best.safetensors").scores == load_checkpoint(unbroken / "best.safetensors").scores


def test_ctrl_c_before_the_first_epoch_ends_keeps_a_run_to_resume(street_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(street_folder, run, "--epochs", "500")
    while not (run / "last.ckpt").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    done = run_fcn_edge("train", f"folder:{street_folder}", "-o", run, "--resume", "--max-minutes", "0.01")
    assert done.returncode == 0, done.stderr


def test_a_finished_run_resumes_to_itself(unbroken: Path, street_folder: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(unbroken, tmp_path / "run"))
    done = run_fcn_edge("train", f"folder:{street_folder}", "-o", run, "--resume")
    assert done.returncode == 0, done.stderr
    assert load_checkpoint(run / "best.safetensors").scores == load_checkpoint(unbroken / "best.safetensors").scores


def test_a_run_is_never_overwritten(unbroken: Path, street_folder: Path) -> None:
    before = (unbroken / "best.safetensors").read_bytes()
    done = run_fcn_edge("train", f"folder:{street_folder}", "-o", unbroken, *SMALL, *EPOCHS)
    assert_refused(done, 2, "--resume", str(unbroken))
    assert (unbroken / "best.safetensors").read_bytes() == before


def test_another_network_cannot_resume_a_run(unbroken: Path, street_folder: Path) -> None:
    done = run_fcn_edge("train", f"folder:{street_folder}", "-o", unbroken, "--resume", "--width", "0.1")
    assert_refused(done, 2, "width")


def test_other_classes_cannot_resume_a_run(unbroken: Path, tmp_path: Path, street_folder: Path) -> None:
    data = Path(shutil.copytree(street_folder, tmp_path / "data"))
    classes = json.loads((data / "labels.json").read_text())
    classes["classes"][0]["name"], classes["classes"][1]["name"] = "building", "sky"
    (data / "labels.json").write_text(json.dumps(classes))
    before = {path.name: path.read_bytes() for path in unbroken.iterdir() if path.is_file()}
    assert_refused(run_fcn_edge("train", f"folder:{data}", "-o", unbroken, "--resume"), 2, "classes")
    assert {path.name: path.read_bytes() for path in unbroken.iterdir() if path.is_file()} == before


def test_other_pictures_cannot_resume_a_run(unbroken: Path, tmp_path: Path, street_folder: Path) -> None:
    data = Path(shutil.copytree(street_folder, tmp_path / "data"))
    cv2.imwrite(str(data / "images" / "train" / "000.png"), np.zeros((64, 96, 3), np.uint8))
    before = (unbroken / "best.safetensors").read_bytes()
    assert_refused(run_fcn_edge("train", f"folder:{data}", "-o", unbroken, "--resume"), 2, "data of the run")
    assert (unbroken / "best.safetensors").read_bytes() == before


@pytest.mark.parametrize("keep", [0, 1000])
def test_a_damaged_run_is_refused(keep: int, unbroken: Path, street_folder: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(unbroken, tmp_path / "run"))
    (run / "last.ckpt").write_bytes((run / "last.ckpt").read_bytes()[:keep])
    assert_refused(run_fcn_edge("train", f"folder:{street_folder}", "-o", run, "--resume"), 4, "last.ckpt")


def test_a_best_checkpoint_without_its_run_is_never_overwritten(
    unbroken: Path, street_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    shutil.copy(unbroken / "best.safetensors", tmp_path / "run")
    assert_refused(run_fcn_edge("train", f"folder:{street_folder}", "-o", tmp_path / "run", *SMALL), 2, "another -o")


@pytest.mark.parametrize(
    "wrong",
    [
        ["--seed", "-1"],
        ["--seed", "99999999999"],
        ["--learning-rate", "-1"],
        ["--learning-rate", "nan"],
        ["--weight-decay", "-1"],
        ["--width", "nan"],
        ["--width", "0"],
        ["--crop", "32x32", "--batch-size", "1"],
        ["--epochs", "0"],
        ["--at-once", "--variant", "fcn32s"],
        pytest.param(["--precision", "fp16"], marks=pytest.mark.skipif(torch.cuda.is_available(), reason="it could")),
    ],
)
def test_impossible_settings_are_refused(wrong: list[str], street_folder: Path, tmp_path: Path) -> None:
    done = run_fcn_edge("train", f"folder:{street_folder}", "-o", tmp_path / "run", *SMALL, *wrong)
    assert_refused(done, 2)
    assert not (tmp_path / "run" / "last.ckpt").exists()


def test_ctrl_c_reaches_the_helpers_too_and_stops_in_order(street_folder: Path, tmp_path: Path) -> None:
    """A terminal sends Ctrl-C to the whole group, the processes that read pictures included."""
    command = [
        "train",
        f"folder:{street_folder}",
        "-o",
        str(tmp_path / "run"),
        *SMALL,
        "--workers",
        "2",
        "--epochs",
        "500",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "fcn_edge", *command], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(process, "epoch 2/500, loss")
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert stderr.count("stopping after this step") == 1 and "Traceback" not in stderr


def test_there_must_be_a_run_to_resume(street_folder: Path, tmp_path: Path) -> None:
    assert_refused(run_fcn_edge("train", f"folder:{street_folder}", "-o", tmp_path, "--resume"), 2, "last.ckpt")


def test_a_time_limit_ends_the_training_after_a_whole_epoch(street_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    limit = ["--epochs", "500", "--max-minutes", "0.03"]
    done = run_fcn_edge("train", f"folder:{street_folder}", "-o", run, *SMALL, *limit)
    assert done.returncode == 0, done.stderr
    assert 1 <= load_checkpoint(run / "best.safetensors").provenance["epoch"] < 500


def test_the_last_epoch_is_always_validated(street_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = run_fcn_edge("train", f"folder:{street_folder}", "-o", run, *SMALL, "--epochs", "3", "--validate-every", "7")
    assert done.returncode == 0, done.stderr
    assert load_checkpoint(run / "best.safetensors").provenance["epoch"] == 3


def test_a_loss_that_is_not_finite_ends_with_4(street_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    wild = ["--learning-rate", "1e30", "--schedule", "cosine", "--norm", "none", "--epochs", "50"]
    done = run_fcn_edge("train", f"folder:{street_folder}", "-o", run, *SMALL, *wild)
    assert_refused(done, 4, "finite loss", "--learning-rate")
    assert (run / "last.ckpt").exists()


@pytest.fixture
def copied(street_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(street_folder, tmp_path / "data"))


def refused(data: Path, tmp_path: Path, code: int, *words: str) -> None:
    done = run_fcn_edge("train", f"folder:{data}", "-o", tmp_path / "run", *SMALL, "--epochs", "1")
    assert_refused(done, code, *words)
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_an_unreadable_mask_is_named(copied: Path, tmp_path: Path) -> None:
    (copied / "masks" / "train" / "003.png").write_bytes(b"broken")
    refused(copied, tmp_path, 3, "003.png")


def test_a_mask_with_ids_outside_the_labels_is_named(copied: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(copied / "masks" / "train" / "002.png"), np.full((64, 96), 77, np.uint8))
    refused(copied, tmp_path, 3, "002.png", "77")


def test_a_missing_mask_is_named(copied: Path, tmp_path: Path) -> None:
    (copied / "masks" / "val" / "001.png").unlink()
    refused(copied, tmp_path, 3, "001.png")


@pytest.mark.parametrize("workers", ["0", "1"])
def test_an_unreadable_picture_is_named(copied: Path, tmp_path: Path, workers: str) -> None:
    (copied / "images" / "train" / "004.png").write_bytes(b"broken")
    done = run_fcn_edge(
        "train", f"folder:{copied}", "-o", tmp_path / "run", *SMALL, "--epochs", "1", "--workers", workers
    )
    assert_refused(done, 3, "004.png")


def test_a_mask_of_another_size_is_named(copied: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(copied / "masks" / "train" / "005.png"), np.zeros((10, 10), np.uint8))
    refused(copied, tmp_path, 3, "005.png")


def test_an_empty_split_is_named(copied: Path, tmp_path: Path) -> None:
    shutil.rmtree(copied / "images" / "val")
    (copied / "images" / "val").mkdir()
    refused(copied, tmp_path, 3, "val")


def test_an_unlabelled_split_is_refused(copied: Path, tmp_path: Path) -> None:
    shutil.rmtree(copied / "masks" / "train")
    refused(copied, tmp_path, 3, "no masks")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", tmp_path, 3, "nowhere")


def test_an_unwritable_output_is_refused_before_training(street_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run_fcn_edge("train", f"folder:{street_folder}", "-o", tmp_path / "file" / "run", *SMALL, "--epochs", "1")
    assert_refused(done, 5, str(tmp_path / "file"))
    assert "epoch" not in done.stderr


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from fcn_edge.__main__ import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("limit", [6_000, 60_000])
def test_a_full_disk_ends_with_5_and_leaves_no_half_file(limit: int, street_folder: Path, tmp_path: Path) -> None:
    """A limit on file sizes stands for the disk: writes fail in the middle of a checkpoint."""
    run = tmp_path / "run"
    words = ["train", f"folder:{street_folder}", "-o", str(run), *SMALL, "--epochs", "1"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ,
    )
    assert_refused(done, 5, str(run))
    assert not (run / "best.safetensors").exists() and not (run / "last.ckpt").exists()
    assert not list(run.glob(".*.part"))
