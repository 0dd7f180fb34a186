"""What a bundle tells of itself: report.json for programs, report.html that needs nothing from outside."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from calibration.thresholds import METHODS
from fcn_edge.contact_sheet import ROW_HEIGHT
from fcn_edge.manifest import read_manifest

PRECISIONS = ("fp32", "fp16", "int8", "int8-cpu")
FRACTIONS = ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou", "agreement", "boundary_agreement")


@pytest.fixture(scope="module")
def report(tiny_bundle: Path) -> dict[str, Any]:
    return dict(json.loads((tiny_bundle / "report.json").read_text()))


@pytest.fixture(scope="module")
def page(tiny_bundle: Path) -> str:
    return (tiny_bundle / "report.html").read_text(encoding="utf-8")


def test_the_report_says_its_version_and_all_its_parts(report: dict[str, Any]) -> None:
    assert report["schema_version"] == 2
    assert set(report) == {
        "schema_version",
        "size_hw",
        "pictures_scored",
        "labelled",
        "max_miou_drop",
        "artifacts",
        "files",
        "other_engines",
        "engines",
        "contests",
        "sensitivity",
        "repairs",
        "latency",
        "provenance",
    }
    assert (report["size_hw"], report["pictures_scored"], report["labelled"]) == ([64, 96], 4, True)
    assert report["max_miou_drop"] == 0.005 and report["repairs"] == {}


def test_every_artifact_has_scores_and_how_they_differ_from_the_checkpoints(report: dict[str, Any]) -> None:
    assert tuple(report["artifacts"]) == ("checkpoint", *PRECISIONS)
    own = report["artifacts"]["checkpoint"]
    assert own["agreement"] == own["boundary_agreement"] == 1 and own["mean_iou_drop"] == 0
    for found in report["artifacts"].values():
        assert all(0 <= found[name] <= 1 for name in FRACTIONS)
        assert found["mean_iou_drop"] == pytest.approx(own["mean_iou"] - found["mean_iou"], abs=1e-12)
        lower, upper = found["mean_iou_drop_interval"]
        assert lower <= upper
        for name, drop in found["per_class_drop"].items():
            assert drop == pytest.approx(own["per_class_iou"][name] - found["per_class_iou"][name], abs=1e-12)
        assert len(found["per_class_drop"]) == 11


def test_files_are_told_as_the_manifest_tells_them(report: dict[str, Any], tiny_bundle: Path) -> None:
    manifest = json.loads((tiny_bundle / "manifest.json").read_text())
    assert report["files"] == manifest["files"] and report["provenance"] == manifest["provenance"]
    for file in report["files"]:
        assert file["bytes"] == (tiny_bundle / file["name"]).stat().st_size
        assert file["proxy"] == (file["precision"] in ("fp16", "int8")) and file["scored_on"]


def test_sensitivity_tells_what_each_layer_costs_the_file_that_loses_most(report: dict[str, Any]) -> None:
    ((precision, costs),) = report["sensitivity"].items()
    drops = {name: report["artifacts"][name]["mean_iou_drop"] for name in ("int8", "int8-cpu")}
    assert drops[precision] == max(drops.values())
    assert len(costs) == 15 and {tuple(sorted(cost)) for cost in costs} == {("disagreement", "drop", "layer", "share")}
    ranks = [(cost["drop"], cost["disagreement"]) for cost in costs]
    assert ranks == sorted(ranks, reverse=True)
    assert sum(cost["share"] for cost in costs) == pytest.approx(1)


def test_latency_is_of_what_is_meant_for_this_machine_which_is_named(report: dict[str, Any]) -> None:
    latency = report["latency"]
    assert set(latency["median_ms_of_each_round"]) == {"fp32", "int8-cpu"}
    assert all(len(rounds) == 7 and min(rounds) > 0 for rounds in latency["median_ms_of_each_round"].values())
    assert latency["machine"]["processor"] and latency["machine"]["cores"] >= 1


class Links(HTMLParser):
    """Whatever a page would load or lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    links = Links()
    links.feed(page)
    assert links.found and all(link.startswith("data:image/png;base64,") for link in links.found)
    assert not links.tags & {"script", "link", "iframe", "object"}
    assert not re.search(r"url\(|@import|https?://", page)


def test_the_page_has_every_part_and_numbers_of_the_report(page: str, report: dict[str, Any]) -> None:
    headings = re.findall("<h2>(.*?)</h2>", page)
    (ranked,) = report["sensitivity"]
    assert headings[:3] == ["Against the checkpoint", "Scores in percent", "Lost by each class, points of IoU"]
    assert f"What each layer costs {ranked}" in headings
    assert {f"Calibration contest for {name}" for name in ("int8", "int8-cpu")} <= set(headings)
    assert headings[-3:] == ["Frames and masks", "Calibration", "Origin"]
    for name in PRECISIONS:
        assert f"{100 * report['artifacts'][name]['agreement']:.2f}" in page
    assert all(method in page for method in METHODS) and "pedestrian" in page


def test_the_pages_pictures_show_frame_truth_and_every_mask(page: str, tiny_bundle: Path) -> None:
    pictures = [
        cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        for data in re.findall(r'base64,([^"]+)"', page)
    ]
    widths = [picture.shape[1] // (ROW_HEIGHT * 96 // 64) for picture in pictures]
    assert widths == [5, 7]  # frame, truth, checkpoint, file, differing; frame, truth, checkpoint and four files
    assert all(picture.shape[0] > 4 * ROW_HEIGHT for picture in pictures)


def test_the_worst_frames_are_those_that_agree_least(page: str, report: dict[str, Any]) -> None:
    worst = min(PRECISIONS, key=lambda name: report["artifacts"][name]["agreement"])
    section = page.split(f"Where {worst} disagrees most with the checkpoint</h2>")[1]
    told = [float(value) for value in re.findall(r"\.png ([\d.]+) %", section.split("<img")[0])]
    assert len(told) == 4 and told == sorted(told)
    assert np.mean(told) == pytest.approx(100 * report["artifacts"][worst]["agreement"], abs=0.01)


def test_names_are_shown_as_text_whatever_they_hold(tiny_bundle: Path) -> None:
    from fcn_edge.report import Section, html_page

    assert "<script>" not in html_page("<script>", [Section("<script>", "<script>", [["<script>"], ["<script>"]])])


def test_the_manifests_files_open_with_their_classes(tiny_bundle: Path) -> None:
    assert read_manifest(tiny_bundle).precisions == PRECISIONS
