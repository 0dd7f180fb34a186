"""The report of `fcn-edge eval`: the page that a training ends with, of any artifact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fcn_edge import __version__
from fcn_edge.datasets import Dataset
from fcn_edge.evaluation import Evaluation
from fcn_edge.evaluation_page import evaluation_sections
from fcn_edge.report import Section
from fcn_edge.report_files import save_report


def save_eval_report(target: Path, evaluation: Evaluation, dataset: Dataset, origin: Mapping[str, str]) -> None:
    """FILE.html, or a folder's report.html, report.json and PNGs; raises OutputError."""
    told = {**origin, "fcn-edge": __version__}
    sections = [*evaluation_sections(evaluation, dataset), Section("Origin", rows=[["what", "value"], *_rows(told)])]
    title = f"{origin['model']} on {origin['data']}, {origin['split']}"
    save_report(target, title, sections, {**evaluation.to_json(), "origin": told})


def _rows(content: Mapping[str, str]) -> list[list[str]]:
    return [[name, value] for name, value in content.items()]
