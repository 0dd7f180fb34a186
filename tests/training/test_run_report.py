"""What a run leaves for people: report.html, PNGs, curves over its resumptions, and a gallery in TensorBoard."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fcn_edge.chart_png import MARGIN, SCALE
from fcn_edge.contact_sheet import contact_sheet
from fcn_edge.datasets import open_dataset
from fcn_edge.svg import WIDTH
from fcn_edge.training.checkpoint import load_checkpoint
from fcn_edge.training.evaluate import CheckpointSession
from fcn_edge.training.gallery import ROW_HEIGHT
from fcn_edge.training.run_report import run_curves
from tests.conftest import assert_refused, call_fcn_edge
from tests.training.test_train import SMALL, start, wait_for

PICTURES = ("curves", "class-iou", "confusion", "best-frames", "worst-frames")
EPOCHS = ["--epochs", "4"]
EVIL = "<script>alert(1)</script>&"


@pytest.fixture(scope="module")
def run(street_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reported") / "run"
    done = call_fcn_edge("train", f"folder:{street_folder}", "-o", folder, *SMALL, *EPOCHS)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("scoring the best checkpoint") == 1  # the report asks for no second pass
    return folder


def curves(run: Path) -> dict[str, dict[str, float]]:
    return dict(json.loads((run / "report.json").read_text())["curves"])


def test_a_run_ends_with_a_page_of_all_that_people_look_at(run: Path) -> None:
    page = (run / "report.html").read_text()
    headings = re.findall("<h2>(.*?)</h2>", page)
    assert headings[0] == "Course of the training" and headings[-1] == "Origin"
    assert headings[1:-1] == ["Scores", "Classes", "Confusion matrix", "Best frames", "Worst frames"]
    scores = load_checkpoint(run / "best.safetensors").scores
    assert f"<td>mean IoU</td><td>{100 * scores['mean_iou']:.2f}</td>" in page
    assert "<td>config.epochs</td><td>4</td>" in page
    assert not re.search(r"https?://|<link|<script|@import|url\(", page)


@pytest.mark.parametrize("name", PICTURES)
def test_a_run_ends_with_pictures(name: str, run: Path) -> None:
    picture = cv2.imread(str(run / f"{name}.png"))
    assert picture is not None and picture.shape[0] > 200
    wide = 4 * (180 * 96 // 64 + 4) if "frames" in name else (WIDTH + 2 * MARGIN) * SCALE
    assert picture.shape[1] == wide and picture.std() > 5


def test_curves_have_every_epoch_and_every_validation(run: Path) -> None:
    found = curves(run)
    assert list(found) == ["loss", "mean IoU", "learning rate"]
    assert list(found["loss"]) == list(found["learning rate"]) == ["1", "2", "3", "4"]
    assert list(found["mean IoU"]) == ["2", "4"]
    assert 0 < found["learning rate"]["4"] < max(found["learning rate"].values()) <= 1.5e-3


def test_a_killed_run_has_the_same_curves_once_it_was_resumed(run: Path, street_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(street_folder, folder, *EPOCHS)
    wait_for(process, "epoch 2/4, loss")
    process.kill()
    process.communicate(timeout=60)
    assert not (folder / "report.html").exists()
    done = call_fcn_edge("train", f"folder:{street_folder}", "-o", folder, "--resume")
    assert done.returncode == 0, done.stderr
    assert curves(folder) == curves(run)
    assert all((folder / f"{name}.png").is_file() for name in PICTURES)


def test_a_finished_run_that_is_resumed_is_reported_again(run: Path, street_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    (folder / "report.html").unlink()
    done = call_fcn_edge("train", f"folder:{street_folder}", "-o", folder, "--resume")
    assert done.returncode == 0, done.stderr
    assert curves(folder) == curves(run) and (folder / "report.html").is_file()


def test_a_validation_after_the_end_counts_for_the_last_epoch(street_folder: Path, tmp_path: Path) -> None:
    words = [*SMALL, "--epochs", "3", "--validate-every", "7"]
    done = call_fcn_edge("train", f"folder:{street_folder}", "-o", tmp_path / "run", *words)
    assert done.returncode == 0, done.stderr
    assert list(curves(tmp_path / "run")["mean IoU"]) == ["3"]


LOGS: list[tuple[list[str], dict[str, Any]]] = [
    ([], {}),
    (["epoch,loss,mean_iou\n"], {}),
    (["epoch,loss\n0,2.0\n1,1.0\n"], {"loss": {1: 2.0, 2: 1.0}}),
    (["epoch,loss\n0,2.0\n1,1.0\n2,9.0\n", "epoch,loss\n1,1.5\n"], {"loss": {1: 2.0, 2: 1.5}}),
    (["epoch,loss\n0,2.0\n1,1."], {"loss": {1: 2.0, 2: 1.0}}),
    (["epoch,loss\n0,2.0\n1"], {"loss": {1: 2.0}}),
    (["epoch,loss,mean_iou\n0,2.0,nan\n"], {"loss": {1: 2.0}}),
    (["epoch,loss\n0,2.0\n"] + ["epoch,loss\n"] * 9 + ["epoch,loss\n1,1.0\n"], {"loss": {1: 2.0, 2: 1.0}}),
]


@pytest.mark.parametrize(("logs", "wanted"), LOGS)
def test_logs_of_one_run_are_one_course(logs: list[str], wanted: dict[str, Any], tmp_path: Path) -> None:
    """A later log counts from where it goes on; what was cut off is left out."""
    for number, content in enumerate(logs):
        (tmp_path / f"version_{number}").mkdir()
        (tmp_path / f"version_{number}" / "metrics.csv").write_text(content)
    assert run_curves(tmp_path) == wanted


def test_tensorboard_has_the_scalars_and_a_gallery_of_each_validation(run: Path) -> None:
    events = EventAccumulator(str(run / "logs" / "version_0")).Reload()
    assert {"loss", "mean_iou", "pixel_accuracy", "learning_rate"} <= set(events.Tags()["scalars"])
    shown = events.Images("validation")
    assert len(shown) == 2 and shown[0].step < shown[1].step
    assert max(len(one.encoded_image_string) for one in shown) < 200_000


def test_a_gallery_shows_the_same_frames_with_their_truth_and_what_the_network_says(
    run: Path, street_folder: Path
) -> None:
    events = EventAccumulator(str(run / "logs" / "version_0")).Reload()
    first, second = (decoded(one.encoded_image_string) for one in events.Images("validation"))
    column = ROW_HEIGHT * 96 // 64 + 4
    assert np.array_equal(first[:, : 2 * column], second[:, : 2 * column])  # frame and truth
    best = load_checkpoint(run / "best.safetensors")
    shown = {2: first, 4: second}[best.provenance["epoch"]]
    streets = open_dataset(f"folder:{street_folder}", "val")
    masks = {"mask": lambda index: CheckpointSession(best).segment(streets.image(index))}
    wanted = contact_sheet(streets, masks, range(4), ROW_HEIGHT)
    assert np.array_equal(shown, wanted)


def decoded(png: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR))


def test_names_with_markup_and_classes_that_never_occur_have_a_page(street_folder: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(street_folder, tmp_path / "data"))
    labels = json.loads((data / "labels.json").read_text())
    labels["classes"][0]["name"] = EVIL
    labels["classes"].append({"id": 11, "name": "unicorn", "rgb": [255, 0, 255]})
    (data / "labels.json").write_text(json.dumps(labels))
    folder = tmp_path / "a <b> run"
    done = call_fcn_edge("train", f"folder:{data}", "-o", folder, *SMALL, "--epochs", "1")
    assert done.returncode == 0, done.stderr
    page = (folder / "report.html").read_text()
    assert "<script" not in page and "a <b> run" not in page and "&lt;script&gt;alert(1)" in page
    assert re.search(r"<td>unicorn</td><td>(-|0\.00)</td><td>(-|0\.00)</td><td>-</td><td>0\.00</td>", page)


def test_a_report_that_cannot_be_written_ends_with_5_and_keeps_the_run(
    run: Path, street_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    before = load_checkpoint(folder / "best.safetensors").scores
    (folder / "report.html").unlink()
    (folder / "report.html").mkdir()
    done = call_fcn_edge("train", f"folder:{street_folder}", "-o", folder, "--resume")
    assert_refused(done, 5, "report.html")
    assert load_checkpoint(folder / "best.safetensors").scores == before
    assert not list(folder.glob(".*.part"))
