"""From the start of a process to its first mask, on every CPU engine: without a cache, with an empty and a full one.

.venv/bin/python -m benchmarks.opening BUNDLE [BUNDLE ...]

Everything runs in turns in processes of its own. Processor time is told beside the clock's, for others use the machine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click

from benchmarks.child import NO_CACHE, figures_of
from benchmarks.told import facts, medians
from fcn_edge.files import write_json
from runtime.engines import PRECISIONS

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
    told: dict[str, Any] = {**facts(), "rounds": rounds}
    print("| to the first mask, ms (of the processor) | no cache | empty cache | full cache |\n|---|---:|---:|---:|")
    for bundle, engine, precision in cases:
        name = f"{bundle.name}, {engine}, {precision}"
        found = _rounds(rounds, str(bundle.absolute()), engine, precision)
        told[name] = {cache: medians(rows) for cache, rows in found.items()}
        cells = [f"{row['ms']:.0f} ({row['cpu_ms']:.0f})" for row in told[name].values()]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    write_json(RESULT, told)
    print(told["machine"])


def _rounds(rounds: int, *words: str) -> dict[str, list[dict[str, float]]]:
    """The first round only fills what the system keeps of files."""
    found: dict[str, list[dict[str, float]]] = {"no cache": [], "empty cache": [], "full cache": []}
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as cache:
            for name, place in (("no cache", NO_CACHE), ("empty cache", cache), ("full cache", cache)):
                found[name].append(figures_of("-c", OPEN, *words, XDG_CACHE_HOME=place))
    return {name: values[1:] for name, values in found.items()}


if __name__ == "__main__":
    main()
