"""`fcn-edge bench` as typed with --compare, --card and --against."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

import runtime.bench.card_cli
import runtime.bench.compare_cli
from runtime.bench.card import read_card
from runtime.bench.spells import Pace
from tests.conftest import assert_refused, call_fcn_edge

QUICK = Pace(limit_s=5.0, within=1.0, spells=3, rounds=2, block_s=0.01, warmup_s=0.01)
ALONE = ("--frames", "3", "--warmup", "0")


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime.bench.card_cli, "PACE", QUICK)
        patch.setattr(runtime.bench.compare_cli, "Pace", lambda seconds: QUICK)
        yield


@pytest.fixture(scope="module")
def written_card(quick: None, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cards") / "card.json"
    done = call_fcn_edge("bench", tiny_bundle, *ALONE, "--engine", "onnxruntime", "--threads", 1, "--card", path)
    assert done.returncode == 0, done.stderr
    assert f"the card is in {path}: 3 spells" in done.stderr
    return path


@pytest.fixture
def card(written_card: Path, tmp_path: Path) -> Path:
    """To be changed at will."""
    return Path(shutil.copy(written_card, tmp_path))


def test_compare_prints_a_table_with_verdicts_and_saves_figures_and_picture(
    tiny_bundle: Path, street_folder: Path, tmp_path: Path
) -> None:
    models = [tiny_bundle, f"{tiny_bundle},fp32,onnxruntime,threads=1"]
    plot, figures = tmp_path / "plot.png", tmp_path / "figures.json"
    saved = ["--plot", plot, "--json", figures, "--data", f"folder:{street_folder}"]
    done = call_fcn_edge("bench", "--compare", *models, *saved)
    assert done.returncode == 0, done.stderr
    assert "time / first" in done.stdout and "mIoU %" in done.stdout and " spells of 2 rounds" in done.stdout
    assert cv2.imread(str(plot)).shape[1] > 1000
    told = json.loads(figures.read_text())
    assert [row["mean_iou_of"] for row in told["models"]] == ["measured", "measured"]
    assert told["models"][1]["engine"] == "onnxruntime" and told["machine"]["cores"]


def test_compare_prints_nothing_but_json_when_asked_and_options_are_for_all(tiny_bundle: Path) -> None:
    models = [tiny_bundle, f"{tiny_bundle},int8-cpu"]
    done = call_fcn_edge("bench", "--compare", *models, "--json", "-", "--engine", "onnxruntime", "--precision", "fp32")
    rows = json.loads(done.stdout)["models"]
    assert [(row["engine"], row["precision"]) for row in rows] == [("onnxruntime", "fp32"), ("onnxruntime", "int8-cpu")]


def test_a_page_of_a_comparison_holds_chart_and_table(tiny_bundle: Path, tmp_path: Path) -> None:
    lone = tiny_bundle / "model.fp32.onnx"
    done = call_fcn_edge("bench", "--compare", lone, lone, "--plot", tmp_path / "plot.html")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "plot.html").read_text()
    assert "<svg" in page and "model.fp32.onnx (2)" in page and "spells of" in page


def test_a_card_keeps_how_the_model_was_served_and_what_it_was(card: Path, tiny_bundle: Path) -> None:
    kept = read_card(card)
    assert (kept.served.engine, kept.served.precision, kept.served.threads) == ("onnxruntime", "int8-cpu", 1)
    assert (kept.served.frame_hw, kept.model.name, kept.result.frames) == ((64, 96), tiny_bundle.name, 3)
    assert len(kept.spells_ms) == len(kept.yardstick_ms) == 3


def test_against_measures_as_the_card_says_and_tells(card: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    done = call_fcn_edge("bench", tiny_bundle, "--against", card, "--json", tmp_path / "told.json")
    assert done.returncode == 0, done.stderr
    verdict = done.stdout.splitlines()[0].rsplit(": ", 1)[1]
    assert verdict in ("slower", "faster", "the same", "cannot tell")
    assert "on a machine of the same kind" in done.stdout and "that leaves" in done.stdout
    assert json.loads((tmp_path / "told.json").read_text())["verdict"] == verdict


def test_a_file_of_the_cards_bundle_is_its_model_too_and_another_is_not(card: Path, tiny_bundle: Path) -> None:
    done = call_fcn_edge("bench", tiny_bundle / "model.int8-cpu.onnx", "--against", card, "--json", "-")
    assert done.returncode == 0, done.stderr
    other = ("bench", tiny_bundle / "model.fp32.onnx", "--against", card)
    assert_refused(call_fcn_edge(*other), 4, "wanted the model of the card", "--allow-other-model")


def test_another_model_is_measured_where_that_is_allowed(card: Path, tiny_bundle: Path) -> None:
    content = json.loads(card.read_text())
    content["model"]["onnx_sha256"] = 64 * "0"
    card.write_text(json.dumps(content))
    assert_refused(call_fcn_edge("bench", tiny_bundle, "--against", card), 4, "wanted the model of the card")
    assert call_fcn_edge("bench", tiny_bundle, "--against", card, "--allow-other-model").returncode == 0


def test_what_became_far_slower_fails_where_that_was_asked(card: Path, tiny_bundle: Path) -> None:
    content = json.loads(card.read_text())
    for key, factor in (("spells_ms", 0.001), ("yardstick_ms", 1)):
        content[key] = [[factor * block for block in blocks] for blocks in content[key]]
    card.write_text(json.dumps(content))
    assert call_fcn_edge("bench", tiny_bundle, "--against", card).returncode == 0
    done = call_fcn_edge("bench", tiny_bundle, "--against", card, "--fail-if-slower", 10)
    assert_refused(done, 4, "at most 10 % longer than on the card")
    assert "slower" in done.stdout


def test_a_card_that_is_none_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text("{}")
    assert_refused(call_fcn_edge("bench", tiny_bundle, "--against", path), 3, "wanted a card", str(path))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--compare"], "two models or more"),
        (["{model}"], "measure several in turns with --compare"),
        (["--data", "synthetic:"], "found --data without --compare"),
        (["--fail-if-slower", "3"], "found --fail-if-slower without"),
        (["{model}", "--compare", "--rate", "5"], "found --rate with --compare"),
        (["{model}", "--compare", "--card", "c.json"], "found --card with --compare"),
        (["--against", "c.json", "--engine", "openvino"], "found --engine with --against"),
        (["--against", "c.json", "--compare"], "found --against with --compare"),
        (["--card", "c.json", "--pictures", "x.png"], "wanted --card or --pictures"),
        (["--card", "c.json", "--rate", "25"], "wanted --card or --rate"),
        (["--frames", "9", "--seconds", "2"], "wanted --frames or --seconds"),
        (["{model}", "--compare", "--split", "test"], "found --split alone"),
        (["{model},fp32,tensorflow", "--compare"], "found 'tensorflow'"),
        (["{model}x,fp32", "--compare"], "found nothing at"),
        (["{model},fp16,openvino-gpu", "--compare"], "wanted OpenVINO's GPU"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(flags: list[str], words: str, tiny_bundle: Path) -> None:
    done = call_fcn_edge("bench", tiny_bundle, *(flag.format(model=tiny_bundle) for flag in flags))
    assert done.returncode in (2, 4)
    assert_refused(done, done.returncode, words)
