"""A file proved on every CPU engine that is installed: whichever the runtime finds the faster serves a proved file."""

from __future__ import annotations

from pathlib import Path

from export.engine_reference import CPU_ENGINES
from export.prover import Prover
from export.score import holds, points
from fcn_edge.errors import ModelError, UsageError
from fcn_edge.progress import say
from fcn_edge.scoring import Comparison
from runtime.engines import is_installed


def proved_on_others(prover: Prover, path: Path, precision: str, budget: float) -> dict[str, Comparison]:
    """How a file does on the engines beside the prover's own; a line is said for each that will not serve it.

    The others' failures refuse nothing: the file's scores are those of the prover's engine.
    """
    found = {}
    for engine in CPU_ENGINES:
        if engine == prover.engine or not is_installed(engine):
            continue
        try:
            found[engine] = prover.prove(path, precision, engine=engine).comparison
        except (ModelError, UsageError) as error:
            say(f"{path.name} is not proved on {engine}: {error}")
            continue
        if not holds(found[engine], budget):
            say(f"{path.name} is not proved on {engine}: it loses {points(found[engine].drop)} points there")
    return found
