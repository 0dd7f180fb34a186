"""The child process of `test_doubles`: calls that the real bindings can answer without a library, and our own answer.

    python -m tests.gpu.agreement_child        prints JSON: [call, whether it was taken, whether our check takes it]

Real objects are few here: a logger, shapes, a progress monitor's own methods, and constructors, which check what they
are given before the library gives them nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorrt_bindings as trt

from tests.gpu.signatures import accepts, overloads_of

# What follows once the arguments were taken: no library behind a constructor, no body behind an interface's method.
TAKEN = ("factory function returned nullptr", "pure virtual")

Call = tuple[str, Callable[..., Any], str | None, tuple[Any, ...], dict[str, Any]]


def calls() -> Iterator[Call]:
    """Name, function, docstring, arguments."""
    logger, error = trt.Logger(trt.Logger.INTERNAL_ERROR), trt.Logger.VERBOSE
    for arguments in LOGGED:
        given = tuple(error if argument == "SEVERITY" else argument for argument in arguments)
        yield "log", logger.log, trt.Logger.log.__doc__ or trt.ILogger.log.__doc__, given, {}
    for keywords in ({"severity": error, "msg": "told"}, {"severity": error, "message": "told"}):
        yield "log", logger.log, trt.Logger.log.__doc__ or trt.ILogger.log.__doc__, (), keywords
    for shape in SHAPES:
        yield "Dims", trt.Dims, trt.Dims.__init__.__doc__, (shape,), {}
    yield "Dims", trt.Dims, trt.Dims.__init__.__doc__, (), {"shape": [1]}
    yield "Dims", trt.Dims, trt.Dims.__init__.__doc__, (), {"size": [1]}
    for kind in (trt.Builder, trt.Runtime):
        for given in ((logger,), (), (5,), ("logger",), (logger, 1)):
            yield kind.__name__, kind, kind.__init__.__doc__, given, {}
        for word in ("logger", "log"):
            yield kind.__name__, kind, kind.__init__.__doc__, (), {word: logger}
    if hasattr(trt, "IProgressMonitor"):
        monitor = type("Monitor", (trt.IProgressMonitor,), {"__init__": trt.IProgressMonitor.__init__})()
        for given in PHASES:
            start = partial(trt.IProgressMonitor.phase_start, monitor)
            yield "phase_start", start, trt.IProgressMonitor.phase_start.__doc__, given, {}


LOGGED: tuple[tuple[Any, ...], ...] = (
    ("SEVERITY", "told"),
    ("SEVERITY", b"told"),
    ("SEVERITY", Path("told")),
    ("SEVERITY", 5),
    ("SEVERITY",),
    ("SEVERITY", "told", "twice"),
    (0, "told"),
    ("told", "SEVERITY"),
)
SHAPES = ([1, 2], (1, 2), [], [np.int64(3)], [1.5], ["1"], 3, "12")
PHASES = (("build", "all", 3), ("build", "all", np.int32(3)), ("build", "all", 3.0), ("build", "all", "3"), ("build",))


def is_taken(function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> bool:
    try:
        function(*arguments, **keywords)
    except Exception as error:  # pybind11's TypeError, or what comes after the arguments were taken
        return any(word in str(error) for word in TAKEN)
    return True


def is_taken_by_us(docstring: str | None, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> bool:
    check = partial(accepts, trt, type)
    return any(overload.bind(check, arguments, keywords) is not None for overload in overloads_of(docstring))


def main() -> None:
    print(
        json.dumps(
            [
                [f"{name}{arguments}{keywords}", is_taken(function, arguments, keywords), ours]
                for name, function, docstring, arguments, keywords in calls()
                for ours in [is_taken_by_us(docstring, arguments, keywords)]
            ]
        )
    )


if __name__ == "__main__":
    main()
