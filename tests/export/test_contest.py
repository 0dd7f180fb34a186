"""export.contest: the best calibration wins, on labelled pictures that calibrate nothing; without any it is skipped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.image_set import CalibrationSet, pick
from calibration.ranges import BINS, Histogram
from calibration.thresholds import METHODS, thresholds
from export.contest import CHANCE, HELD_OUT, ceilings_of, contest, held_out, judge, set_sizes
from export.prover import Recipe
from fcn_edge.datasets import Dataset, open_dataset
from fcn_edge.manifest import ModelFacts, read_manifest
from fcn_edge.metrics import Scores
from fcn_edge.scoring import Comparison
from tests.conftest import Done, assert_refused, call_fcn_edge

Judgement = Callable[[float], tuple[float, float]]  # a ceiling to mean IoU and agreement


class Stub:
    """A prover that judges a recipe by its one ceiling alone."""

    facts: ModelFacts

    def __init__(self, told: Judgement) -> None:
        self.told = told
        self.tries: list[Recipe] = []

    def tried(self, recipe: Recipe) -> Comparison:
        self.tries.append(recipe)
        mean_iou, agreement = self.told(recipe.ceilings["conv"])
        return Comparison(Scores(0, 0, mean_iou, 0, {}), agreement, agreement, 0, None, {}, ())


def snapshots_of(*counts: int) -> dict[int, dict[str, Histogram]]:
    """Histograms on which every method and size has a ceiling of its own."""
    made = {}
    for count in counts:
        histogram = Histogram()
        values = np.random.default_rng(count).exponential(1 + count, 200_000).astype(np.float32)
        histogram.add(values)
        made[count] = {"conv": histogram}
    return made


SNAPSHOTS = snapshots_of(8, 16, 32)
CEILINGS = {(method, count): thresholds(SNAPSHOTS[count], method)["conv"] for method in METHODS for count in SNAPSHOTS}


def entries(told: Judgement, precision: str = "int8") -> tuple[Stub, list[tuple[str, int]]]:
    stub = Stub(told)
    found = contest(stub, precision, SNAPSHOTS)  # type: ignore[arg-type]
    assert {entry.precision for entry in found} == {precision}
    return stub, [(entry.method, entry.count) for entry in found]


def test_every_method_and_size_of_these_tests_has_a_ceiling_of_its_own() -> None:
    assert len(set(CEILINGS.values())) == len(CEILINGS) == 15 and SNAPSHOTS[8]["conv"].counts.size == BINS


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("count", [8, 16, 32])
def test_the_calibration_of_the_highest_mean_iou_wins(method: str, count: int) -> None:
    """Judged by distance to its ceiling; its whole set must be the best method's for its part to be tried."""
    best = {CEILINGS[method, 32]: 0.8, CEILINGS[method, count]: 0.9}
    _, ranked = entries(lambda ceiling: (best.get(ceiling, 0.1), 0.5))
    assert ranked[0] == (method, count)


def test_all_methods_are_tried_on_the_whole_set_and_the_best_on_its_parts() -> None:
    stub, ranked = entries(lambda ceiling: (0.9 if ceiling == CEILINGS["mse", 32] else 0.5, 0.5))
    assert sorted(ranked) == sorted([*((method, 32) for method in METHODS), ("mse", 8), ("mse", 16)])
    assert [recipe.precision for recipe in stub.tries] == ["int8"] * 7 and not any(recipe.kept for recipe in stub.tries)


def test_among_mean_ious_that_chance_may_tell_apart_the_agreement_decides() -> None:
    """And of equals the first that was tried."""
    near, far = 0.5 - 0.9 * CHANCE, 0.5 - 1.1 * CHANCE
    best, agreeing = CEILINGS["mse", 32], CEILINGS["entropy", 32]
    for second, winner in ((near, "entropy"), (far, "mse")):
        mean_ious = {best: 0.5, agreeing: second}
        told = lambda ceiling, found=mean_ious: (found.get(ceiling, 0.1), 0.9 if ceiling == agreeing else 0.5)  # noqa: E731
        assert entries(told)[1][0] == (winner, 32)
    assert entries(lambda _: (0.5, 0.5))[1][0] == (next(iter(METHODS)), 32)


def test_those_behind_are_told_by_mean_iou() -> None:
    """However well their masks agree."""
    stub = Stub(lambda ceiling: (10 / ceiling, ceiling / 1000))
    found = [entry.mean_iou for entry in contest(stub, "int8", SNAPSHOTS)]  # type: ignore[arg-type]
    assert found == sorted(found, reverse=True) and found[0] - found[-1] > 10 * CHANCE


def test_the_winners_ceilings_are_those_it_was_tried_with() -> None:
    stub = Stub(lambda ceiling: (-ceiling, 0.5))
    found = contest(stub, "int8", SNAPSHOTS)[0]  # type: ignore[arg-type]
    assert ceilings_of(found, SNAPSHOTS) == {"conv": CEILINGS[found.method, found.count]}
    assert (
        found.mean_iou == -CEILINGS[found.method, found.count] == max(-recipe.ceilings["conv"] for recipe in stub.tries)
    )


def test_sets_of_a_fourth_and_a_half_are_tried_too() -> None:
    assert set_sizes(64) == [16, 32, 64] and set_sizes(3) == [1, 3] and set_sizes(1) == [1]


@pytest.fixture(scope="module")
def streets(street_folder: Path) -> Dataset:
    return open_dataset(f"folder:{street_folder}", "train")


def test_pictures_held_out_calibrate_nothing(streets: Dataset) -> None:
    pictures = pick(streets, 4, seed=3)
    assert sorted([*held_out(pictures), *pictures.indices]) == list(range(6))


def test_pictures_are_held_out_by_lot_as_many_as_judge_and_the_same_for_the_same_seed() -> None:
    class Many:
        def __len__(self) -> int:
            return 500

    first = CalibrationSet(Many(), tuple(range(100, 120)), 1)  # type: ignore[arg-type]
    assert len(held_out(first)) == HELD_OUT and held_out(first) == held_out(first) == sorted(held_out(first))
    assert held_out(first) != held_out(replace(first, seed=2))
    assert max(held_out(first)) > 200


def test_nobody_judges_without_a_labelled_picture_held_out(
    streets: Dataset, street_folder: Path, tmp_path: Path
) -> None:
    prover = Stub(lambda _: (0, 0))
    prover.facts = ModelFacts(streets.labels, (64, 96), "fp32")  # no file: nothing is opened
    assert judge(prover, pick(streets, 6)) is None  # type: ignore[arg-type]
    unlabelled = Path(shutil.copytree(street_folder, tmp_path / "data"))
    shutil.rmtree(unlabelled / "masks")
    assert judge(prover, pick(open_dataset(f"folder:{unlabelled}", "train"), 2)) is None  # type: ignore[arg-type]


# -- in an export -------------------------------------------------------------------------------------------------


def test_the_manifest_names_the_winner_of_the_contest(tiny_bundle: Path) -> None:
    contests = json.loads((tiny_bundle / "report.json").read_text())["contests"]
    assert set(contests) == {"int8", "int8-cpu"}
    for precision, found in contests.items():
        file = read_manifest(tiny_bundle).file(precision)
        assert file is not None
        highest = max(entry["mean_iou"] for entry in found)
        near = [entry for entry in found if entry["mean_iou"] >= highest - CHANCE]
        best = max(near, key=lambda entry: entry["agreement"])
        assert {key: found[0][key] for key in best} == best
        assert file.calibration == {"method": best["method"], "count": best["count"]}
        assert {entry["method"] for entry in found} == set(METHODS) and {entry["count"] for entry in found} == {1, 2, 4}


def test_the_manifest_names_the_pictures_and_their_digest(tiny_bundle: Path, streets: Dataset) -> None:
    calibration = read_manifest(tiny_bundle).provenance["calibration"]
    pictures = pick(streets, 4)
    assert calibration["method"] == "contest"
    assert calibration["pictures"] == pictures.names() and calibration["sha256"] == pictures.digest()
    assert (calibration["count"], calibration["seed"]) == (4, 0)


def export(checkpoint: Path, folder: Path, data: Path, *more: object) -> Done:
    words = ["-o", folder / "bundle", "--size", "64x96", "--data", f"folder:{data}", "--no-sensitivity", "--allow-drop"]
    return call_fcn_edge("export", checkpoint, *words, *more)


def test_with_every_picture_calibrating_there_is_no_contest_and_it_is_said(
    tiny_checkpoint: Path, street_folder: Path, tmp_path: Path
) -> None:
    done = export(tiny_checkpoint, tmp_path, street_folder, "--calibration-count", 6, "--precisions", "int8-cpu")
    assert done.returncode == 0, done.stderr
    assert "no labelled picture is left to judge calibrations of int8-cpu: minmax is taken" in done.stderr
    assert json.loads((tmp_path / "bundle" / "report.json").read_text())["contests"] == {}
    file = read_manifest(tmp_path / "bundle").file("int8-cpu")
    assert file is not None and file.calibration == {"method": "minmax", "count": 6}


def test_a_method_that_is_named_needs_no_contest(tiny_checkpoint: Path, street_folder: Path, tmp_path: Path) -> None:
    more = ["--calibration-count", 4, "--precisions", "int8-cpu", "--calibration-method", "percentile-99.99"]
    done = export(tiny_checkpoint, tmp_path, street_folder, *more)
    assert done.returncode == 0 and "contest" not in done.stderr
    file = read_manifest(tmp_path / "bundle").file("int8-cpu")
    assert file is not None and file.calibration == {"method": "percentile-99.99", "count": 4}
    assert json.loads((tmp_path / "bundle" / "report.json").read_text())["contests"] == {}


def test_calibration_pictures_with_other_labels_calibrate_but_do_not_judge(
    tiny_checkpoint: Path, street_folder: Path, tmp_path: Path
) -> None:
    """Ranges need no labels, so pictures of any label set will do; a contest needs the model's own."""
    other = Path(shutil.copytree(street_folder, tmp_path / "other"))
    labels = {"classes": [{"id": 0, "name": "thing", "rgb": [1, 2, 3]}, {"id": 1, "name": "stuff", "rgb": [4, 5, 6]}]}
    (other / "labels.json").write_text(json.dumps(labels))
    for path in (other / "masks" / "train").iterdir():
        assert cv2.imwrite(str(path), np.zeros((64, 96), np.uint8))
    more = ["--calibration", f"folder:{other}", "--calibration-count", 3, "--precisions", "int8-cpu"]
    done = export(tiny_checkpoint, tmp_path, street_folder, *more)
    assert done.returncode == 0, done.stderr
    assert "no labelled picture is left to judge" in done.stderr


@pytest.mark.parametrize("method", ["percentile", "kl", ""])
def test_a_method_that_nobody_knows_is_refused(method: str, tiny_checkpoint: Path, street_folder: Path) -> None:
    done = export(tiny_checkpoint, Path("nowhere"), street_folder, "--calibration-method", method)
    assert_refused(done, 2, "percentile-99.999")
