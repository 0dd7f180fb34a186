"""How long a device is blind after a restart of the process: from exec to the first mask, in fresh processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from fcn_edge.errors import ModelError
from runtime.bench.result import ColdStart

STARTS = 3
MOST_S = 600.0  # of one start: a slow device that compiles its model for the first time


def cold_start(model: Path, serving: Mapping[str, Any]) -> ColdStart:
    """The start whose time is the median; `serving` is what `open_session` takes. Raises ModelError if one fails.

    One at a time, and best while no other session holds the device's memory.
    """
    starts = sorted((_start(model, serving) for _ in range(STARTS)), key=lambda start: start.total_s)
    return starts[STARTS // 2]


def _start(model: Path, serving: Mapping[str, Any]) -> ColdStart:
    command = [sys.executable, "-m", "runtime.bench.first_mask", str(model), json.dumps(dict(serving))]
    began = monotonic()  # one clock for every process of a machine
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MOST_S, check=False)
    except subprocess.TimeoutExpired:
        raise ModelError(
            f"{model}: wanted a first mask within {MOST_S:.0f} s, found none; try `fcn-edge run`"
        ) from None
    if done.returncode:
        found = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise ModelError(f"{model}: wanted a first mask from a fresh process, found: {found}; try `fcn-edge run`")
    imported, opened, masked = json.loads(done.stdout)
    return ColdStart(masked - began, imported - began, opened - imported, masked - opened, STARTS)
