"""The process behind `contract.Machine`: `fcn-edge` commands, one after the other, on a simulated TensorRT.

    python -m tests.gpu.contract_child [PACKAGE ...]

Each line of standard input is a JSON object {"argv": [...], ...settings of the simulation}; each line of standard
output tells the command's exit code, what it printed, and what it asked of TensorRT. torch and onnx are out of the
product's reach, as on a device, and so are the packages that are named.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

HIDDEN = ("torch", "onnx", "onnxscript", "lightning")


class Without:
    """A finder of modules that does not find some."""

    def __init__(self, finder: Any, hidden: Sequence[str]) -> None:
        self._finder, self._hidden = finder, hidden

    def find_spec(self, name: str, *places: Any) -> Any:
        return None if name.partition(".")[0] in self._hidden else self._finder.find_spec(name, *places)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


def hide(packages: Sequence[str]) -> None:
    """What the simulation itself has of them by now stays its own."""
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]
    sys.meta_path[:] = [Without(finder, packages) for finder in sys.meta_path]


def main(hidden: Sequence[str]) -> None:
    from tests.gpu.session_child import simulate

    simulation = simulate()
    hide([*HIDDEN, *hidden])
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # what a library prints on its own is no answer
        for line in sys.stdin:
            answers.write(json.dumps(done(simulation, **json.loads(line))) + "\n")
            answers.flush()


def done(simulation: Any, argv: list[str], **settings: Any) -> dict[str, Any]:
    from fcn_edge.__main__ import main as fcn_edge

    simulation.begin(**settings)
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = fcn_edge(argv)
        except Exception:  # our bug, or a breach of TensorRT's interface: it would end the process
            code = 1
            traceback.print_exc()
    told = {name: getattr(simulation, name) for name in ("calls", "breaches", "built", "enqueued", "run")}
    return {"returncode": code, "stdout": out.getvalue(), "stderr": err.getvalue(), **told}


if __name__ == "__main__":
    main(sys.argv[1:])
