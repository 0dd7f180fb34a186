"""What a bundle tells of itself: report.json for programs, report.html for people, a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_edge.manifest import Manifest
from fcn_edge.report import Section, html_page, percent, score_rows
from fcn_edge.scoring import Comparison

REPORT_VERSION = 1


def report_json(manifest: Manifest, comparisons: Mapping[str, Comparison], pictures: int) -> dict[str, Any]:
    return {
        "schema_version": REPORT_VERSION,
        "size_hw": list(manifest.size_hw),
        "pictures_scored": pictures,
        "artifacts": {name: comparison.to_json() for name, comparison in comparisons.items()},
        "provenance": manifest.provenance,
    }


def report_page(
    name: str, manifest: Manifest, comparisons: Mapping[str, Comparison], pictures: int, sheet: NDArray[np.uint8]
) -> str:
    height, width = manifest.size_hw
    scored = f"Frames {height}x{width}, {len(manifest.labels)} classes, scored on {pictures} labelled pictures."
    scores = {column: comparison.scores for column, comparison in comparisons.items()}
    origin = [
        ["what", "value"],
        *([key, str(value)] for key, value in manifest.provenance.items() if not isinstance(value, dict)),
    ]
    calibration = manifest.provenance["calibration"]
    return html_page(
        f"Bundle {name}",
        [
            Section("Against the checkpoint", scored, comparison_rows(comparisons, manifest)),
            Section("Scores in percent", rows=[["", *scores], *score_rows(scores)]),
            Section("Frames, truth and masks", picture=sheet),
            Section("Origin", rows=origin),
            Section(
                "Calibration",
                f"{calibration['count']} pictures, method {calibration['method']}, seed {calibration['seed']}.",
            ),
        ],
    )


def comparison_rows(comparisons: Mapping[str, Comparison], manifest: Manifest) -> list[list[str]]:
    """A table, header first: each artifact's mean IoU, its loss against the first (the checkpoint), agreement, size."""
    reference = next(iter(comparisons.values())).scores.mean_iou
    rows = [["file", "mean IoU %", "lost, points", "masks agree %", "MB"]]
    for name, comparison in comparisons.items():
        file = manifest.file(name)
        points = round(100 * (reference - comparison.scores.mean_iou), 2) + 0.0  # + 0.0: no "-0.00"
        lost = f"{points:.2f}" if file else ""
        size = f"{file.bytes / 1e6:.2f}" if file else ""
        rows.append([name, percent(comparison.scores.mean_iou), lost, percent(comparison.agreement), size])
    return rows
