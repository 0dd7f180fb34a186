"""evaluation_page.py and report_files.py: what a page shows of an evaluation, and the files it becomes."""

from __future__ import annotations

import builtins
import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fcn_edge.chart_png import MARGIN, SCALE
from fcn_edge.contact_sheet import CAPTION, GAP, ROW_HEIGHT
from fcn_edge.errors import OutputError
from fcn_edge.evaluation import evaluate
from fcn_edge.evaluation_page import RED, errors_on_frame, evaluation_sections
from fcn_edge.labels import VOID, LabelSet
from fcn_edge.report import Section, html_page
from fcn_edge.report_files import require_place, save_report
from fcn_edge.svg import WIDTH
from tests.ground.test_evaluation import LABELS, Halves, Mask, guess, halves

FILES = {"report.html", "report.json", "class-iou.png", "confusion.png", "best-frames.png", "worst-frames.png"}
EVIL = "</td><script>\"'&"


def sections(horizons: list[int], labels: LabelSet = LABELS) -> list[Section]:
    dataset = Halves([halves() for _ in horizons], labels)
    return evaluation_sections(evaluate(guess(horizons), dataset, "evaluating"), dataset)


def palette(names: list[str]) -> LabelSet:
    return LabelSet(tuple(names), tuple((number, 0, 255) for number in range(len(names))))


def test_a_page_tells_the_scores_those_at_borders_too() -> None:
    scores = sections([22, 22])[0]
    told = dict(row for row in scores.rows[1:])
    assert told["mean IoU within 3 pixels of a border"] == "46.67" and len(told) == 5
    assert float(told["mean IoU"]) > 85
    assert "2 pictures" in scores.text and "2,400 labelled pixels, 360 of them" in scores.text


def test_a_class_that_never_occurs_has_dashes_and_no_bar() -> None:
    classes = sections([22])[1]
    assert classes.rows[-1] == ["unicorn", "-", "-", "-", "0.00"]
    assert classes.rows[1] == ["sky", "90.91", "60.00", "100.00", "50.00"]
    assert classes.svg.count(">-</text>") == 2


def test_frames_are_named_with_their_mean_iou_the_best_first_and_the_worst_first() -> None:
    best, worst = sections([24, 20, 30])[3:]
    assert best.text == "Mean IoU of each: 1.png 100.00 %, 0.png 81.67 %."
    assert worst.text.startswith("Mean IoU of each: 2.png 5")
    assert best.picture is not None and worst.picture is not None
    column = ROW_HEIGHT * 30 // 40 + GAP
    assert best.picture.shape == (CAPTION + 2 * (ROW_HEIGHT + GAP), 4 * column, 3)
    assert worst.picture.shape == (CAPTION + ROW_HEIGHT + GAP, 4 * column, 3)
    assert all(name in best.svg for name in ("sky", "road", "unicorn"))


def test_errors_are_red_on_the_dim_frame_and_void_is_none() -> None:
    frame, truth, mask = (
        np.full((1, 3, 3), 200, np.uint8),
        np.array([[0, 1, VOID]], np.uint8),
        np.zeros((1, 3), np.uint8),
    )
    assert errors_on_frame(frame, truth, mask, 2)[0].tolist() == [[90, 90, 90], list(RED), [90, 90, 90]]


def test_an_evaluation_of_nothing_has_a_page() -> None:
    dataset = Halves([np.full((8, 8), VOID, np.uint8)])
    found = evaluation_sections(evaluate(lambda frame: halves()[:8, :8], dataset, "evaluating"), dataset)
    assert [section.heading for section in found] == ["Scores", "Classes", "Confusion matrix"]
    assert found[0].rows[3] == ["mean IoU", "-"]
    html_page("nothing", found)


@pytest.mark.parametrize("count", [2, 60, 255])
def test_any_number_of_classes_with_long_names_has_a_page(count: int, tmp_path: Path) -> None:
    names = [f"{number} and a name that is longer than any room for it" for number in range(count)]
    save_report(tmp_path, "many", sections([22, 20], palette(names)), {})
    page = (tmp_path / "report.html").read_text()
    assert all(f"<td>{name}</td>" in page for name in names)
    assert cv2.imread(str(tmp_path / "class-iou.png")).shape[1] == (WIDTH + 2 * MARGIN) * SCALE


def test_names_with_markup_in_them_are_shown_as_they_are(tmp_path: Path) -> None:
    save_report(tmp_path / "page.html", EVIL, sections([22, 20], palette([EVIL, "road"])), {})
    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page and page.count("&lt;script&gt;") > 5


def test_a_folder_gets_the_page_its_pictures_and_its_numbers(tmp_path: Path) -> None:
    target = tmp_path / "new" / "report"
    shown = sections([22, 20])
    save_report(target, "title", shown, {"mean_iou": float("nan")})
    assert {path.name for path in target.iterdir()} == FILES
    assert json.loads((target / "report.json").read_text()) == {"mean_iou": None}
    assert np.array_equal(cv2.imread(str(target / "best-frames.png")), shown[3].picture)
    confusion = cv2.imread(str(target / "confusion.png"))
    assert confusion is not None and confusion.shape[1] == (WIDTH + 2 * MARGIN) * SCALE
    page = (target / "report.html").read_text()
    assert page.count("<svg") == 4 and page.count("data:image/png;base64,") == 2
    assert not re.search(r"https?://|<link|<script|@import|url\(", page)


def test_a_file_is_the_page_alone(tmp_path: Path) -> None:
    save_report(tmp_path / "page.html", "title", sections([22, 20]), {})
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_folder_may_be_called_like_a_page(tmp_path: Path) -> None:
    (tmp_path / "odd.html").mkdir()
    require_place(tmp_path / "odd.html")
    save_report(tmp_path / "odd.html", "title", sections([22, 20]), {})
    assert {path.name for path in (tmp_path / "odd.html").iterdir()} == FILES


def test_without_pillow_the_charts_stand_in_the_page_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "fcn_edge.chart_png":
            raise ModuleNotFoundError("No module named 'PIL'")
        return found(name, *arguments, **more)

    found = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", missing)
    save_report(tmp_path, "title", sections([22, 20]), {})
    assert {path.name for path in tmp_path.iterdir()} == FILES - {"class-iou.png", "confusion.png"}
    assert "pip install pillow" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["file", "file/report", "file/page.html"])
def test_a_place_that_cannot_be_written_is_told_beforehand(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        require_place(tmp_path / place)


def test_an_evaluation_is_shown_without_asking_the_segmenter_again() -> None:
    dataset = Halves([halves()])
    asked: list[Mask] = []

    def segment(frame: Mask) -> Mask:
        asked.append(frame)
        return halves()

    evaluation_sections(evaluate(segment, dataset, "evaluating"), dataset)
    assert len(asked) == 1
