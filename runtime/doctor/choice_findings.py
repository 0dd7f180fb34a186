"""Findings about what will be used: what `--engine auto` comes to, for any bundle or for the model that was named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.doctor.engine_findings import engine_findings
from runtime.doctor.examination import Examination
from runtime.doctor.finding import BAD, OK, Finding


def choice_findings(seen: Examination) -> list[Finding]:
    if seen.model is None:
        return [_for_any(seen)]
    told, failure = seen.model.told, seen.model.failure or seen.model.told.get("error")
    if failure:
        return [Finding("model", failure, BAD)]
    return [
        _for_model(told["candidates"], told["choice"]),
        *(Finding("left out", line, BAD) for line in told["refusals"]),
    ]


def _for_any(seen: Examination) -> Finding:
    usable = [finding.topic for finding in engine_findings(seen) if finding.verdict == OK]
    if not usable:
        return Finding("auto", "nothing: no engine can run a model here", BAD)
    noted = [f"{engine} (once built)" if engine == "tensorrt" else engine for engine in usable]
    return Finding("auto", _fastest(noted), OK)


def _for_model(candidates: Sequence[str], choice: dict[str, Any] | None) -> Finding:
    """The choice that was made before stands; without one it is made when the model is first opened."""
    if choice is None:
        return Finding("model", _fastest(candidates), OK)
    times = ", ".join(f"{name} {median:.1f} ms" for name, median in choice["medians_ms"].items())
    return Finding("model", f"{choice['engine']} {choice['precision']}, measured on {choice['date']}: {times}", OK)


def _fastest(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"the fastest of {', '.join(names)}; measured when a bundle is first opened"
