"""The command-line door: finds each verb's room by name, and turns what went wrong into one line and an exit code.

A verb's module is imported only when the verb is used, so `fcn-edge run` never loads torch, and a missing library names
the extra that brings it.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from fcn_edge import __version__
from fcn_edge.credentials import redact
from fcn_edge.errors import FcnEdgeError, OutputError, SourceError, UsageError, first_line, printable
from fcn_edge.telemetry import refuse_telemetry


@dataclass(frozen=True)
class Verb:
    """Where a verb lives, what brings its libraries, and what `fcn-edge --help` says of it."""

    module: str
    extra: str
    summary: str


VERBS = {
    "train": Verb("fcn_edge.training.cli", "train", "Train an FCN on labelled pictures."),
    "eval": Verb("export.cli", "export", "Score a checkpoint, ONNX file or bundle on labelled pictures."),
    "calibration": Verb("calibration.cli", "export", "Choose the pictures for INT8 ranges, and inspect them."),
    "export": Verb("export.cli", "export", "Turn a checkpoint into a bundle of scored ONNX files."),
    "build": Verb("export.build_cli", "desktop", "Build TensorRT engines for this machine's GPU, and score them."),
    "check": Verb("export.check", "desktop", "Tell whether an ONNX file, engine or bundle will do here."),
    "run": Verb("runtime.cli", "desktop", "Segment a video, pictures or a camera."),
    "sources": Verb("runtime.sources.cli", "desktop", "List the cameras of this machine, and what they offer."),
    "bench": Verb("runtime.bench.cli", "desktop", "Measure a model's latency on this machine."),
    "doctor": Verb("runtime.doctor.cli", "desktop", "Tell what is here, what will be used and what is missing."),
    "demo": Verb("export.demo", "train,export", "Train, export, run and measure on data that it makes itself."),
}

INTERRUPTED = 130

# What pathlib raises where a path cannot even be looked at.
UNSEEN = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP)


class Door(click.Group):
    """A group whose verbs are known by name and loaded when used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:  # a verb that loads a library only when it opens its model
            name = ctx.invoked_subcommand or ""
            raise _missing(name, VERBS[name], error) from None

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = VERBS.get(cmd_name)
        return _load(cmd_name, verb) if verb else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.summary) for name, verb in VERBS.items()])


def _load(name: str, verb: Verb) -> click.Command:
    try:
        command = getattr(importlib.import_module(verb.module), f"{name}_command")
    except ModuleNotFoundError as error:
        raise _missing(name, verb, error) from None
    except ImportError as error:  # a library that is there but lacks one of the system's
        raise UsageError(f"{name} wanted its libraries, found: {first_line(error)}; install what is named") from None
    assert isinstance(command, click.Command)
    return command


def _missing(name: str, verb: Verb, error: ModuleNotFoundError) -> Exception:
    if not error.name or error.name.split(".")[0] in ("fcn_edge", "calibration", "export", "runtime"):
        return error  # ours, and so our bug
    return UsageError(
        f"{name} wanted the package {error.name}, found none; install it: pip install 'fcn-edge[{verb.extra}]'"
    )


@click.command(cls=Door, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, message="fcn-edge %(version)s")
def door() -> None:
    """From labelled pictures to a live mask on the device, with the proof beside it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; the exit code: 0 done, 2 usage, 3 source, 4 model, 5 output, 75 device, 130 interrupted.

    Our bugs raise.
    """
    refuse_telemetry()
    try:
        result = door.main(
            args=None if arguments is None else list(arguments), prog_name="fcn-edge", standalone_mode=False
        )
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return UsageError.exit_code
    except click.ClickException as error:
        return _told(_one_line(error), UsageError.exit_code)
    except FcnEdgeError as error:
        return _told(str(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _told("interrupted", INTERRUPTED)
    except OSError as error:
        if error.filename is not None and error.errno in UNSEEN:
            return _told(
                f"wanted to use {error.filename}, found: {error.strerror}; check the path", SourceError.exit_code
            )
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        return _no_output(str(error.strerror))
    except SystemExit:  # click's answer to EPIPE
        return _no_output("its reader gone")


def _no_output(found: str) -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # say nothing more to it
    return _told(
        f"wanted to write to standard output, found: {found}; give it a reader with room", OutputError.exit_code
    )


def _told(message: str, code: int) -> int:
    line = printable(redact(" ".join(message.split())), most=4000)  # it may hold names that a file or a folder gave
    print(f"fcn-edge: {line}", file=sys.stderr, flush=True)
    return code


def _one_line(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    hint = f"; see {context.command_path} --help" if context else ""
    return error.format_message().rstrip(".") + hint


if __name__ == "__main__":
    sys.exit(main())
