"""The options of every verb that opens a model: which engine, which file, how."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from runtime.session import ENGINES

# What `open_session` takes beside the model, by its own names.
SERVING = (
    click.option(
        "--engine",
        type=click.Choice(ENGINES),
        default="auto",
        show_default=True,
        help="auto: of a bundle the fastest here, measured once.",
    ),
    click.option("--precision", default="auto", show_default=True, help="Which file of the bundle."),
    click.option("--threads", type=click.IntRange(1), help="Of an engine on the CPU; default: all cores."),
    click.option(
        "--trust-engine", is_flag=True, help="Open a TensorRT engine that fcn-edge did not build: it is code, and runs."
    ),
    click.option(
        "--cuda-graph/--no-cuda-graph",
        default=True,
        show_default=True,
        help="Of TensorRT: launch a frame's work as one.",
    ),
)

Command = TypeVar("Command", bound=Callable[..., None])


def serving_options(command: Command) -> Command:
    """A command with the options of SERVING, in their order."""
    for option in reversed(SERVING):
        command = option(command)
    return command
