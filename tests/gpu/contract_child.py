"""The child process of the contract tests: `fcn-edge` commands, one after the other, on a simulated TensorRT.

    python -m tests.gpu.contract_child STEPS.json RESULTS.json

A step is {"argv": [...], "failing_after": N or null}; a result tells its exit code, what it printed, and what it asked
of TensorRT. torch and onnx are out of the product's reach here, as on a device.
"""

from __future__ import annotations

import json
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

HIDDEN = ("torch", "onnx", "onnxscript", "lightning")


class Without:
    """A finder of modules that does not find some."""

    def __init__(self, finder: Any) -> None:
        self._finder = finder

    def find_spec(self, name: str, *places: Any) -> Any:
        return None if name.partition(".")[0] in HIDDEN else self._finder.find_spec(name, *places)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


def hide_modules() -> None:
    """What the simulation itself has of them by now stays its own."""
    for name in [name for name in sys.modules if name.partition(".")[0] in HIDDEN]:
        del sys.modules[name]
    sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]


def main(steps: Path, results: Path) -> None:
    import tensorrt
    import tensorrt_bindings

    from tests.gpu.simulated_tensorrt import install

    simulation = install(tensorrt_bindings, tensorrt)
    hide_modules()
    done = [step_done(simulation, **step) for step in json.loads(steps.read_text())]
    results.write_text(json.dumps(done))


def step_done(simulation: Any, argv: list[str], failing_after: int | None = None) -> dict[str, Any]:
    from fcn_edge.__main__ import main as fcn_edge

    simulation.calls.clear()
    simulation.breaches.clear()
    simulation.built.clear()
    simulation.enqueued = simulation.run = 0
    simulation.failing_after = failing_after
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = fcn_edge(argv)
        except Exception:  # our bug, or a breach of TensorRT's interface: the door would let it end the process
            code = 1
            traceback.print_exc()
    told = {name: list(getattr(simulation, name)) for name in ("calls", "breaches", "built")}
    counts = {"enqueued": simulation.enqueued, "run": simulation.run}
    return {"argv": argv, "code": code, "out": out.getvalue(), "err": err.getvalue(), **told, **counts}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
