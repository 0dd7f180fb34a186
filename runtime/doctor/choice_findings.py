"""Findings about what will be used: for any bundle or the model that was named, by `auto` or the engine asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from runtime.doctor.engine_findings import engine_findings
from runtime.doctor.examination import Examination
from runtime.doctor.finding import BAD, INFO, OK, Finding

COMMAND = re.compile(r"`([^`]+)`|: ((?:fcn-edge|pip) .+)$")  # in the advice that ends a message of ours
DOCTOR = "fcn-edge doctor"

Engines = Mapping[str, Finding]


def choice_findings(seen: Examination, engine: str = "auto") -> list[Finding]:
    """The first one is bad where what was asked for cannot be had."""
    engines = {finding.topic: finding for finding in engine_findings(seen)}
    hindrance = _hindrance(engines, engine)
    if seen.model is None:
        return hindrance or [engines.get(engine) or Finding("auto", _fastest(_usable(engines)), OK)]
    told = seen.model.told
    damage = [_of_message("model", message, BAD) for message in told.get("damage", ())]
    if hindrance or damage:
        return [*hindrance, *damage]
    if failure := seen.model.failure or told.get("error"):
        return [_of_message("model", failure, BAD)]
    left_out = [_of_message("left out", message, INFO) for message in told["refusals"]]
    return [_for_model(engines, told["candidates"], told["choice"]), *left_out]


def _hindrance(engines: Engines, engine: str) -> list[Finding]:
    """Why the engine asked for, or else every one, cannot be used; empty where it can."""
    usable = [finding.topic for finding in engines.values() if finding.verdict == OK]
    if not usable and engine == "auto":
        cure = next((finding.cure for finding in engines.values() if finding.cure), "")
        return [Finding("auto", "nothing: no engine can run a model here", BAD, cure)]
    if engine == "auto" or engine in usable:
        return []
    others = f"choose another --engine: {', '.join(usable)}" if usable else ""
    return [replace(engines[engine], verdict=BAD, cure=engines[engine].cure or others)]


def _usable(engines: Engines) -> list[str]:
    usable = [finding.topic for finding in engines.values() if finding.verdict == OK]
    return [f"{engine} (once built)" if engine == "tensorrt" else engine for engine in usable]


def _for_model(engines: Engines, candidates: Sequence[str], choice: dict[str, Any] | None) -> Finding:
    """The choice that was made before stands; without one it is made when the model is first opened."""
    able = [name for name in candidates if engines[name.split()[0]].verdict == OK]
    if not able:  # installed, but it does not work
        engine = engines[candidates[0].split()[0]]
        return Finding("model", f"nothing: {engine.topic} would serve it: {engine.found}", BAD, engine.cure)
    if choice is None or engines[choice["engine"]].verdict != OK:
        return Finding("model", _fastest(able), OK)
    times = ", ".join(f"{name} {median:.1f} ms" for name, median in choice["medians_ms"].items())
    return Finding("model", f"{choice['engine']} {choice['precision']}, measured on {choice['date']}: {times}", OK)


def _of_message(topic: str, message: str, verdict: str) -> Finding:
    """Of an error in our three parts: what was wanted and found, and apart from it what to do."""
    found, _, advice = message.rpartition("; ")
    if not found:
        return Finding(topic, message, verdict)
    command = COMMAND.search(advice)
    cure = (command[1] or command[2]) if command else advice
    return Finding(topic, found, verdict, "" if cure == DOCTOR else cure)  # which is running


def _fastest(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"the fastest of {', '.join(names)}; measured when a bundle is first opened"
