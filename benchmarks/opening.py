"""From the start of a process to its first mask, on every CPU engine: without a cache, with an empty and a full one.

.venv/bin/python benchmarks/opening.py BUNDLE [BUNDLE ...]

Everything runs in turns in processes of its own. Processor time is told beside the clock's, for others use the machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import click

from fcn_edge.files import write_json
from runtime.engines import PRECISIONS
from runtime.machine import machine

RESULT = Path(__file__).parent / "results" / "opening.json"
ENGINES = ("onnxruntime", "openvino")

OPEN = """
import json, resource, sys
from pathlib import Path
from time import perf_counter
started = perf_counter()
import numpy as np
from runtime.session import open_session
bundle, engine, precision = sys.argv[1:]
with open_session(Path(bundle), engine, precision) as session:
    session.infer(np.zeros((*session.facts.size_hw, 3), np.uint8))
    seconds = perf_counter() - started
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"ms": 1e3 * seconds, "cpu_ms": 1e3 * (used.ru_utime + used.ru_stime)}))
"""


@click.command()
@click.argument("bundles", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
@click.option("--rounds", default=9)
def main(bundles: tuple[Path, ...], rounds: int) -> None:
    """Print a table and keep it as JSON."""
    cases = [(bundle, engine, file) for bundle in bundles for engine in ENGINES for file in PRECISIONS[engine]]
    told: dict[str, Any] = {"date": date.today().isoformat(), "machine": machine(), "rounds": rounds}
    print("| to the first mask, ms (of the processor) | no cache | empty cache | full cache |\n|---|---:|---:|---:|")
    for bundle, engine, precision in cases:
        name = f"{bundle.name}, {engine}, {precision}"
        told[name] = _medians(_rounds(rounds, str(bundle.absolute()), engine, precision))
        cells = [f"{row['ms']:.0f} ({row['cpu_ms']:.0f})" for row in told[name].values()]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    write_json(RESULT, told)
    print(told["machine"])


def _rounds(rounds: int, *words: str) -> dict[str, list[dict[str, float]]]:
    """The first round only fills what the system keeps of files."""
    found: dict[str, list[dict[str, float]]] = {"no cache": [], "empty cache": [], "full cache": []}
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as cache:
            for name, place in (("no cache", "/dev/null/none"), ("empty cache", cache), ("full cache", cache)):
                found[name].append(_opened(place, *words))
    return {name: values[1:] for name, values in found.items()}


def _opened(cache: str, *words: str) -> dict[str, float]:
    environment = {**os.environ, "XDG_CACHE_HOME": cache}
    command = [sys.executable, "-c", OPEN, *words]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _medians(found: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {name: {key: median(row[key] for row in rows) for key in rows[0]} for name, rows in found.items()}


if __name__ == "__main__":
    main()
