"""Whether each engine gives the checkpoint's masks: every file of a bundle on every CPU engine, on labelled pictures.

.venv/bin/python -m benchmarks.engines runs/edge/best.safetensors runs/edge-bundle camvid:PATH/TO/camvid
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchmarks.told import facts
from export.score import open_artifact, points
from fcn_edge.datasets import Dataset, open_dataset
from fcn_edge.files import write_json
from fcn_edge.manifest import read_manifest
from fcn_edge.scoring import Answers, answer, compare

RESULT = Path(__file__).parent / "results" / "engines.json"
ENGINES = ("onnxruntime", "openvino")


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("data")
@click.option("--split", default="val")
def main(checkpoint: Path, bundle: Path, data: str, split: str) -> None:
    """Compare all with the checkpoint in torch, at the bundle's size; print and store the table."""
    manifest, dataset = read_manifest(bundle), open_dataset(data, split)
    with open_artifact(checkpoint, size_hw=manifest.size_hw) as artifact:
        reference = answer(artifact.segment, dataset, "the checkpoint")
    rows = [_row(bundle, file, engine, dataset, reference) for file in manifest.precisions for engine in ENGINES]
    result = {**facts(), "pictures": len(dataset), "rows": rows}
    write_json(RESULT, result)
    print(result["machine"])
    print(_table(rows))


def _row(bundle: Path, precision: str, engine: str, dataset: Dataset, reference: Answers) -> dict[str, Any]:
    with open_artifact(bundle, engine, precision) as artifact:
        found = compare(answer(artifact.segment, dataset, f"{precision} on {engine}"), reference)
    figures = found.to_json()
    names = ("agreement", "boundary_agreement", "mean_iou", "mean_iou_drop", "mean_iou_drop_interval")
    worst = min(found.per_picture)
    told = {"precision": precision, "engine": engine, "device": artifact.description, "worst_picture": worst}
    return {**told, **{name: figures[name] for name in names}}


def _table(rows: list[dict[str, Any]]) -> str:
    """Markdown: percents of pixels that agree, points of mean IoU lost with their interval."""
    head = "| file | engine | masks agree % | worst picture % | at borders % | mean IoU lost, points (95 % interval) |"
    lines = [head, "|---|---|---:|---:|---:|---:|"]
    for row in rows:
        shares = [f"{100 * row[name]:.3f}" for name in ("agreement", "worst_picture", "boundary_agreement")]
        lower, upper = map(points, row["mean_iou_drop_interval"])
        lost = f"{points(row['mean_iou_drop'])} ({lower} to {upper})"
        lines.append(f"| {row['precision']} | {row['engine']} | {' | '.join(shares)} | {lost} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
