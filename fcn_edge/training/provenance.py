"""By which software a checkpoint was made: versions of what computes, and the commit of fcn-edge's own checkout."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import cv2
import lightning
import numpy
import torch

import fcn_edge

PATIENCE_S = 10.0  # a checkout on a dead network share must not keep a training from starting


def software() -> dict[str, Any]:
    """`versions` and `git_commit`, which is None where fcn-edge was installed and is no checkout."""
    versions = {
        "fcn_edge": fcn_edge.__version__,
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "numpy": numpy.__version__,
        "opencv": cv2.__version__,
        "python": platform.python_version(),
    }
    return {"versions": versions, "git_commit": git_commit(Path(fcn_edge.__file__).parent.parent)}


def git_commit(root: Path) -> str | None:
    """The commit of the repository whose top is `root`, with `-dirty` where tracked files differ; None without one."""
    if not (root / ".git").exists():  # so that a project around an installed fcn-edge is not taken for it
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE_S,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return None
    return done.stdout.strip() or None
