"""The tables of `measure.py` as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

STAGES = ("infer.h2d", "infer.compute", "infer.d2h")
PERCENTILES = ("p50", "p90", "p95", "p99")


def tables(result: dict[str, Any]) -> str:
    """The machine, then accuracy, then latency."""
    gpu, state = result["gpu"], result["state_before"]
    memory = "shared with the host" if gpu["integrated"] else f"{gpu['memory_bytes'] / 2**30:.0f} GiB"
    head = [
        f"{result['date']}, TensorRT {result['tensorrt']}, {gpu['name']} (sm {gpu['compute_capability']}, {memory})",
        f"before: {state}",
        f"{result['machine']}",
    ]
    return "\n\n".join(["  \n".join(head), "\n".join(_accuracy(result)), "\n".join(_latency(result))])


def _accuracy(result: dict[str, Any]) -> Iterator[str]:
    yield (
        f"| bundle | engine | mean IoU % ({result['pictures']} pictures) | lost, points | agrees with fp32 on a CPU % "
        "| with its own ONNX % | INT8 layers | MB | build s |"
    )
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for row in result["rows"]:
        if "scores" not in row:
            yield f"| {row['bundle']} | {row['precision']} | not measured: {row['not_measured']} |||||||"
            continue
        scores, layers = row["scores"], row["layers"]
        int8 = f"{layers['int8_held']} of {layers['int8_wanted']}" if layers["int8_wanted"] else ""
        cells = [
            _percent(scores.get("mean_iou")),
            _percent(scores.get("mean_iou_drop")),
            _percent(scores["agreement"], 3),
            _percent(row.get("agrees_with_its_onnx"), 3),
            int8,
            f"{row['bytes'] / 1e6:.1f}",
            f"{row['build_s']:.0f}",
        ]
        yield f"| {row['bundle']} | {row['precision']} | {' | '.join(cells)} |"


def _latency(result: dict[str, Any]) -> Iterator[str]:
    yield (
        "| bundle | engine | how | h2d p50 | compute p50 | d2h p50 | latency p50 / p90 / p95 / p99 "
        "| end to end p50 / p99 | n | steady |"
    )
    yield "|---|---|---|---:|---:|---:|---:|---:|---:|---|"
    for row in result["rows"]:
        for how, figures in row.get("latency", {}).items():
            if how != "state":
                yield f"| {row['bundle']} | {row['precision']} | {how} | {' | '.join(_cells(figures))} |"


def _cells(figures: dict[str, Any]) -> list[str]:
    stages = figures["stages_ms"]
    parts = [f"{stages[stage]['p50']:.3f}" if stage in stages else "none" for stage in STAGES]
    latency, whole = stages["latency"], stages["end to end"]
    return [
        *parts,
        " / ".join(f"{latency[name]:.3f}" for name in PERCENTILES),
        f"{whole['p50']:.3f} / {whole['p99']:.3f}",
        str(int(whole["n"])),
        "yes" if figures["steady"] else "no",
    ]


def _percent(fraction: float | None, digits: int = 2) -> str:
    return "" if fraction is None or fraction != fraction else f"{100 * fraction:.{digits}f}"
