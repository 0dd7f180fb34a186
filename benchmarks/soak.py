"""Whether `fcn-edge run` lives through weeks, in half an hour: cameras that fail in every way, readers that are killed,
a disk that is full, a model that is slow or fails, viewers who never read or send noise, drawn by a seed; and between
the rounds calm, in which memory, descriptors and threads must be what they were.

.venv/bin/python -m benchmarks.soak BUNDLE --minutes 30 --seed 1

It ends with 1 where a promise was not kept. The table's figures and the outages are kept as JSON, the course as PNG.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import cv2

from benchmarks.soaking.chart import chart
from benchmarks.soaking.judge import Finding, Promises, judge
from benchmarks.soaking.record import Soak
from benchmarks.soaking.run import Plan, soak
from benchmarks.told import facts
from fcn_edge.chart_png import picture_of_chart
from fcn_edge.files import write_json
from fcn_edge.progress import say

RESULT = Path(__file__).parent / "results" / "soak.json"
KEEP_EVERY_S = 10.0  # of the samples


@click.command()
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--minutes", default=30.0, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("-o", "result", type=click.Path(path_type=Path), default=RESULT, show_default=True)
@click.option("--log", type=click.Path(path_type=Path), help="Keep what the run told here.")
def main(model: Path, minutes: float, seed: int, result: Path, log: Path | None) -> None:
    """Soak MODEL for so many minutes, judge, and keep what was found."""
    with TemporaryDirectory(prefix="soak-") as folder:
        seen = soak(Plan(model.resolve(), 60 * minutes, seed), Path(folder), say)
    if log:
        log.write_text(seen.ending.log)
    findings = judge(seen)
    told = {**facts(), "minutes": minutes, "seed": seed}
    write_json(result, {**told, "model": _model(seen), **_told(seen, findings)})
    picture = picture_of_chart(chart(seen))
    cv2.imwrite(str(result.with_suffix(".png")), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    print({key: value for key, value in told["machine"].items() if value is not None})
    for finding in findings:
        print(f"{'kept  ' if finding.is_kept else 'BROKEN'}  {finding.promise}: {finding.found}")
    sys.exit(not all(finding.is_kept for finding in findings))


def _model(seen: Soak) -> str:
    """Its precision and engine, as the run told them."""
    line = next(line for line in seen.ending.log.splitlines() if line.startswith("model "))
    return line.rpartition(": ")[2]


def _told(seen: Soak, findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "promises": asdict(Promises()),
        "findings": [asdict(finding) for finding in findings],
        "outages": len(seen.outages),
        "faults": dict(sorted(Counter(f"{outage.what}: {outage.fault}" for outage in seen.outages).items())),
        "slowest_recoveries": _slowest(seen),
        "samples": _thinned(seen),
    }


def _slowest(seen: Soak) -> list[dict[str, Any]]:
    slowest = sorted(seen.outages, key=lambda outage: -outage.seconds)[:20]
    return [
        {"what": one.what, "fault": one.fault, "began_s": round(one.began_s, 1), "seconds": round(one.seconds, 2)}
        for one in slowest
    ]


def _thinned(seen: Soak) -> list[dict[str, Any]]:
    rows, due_s = [], 0.0
    for sample in seen.samples:
        if sample.at_s >= due_s:
            due_s = sample.at_s + KEEP_EVERY_S
            rows.append(
                {"at_s": round(sample.at_s, 1), "is_calm": sample.is_calm, "fps": sample.fps, **asdict(sample.held)}
            )
    return rows


if __name__ == "__main__":
    main()
