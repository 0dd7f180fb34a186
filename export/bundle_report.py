"""What a bundle tells of itself: report.json for programs, report.html for people, a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.contest import Entry
from export.engine_proof import engine_rows
from export.evidence import Evidence
from export.exporter import ExportPlan, graph_path
from export.prover import PROXIED
from export.repair import Step
from export.score import open_artifact, points
from export.sensitivity import LayerCost
from fcn_edge.contact_sheet import contact_sheet, spread
from fcn_edge.images import fit_frame
from fcn_edge.labels import VOID
from fcn_edge.manifest import Manifest
from fcn_edge.report import Section, html_page, percent, score_rows
from fcn_edge.scoring import Comparison
from runtime.bench.interleaved import interleaved
from runtime.machine import machine

REPORT_VERSION = 2
CHECKPOINT = "checkpoint"  # the reference's name among the scored artifacts
ROUNDS, FRAMES = 7, 5  # of latency: a first look; `fcn-edge bench` measures
WORST = 4  # frames that disagree most, as pictures


def file_latencies(plan: ExportPlan, folder: Path, precisions: Sequence[str]) -> dict[str, list[float]]:
    """Frame to mask on this machine, in turns, of the files that are meant for it."""
    with ExitStack() as stack:
        segments = {
            name: stack.enter_context(open_artifact(graph_path(folder, name), plan.cpu_engine)).segment
            for name in precisions
            if name not in PROXIED
        }
        return interleaved(segments, fit_frame(plan.proving.image(0), plan.size_hw), ROUNDS, FRAMES)


def report_json(manifest: Manifest, plan: ExportPlan, evidence: Evidence) -> dict[str, Any]:
    return {
        "schema_version": REPORT_VERSION,
        "size_hw": list(manifest.size_hw),
        "pictures_scored": len(plan.proving),
        "labelled": plan.proving.has_masks,
        "max_miou_drop": plan.max_drop,
        "artifacts": {name: comparison.to_json() for name, comparison in comparisons(evidence).items()},
        "files": [asdict(file) for file in manifest.files],
        "other_engines": {
            name: {engine: comparison.to_json() for engine, comparison in found.items()}
            for name, found in evidence.elsewhere.items()
        },
        "engines": [engine.to_json() for engine in evidence.engines.values()],
        "contests": {name: [asdict(entry) for entry in entries] for name, entries in evidence.contests.items()},
        "sensitivity": {name: [asdict(cost) for cost in costs] for name, costs in evidence.costs.items()},
        "repairs": {name: [_step_json(step) for step in steps] for name, steps in evidence.steps.items()},
        "latency": {"machine": machine(), "median_ms_of_each_round": evidence.latencies},
        "provenance": manifest.provenance,
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "kept": step.kept,
        "mean_iou_drop": step.comparison.drop,
        "low_share": step.low_share,
        "latency_against_fp32": step.latency,
    }


def comparisons(evidence: Evidence) -> dict[str, Comparison]:
    """The checkpoint first, then each file."""
    return {CHECKPOINT: evidence.own, **{name: proof.comparison for name, proof in evidence.proofs.items()}}


def report_page(name: str, manifest: Manifest, plan: ExportPlan, evidence: Evidence) -> str:
    """One self-contained page; what was not found out has no section."""
    sections = [
        _verdict(manifest, plan, evidence),
        *_score_sections(evidence),
        *_engine_sections(manifest, evidence),
        *(_sensitivity(name, costs) for name, costs in evidence.costs.items()),
        *(_repair(name, steps) for name, steps in evidence.steps.items()),
        *(_contest(name, entries) for name, entries in evidence.contests.items()),
        _worst_frames(plan, evidence),
        _sheet(plan, evidence),
        _calibration(manifest),
        _origin(manifest),
    ]
    return html_page(f"Bundle {name}", sections)


def _verdict(manifest: Manifest, plan: ExportPlan, evidence: Evidence) -> Section:
    height, width = manifest.size_hw
    labelled = "labelled pictures" if plan.proving.has_masks else "pictures without labels: only masks are compared"
    over = evidence.over(plan.max_drop)
    verdict = f"over it: {', '.join(over)}" if over else "every file holds it"
    budget = f" Budget {100 * plan.max_drop:.2f} points of mean IoU, {verdict}." if plan.proving.has_masks else ""
    text = f"Frames {height}x{width}, {len(manifest.labels)} classes, scored on {len(plan.proving)} {labelled}.{budget}"
    return Section("Against the checkpoint", text, bundle_rows(manifest, evidence))


def bundle_rows(manifest: Manifest, evidence: Evidence) -> list[list[str]]:
    """A table, header first: a row for the checkpoint and each file."""
    header = ["file", "mean IoU %", "lost, points", "95 % interval", "masks agree %", "at borders %", "MB", "ms"]
    rows = [header, [CHECKPOINT, _mean_iou(evidence.own), *[""] * 6]]
    for file in manifest.files:
        found = evidence.proofs[file.precision].comparison
        interval = found.drop_interval
        rows.append(
            [
                f"{file.precision}{' (proxy)' if file.proxy else ''}",
                _mean_iou(found),
                points(found.drop),
                f"{points(interval[0])} to {points(interval[1])}" if interval else "",
                percent(found.agreement),
                percent(found.boundary_agreement),
                f"{file.bytes / 1e6:.2f}",
                _milliseconds(evidence, file.precision),
            ]
        )
    return rows


def _milliseconds(evidence: Evidence, precision: str) -> str:
    return f"{median(evidence.latencies[precision]):.1f}" if precision in evidence.latencies else ""


def _mean_iou(comparison: Comparison) -> str:
    return percent(comparison.scores.mean_iou) if comparison.scores else ""


def _score_sections(evidence: Evidence) -> list[Section]:
    scored = {name: found.scores for name, found in comparisons(evidence).items() if found.scores}
    if not scored:
        return []
    drops = {name: proof.comparison.per_class_drop for name, proof in evidence.proofs.items()}
    classes = list(next(iter(drops.values())))
    lost = [["class", *drops], *([name, *(points(drop[name]) for drop in drops.values())] for name in classes)]
    return [
        Section("Scores in percent", rows=[["", *scored], *score_rows(scored)]),
        Section("Lost by each class, points of IoU", rows=lost),
    ]


def _engine_sections(manifest: Manifest, evidence: Evidence) -> list[Section]:
    """Where each file was proved, and the engines that were built of it."""
    rows = [["file", "engine", "mean IoU %", "lost, points", "masks agree %", ""]]
    for name, others in evidence.elsewhere.items():
        file = manifest.file(name)
        assert file is not None
        for engine, found in others.items():
            proved = "" if engine in file.proved_on else "over the budget"
            rows.append([name, engine, _mean_iou(found), points(found.drop), percent(found.agreement), proved])
    sections = [Section("The same files on other engines", rows=rows)] if len(rows) > 1 else []
    if evidence.engines:
        sections.append(Section("Engines of TensorRT", rows=engine_rows(evidence.engines.values())))
    return sections


def _sensitivity(name: str, costs: Sequence[LayerCost]) -> Section:
    rows = [["layer", "mean IoU lost, points", "pixels changed %", "share of the work %"]]
    for cost in costs:
        rows.append([cost.layer, points(cost.drop), percent(cost.disagreement), percent(cost.share)])
    return Section(
        f"What each layer costs {name}", "Each layer alone in the lower precision, the costliest first.", rows
    )


def _repair(name: str, steps: Sequence[Step]) -> Section:
    rows = [["kept in float", "mean IoU lost, points", "work in low precision %", "latency against fp32"]]
    for step in steps:
        latency = "" if step.latency is None else f"{step.latency:.2f}x"
        kept = ", ".join(step.kept) or "nothing"
        rows.append([kept, points(step.comparison.drop), percent(step.low_share), latency])
    return Section(f"Repair of {name}", "The costliest layers stay in float until the budget holds.", rows)


def _contest(name: str, entries: Sequence[Entry]) -> Section:
    rows = [["method", "pictures", "mean IoU %", "masks agree with fp32 %"]]
    for entry in entries:
        rows.append([entry.method, str(entry.count), percent(entry.mean_iou), percent(entry.agreement)])
    return Section(
        f"Calibration contest for {name}",
        "On labelled pictures held out. Mean IoU decides; among those nearer than chance, the agreement.",
        rows,
    )


def _worst_frames(plan: ExportPlan, evidence: Evidence) -> Section:
    """Of the file that agrees least."""
    name, proof = min(evidence.proofs.items(), key=lambda item: item[1].comparison.agreement)
    agreement = np.array(proof.comparison.per_picture)
    worst = [int(index) for index in np.argsort(agreement, kind="stable")[:WORST]]

    def differing(index: int) -> NDArray[np.uint8]:
        mask = proof.answers.mask(index)
        return np.where(mask == evidence.reference.mask(index), np.uint8(VOID), mask)

    columns = {CHECKPOINT: evidence.reference.mask, name: proof.answers.mask, "differing": differing}
    told = ", ".join(f"{plan.proving.name(index)} {percent(float(agreement[index]))} %" for index in worst)
    picture = contact_sheet(plan.proving, columns, worst)
    return Section(f"Where {name} disagrees most with the checkpoint", f"Pixels that agree: {told}.", picture=picture)


def _sheet(plan: ExportPlan, evidence: Evidence) -> Section:
    columns = {CHECKPOINT: evidence.reference.mask, **{name: p.answers.mask for name, p in evidence.proofs.items()}}
    return Section("Frames and masks", picture=contact_sheet(plan.proving, columns, spread(len(plan.proving))))


def _calibration(manifest: Manifest) -> Section:
    calibration = manifest.provenance.get("calibration")
    if not calibration:
        return Section("Calibration", "None: fp32 needs no ranges.")
    rows = [["file", "ranges", "pictures", "kept in float32"]]
    for file in manifest.files[1:]:
        chosen = file.calibration
        kept = ", ".join(file.float_layers) or "no layer"
        rows.append([file.name, str(chosen.get("method", "")), str(chosen.get("count", "")), kept])
    text = f"{calibration['count']} pictures, seed {calibration['seed']}, sha256 {calibration['sha256'][:16]}."
    return Section("Calibration", text, rows)


def _origin(manifest: Manifest) -> Section:
    plain = {key: value for key, value in manifest.provenance.items() if not isinstance(value, dict)}
    rows = [["what", "value"], *([key, str(value)] for key, value in plain.items())]
    for file in manifest.files:
        rows.append([file.name, f"scored on {file.scored_on}; proved on {', '.join(file.proved_on) or 'none'}"])
    return Section("Origin", rows=rows)
