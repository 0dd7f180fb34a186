"""A process that measures by itself, so that nothing is left in it of what was measured before."""

from __future__ import annotations

import json
import os
import subprocess
import sys

NO_CACHE = "/dev/null/none"  # as XDG_CACHE_HOME: compiled models can be kept nowhere


def figures_of(*words: str, **environment: str) -> dict[str, float]:
    """What `python WORDS` prints as JSON, with `environment` beside ours; raises CalledProcessError."""
    command = [sys.executable, *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    figures: dict[str, float] = json.loads(done.stdout)
    return figures
