"""From a checkpoint to a bundle: each file exported, opened in the runtime and scored beside the checkpoint."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from calibration.image_set import CalibrationSet
from export.bundle_report import report_json, report_page
from export.contact_sheet import contact_sheet
from export.onnx_export import onnx_from_checkpoint
from export.quantize import int8_cpu_from_onnx
from export.score import open_artifact
from fcn_edge import __version__
from fcn_edge.datasets import Dataset
from fcn_edge.files import sha256_of, whole_folder, write_json
from fcn_edge.manifest import BundleFile, Manifest, ModelFacts, write_manifest
from fcn_edge.progress import say
from fcn_edge.scoring import Comparison, Segment, compare
from fcn_edge.training.checkpoint import Checkpoint

PRECISIONS = ("fp32", "int8-cpu")
CHECKPOINT = "checkpoint"  # the reference's name among the scored artifacts


@dataclass(frozen=True)
class ExportPlan:
    """What to make and what to prove it with."""

    checkpoint: Checkpoint
    checkpoint_path: Path
    size_hw: tuple[int, int]
    labelled: Dataset
    calibration: CalibrationSet
    calibration_method: str
    origin: dict[str, Any]  # names of the data, for the manifest


def export_bundle(plan: ExportPlan, bundle: Path) -> tuple[Manifest, dict[str, Comparison]]:
    """Write the bundle; its manifest, and the scores of the checkpoint and of each file.

    Raises OutputError; a failed export leaves nothing.
    """
    with whole_folder(bundle) as folder:
        provenance = _provenance(plan)
        for precision in PRECISIONS:
            say(f"exporting {precision}")
            _export(plan, precision, ModelFacts(plan.checkpoint.labels, plan.size_hw, precision, provenance), folder)
        comparisons, sheet = _prove(plan, folder)
        files = tuple(_bundle_file(folder, precision, comparisons[precision]) for precision in PRECISIONS)
        manifest = Manifest(plan.checkpoint.labels, plan.size_hw, files, provenance)
        write_manifest(folder, manifest)
        write_json(folder / "report.json", report_json(manifest, comparisons, len(plan.labelled)))
        page = report_page(bundle.name, manifest, comparisons, len(plan.labelled), sheet)
        (folder / "report.html").write_text(page, encoding="utf-8")
    return manifest, comparisons


def _export(plan: ExportPlan, precision: str, facts: ModelFacts, folder: Path) -> None:
    path = graph_path(folder, precision)
    if precision == "fp32":
        onnx_from_checkpoint(plan.checkpoint, facts, path)
    else:
        int8_cpu_from_onnx(graph_path(folder, "fp32"), plan.calibration, plan.calibration_method, facts, path)


def graph_path(folder: Path, precision: str) -> Path:
    return folder / f"model.{precision}.onnx"


def _prove(plan: ExportPlan, folder: Path) -> tuple[dict[str, Comparison], NDArray[np.uint8]]:
    """Open every file where it will be served, score it beside the checkpoint, and draw what they see."""
    with ExitStack() as stack:
        reference = stack.enter_context(open_artifact(plan.checkpoint_path, size_hw=plan.size_hw))
        segments: dict[str, Segment] = {CHECKPOINT: reference.segment}
        for precision in PRECISIONS:
            segments[precision] = stack.enter_context(open_artifact(graph_path(folder, precision))).segment
        comparisons = compare(segments, plan.labelled, "scoring every file")
        return comparisons, contact_sheet(plan.labelled, segments)


def _bundle_file(folder: Path, precision: str, comparison: Comparison) -> BundleFile:
    path = graph_path(folder, precision)
    return BundleFile(path.name, precision, sha256_of(path), path.stat().st_size, comparison.to_json())


def _provenance(plan: ExportPlan) -> dict[str, Any]:
    return {
        **plan.origin,
        "checkpoint_sha256": sha256_of(plan.checkpoint_path),
        "labelled_sha256": plan.labelled.digest(),
        "calibration": {"method": plan.calibration_method, **plan.calibration.to_json()},
        "versions": {
            "fcn_edge": __version__,
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
            "opencv": cv2.__version__,
        },
    }
