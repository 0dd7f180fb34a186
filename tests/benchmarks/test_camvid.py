"""CamVid's benchmarks: bands as evaluations have them, and no training by hand that is not by the recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from benchmarks.camvid.band_chart import band_chart
from benchmarks.camvid.runs import spread
from benchmarks.camvid.skips import bands_of
from benchmarks.camvid.train import RECIPE, require_recipe
from fcn_edge.datasets import open_dataset
from fcn_edge.evaluation import evaluate
from fcn_edge.scoring import BAND
from fcn_edge.training.checkpoint import load_checkpoint
from fcn_edge.training.cli import train_command
from fcn_edge.training.evaluate import CheckpointSession
from fcn_edge.training.options import settings_of
from fcn_edge.training.recipe import read_recipe


def test_a_band_is_that_of_an_evaluation(tiny_checkpoint: Path, street_folder: Path) -> None:
    dataset = open_dataset(f"folder:{street_folder}", "val")
    evaluation = evaluate(CheckpointSession(load_checkpoint(tiny_checkpoint)).segment, dataset, "scoring")
    assert bands_of(tiny_checkpoint, dataset)[BAND - 1] == evaluation.border_scores().mean_iou


def test_a_spread_tells_mean_least_and_largest_in_percent() -> None:
    assert spread([0.5, 0.6, None]) == "55.0 (50.0 - 60.0)"
    assert (spread([0.5]), spread([None])) == ("50.0", "-")


def test_names_of_lines_that_end_together_do_not_cover_each_other() -> None:
    svg = band_chart({"one": [0.1, 0.5], "other": [0.2, 0.5], "third": [0.1, 0.3]})
    places = {name: float(svg.split(f">{name}<")[0].rsplit(' y="', 1)[1].split('"')[0]) for name in ("one", "other")}
    assert abs(places["one"] - places["other"]) >= 13


@pytest.mark.parametrize(
    ("changed", "told"), [({}, ""), ({"epochs": 50}, "epochs 220, found 50"), ({"seed": 1}, "seed 0, found 1")]
)
def test_a_run_by_hand_must_be_by_the_recipe(changed: dict[str, Any], told: str, tmp_path: Path) -> None:
    settings = read_recipe(RECIPE, settings_of(click.Context(train_command)))
    written = {**settings, "crop_hw": [288, 384], "seed": 0, "max_minutes": 112.0, **changed}
    (tmp_path / "config.json").write_text(json.dumps(written))
    if not told:
        require_recipe(tmp_path, 0)
        return
    with pytest.raises(click.UsageError, match=told):
        require_recipe(tmp_path, 0)
