"""A bundle: a folder of proved files with manifest and report, whole or not at all; or refused with the evidence."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from export.bundle_report import file_latencies, report_json, report_page
from export.evidence import Evidence
from export.exporter import Exporter, ExportPlan, graph_path
from export.prover import PROXIED
from fcn_edge.errors import ModelError
from fcn_edge.files import sha256_of, whole_file, whole_folder, write_json
from fcn_edge.manifest import BundleFile, Manifest, write_manifest
from fcn_edge.progress import say


def export_bundle(plan: ExportPlan, bundle: Path) -> tuple[Manifest, Evidence]:
    """Write the bundle; its manifest and the evidence.

    Raises OutputError, and ModelError for a file over the budget; then only the evidence is left, in
    `BUNDLE.refused.html`. A failed export leaves nothing.
    """
    with whole_folder(bundle) as folder:
        exporter = Exporter(plan, folder)
        evidence = exporter.run()
        manifest = Manifest(
            plan.checkpoint.labels, plan.size_hw, _files(evidence, folder, plan.max_drop), exporter.provenance
        )
        evidence.latencies = file_latencies(plan, folder, list(evidence.proofs))
        page = report_page(bundle.name, manifest, plan, evidence)
        refused = refusal(evidence, plan)
        if refused and not plan.allow_drop:
            _leave(_refused(bundle), page)
            raise refused
        write_manifest(folder, manifest)
        write_json(folder / "report.json", report_json(manifest, plan, evidence))
        (folder / "report.html").write_text(page, encoding="utf-8")
    with suppress(OSError):
        _refused(bundle).unlink()  # of an earlier attempt
    return manifest, evidence


def _refused(bundle: Path) -> Path:
    return bundle.with_name(f"{bundle.name}.refused.html")


def _leave(path: Path, page: str) -> None:
    with whole_file(path) as partial:
        partial.write_text(page, encoding="utf-8")
    say(f"evidence: {path}")


def refusal(evidence: Evidence, plan: ExportPlan) -> ModelError | None:
    """What to tell of files over the budget; None if every file holds it."""
    worst = max(evidence.over(plan.max_drop), key=lambda name: evidence.proofs[name].comparison.drop or 0, default=None)
    if worst is None:
        return None
    found = evidence.proofs[worst].comparison
    lower, upper = found.drop_interval or (0.0, 0.0)
    blamed = "".join(f", most by {name}" for name in _to_blame(evidence, worst))
    mendable = worst != "fp32" and not plan.repair
    cure = "--repair to keep the worst layers in float" if mendable else "--allow-drop to take it all the same"
    return ModelError(
        f"model.{worst}.onnx: wanted at most {100 * plan.max_drop:g} points of mean IoU lost, found "
        f"{100 * (found.drop or 0):.3g} ({100 * lower:.2f} to {100 * upper:.2f}{blamed}); export with {cure}"
    )


def _to_blame(evidence: Evidence, precision: str) -> list[str]:
    """The costliest layers in one string, if any: those which cost at least a tenth of the costliest one."""
    costs = [cost for cost in evidence.costs.get(precision, []) if cost.drop and cost.drop > 0]
    named = [cost.layer for cost in costs[:3] if cost.drop and costs[0].drop and cost.drop > 0.1 * costs[0].drop]
    return [", ".join(named)] if named else []


def _files(evidence: Evidence, folder: Path, budget: float) -> tuple[BundleFile, ...]:
    files = []
    for name, proof in evidence.proofs.items():
        path = graph_path(folder, name)
        files.append(
            BundleFile(
                name=path.name,
                precision=name,
                sha256=sha256_of(path),
                bytes=path.stat().st_size,
                scores=proof.comparison.to_json(),
                scored_on=proof.device,
                proxy=name in PROXIED and name not in evidence.engines,
                float_layers=tuple(sorted(evidence.recipes[name].kept)),
                calibration=evidence.winners.get(name, {}),
                proved_on=evidence.proved_on(name, budget),
            )
        )
    return tuple(files)
