"""report.py: tables and pages show the numbers and names they are given, and nothing breaks on odd names."""

import base64
import re

import cv2
import numpy as np
import pytest

from fcn_edge.metrics import Scores
from fcn_edge.report import HEADLINES, Section, html_page, percent, print_scores, score_rows

SCORES = Scores(0.9, 0.8, 0.7, 0.6, {"sky": 0.95, "road": None})


def scores_of_class(name: str) -> Scores:
    return Scores(0.9, 0.8, 0.7, 0.6, {name: 0.55})


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.0, "0.00"), (1.0, "100.00"), (0.12345, "12.35"), (None, "-"), (float("nan"), "-")]
)
def test_a_fraction_is_a_percent_of_two_places(fraction: float | None, text: str) -> None:
    assert percent(fraction) == text


def test_rows_are_the_four_scores_then_the_classes_and_a_column_is_an_artifact() -> None:
    rows = score_rows({"fp32": SCORES, "int8": Scores(0.5, 0.4, 0.3, 0.2, {"sky": None, "road": 0.1})})
    assert [row[0] for row in rows] == [*(name for _, name in HEADLINES), "sky", "road"]
    assert rows[0] == ["pixel accuracy", "90.00", "50.00"]
    assert rows[3] == ["frequency-weighted IoU", "60.00", "20.00"]
    assert rows[4:] == [["sky", "95.00", "-"], ["road", "-", "10.00"]]


def test_scores_are_printed_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    print_scores({"val": SCORES}, "best, 4 pictures")
    out, err = capsys.readouterr()
    assert err == ""
    for word in ("best, 4 pictures", "val", "mean IoU", "70.00", "sky", "95.00"):
        assert word in out


@pytest.mark.parametrize("name", ["[road]", "[/road]", "road [m]", ":car:"])
def test_names_of_classes_splits_and_files_are_printed_as_they_are(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    print_scores({f"split {name}": scores_of_class(f"class {name}")}, f"file {name}")
    out = capsys.readouterr().out
    for kind in ("split", "class", "file"):
        assert f"{kind} {name}" in out


def test_a_page_shows_what_it_is_given_in_order() -> None:
    page = html_page("Bundle", [Section("One", text="words"), Section("Two", rows=[["a", "b"], ["1", "2"]])])
    assert page.startswith("<!doctype html>")
    places = [page.index(part) for part in ("<h1>Bundle", "<h2>One", "<p>words", "<h2>Two", "<th>a", "<td>1", "<td>2")]
    assert places == sorted(places)


def test_no_name_becomes_markup_of_the_page() -> None:
    evil = "<script>\"'&"
    picture = np.zeros((2, 2, 3), np.uint8)
    page = html_page(evil, [Section(evil, evil, [[evil], [evil]], picture)])
    assert "<script>" not in page
    assert page.count("&lt;script&gt;&quot;&#x27;&amp;") == 7  # title, h1, h2, p, th, td, alt


def test_a_picture_is_in_the_page_itself_with_its_pixels() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    page = html_page("t", [Section("s", picture=picture)])
    sources = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(sources) == 1
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(sources[0]), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(shown, picture)


def test_a_page_wants_nothing_from_outside() -> None:
    page = html_page("t", [Section("s", "words", [["a"], ["b"]], np.zeros((2, 2, 3), np.uint8))])
    assert not re.search(r"https?://|<link|<script|@import|url\(", page)
    assert all(source.startswith("data:") for source in re.findall(r'(?:src|href)="([^"]*)"', page))
