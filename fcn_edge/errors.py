"""What can go wrong by the user's hand, and the exit code each kind ends with.

    FcnEdgeError            1   (only its children are raised)
      UsageError            2   a flag, a name or a config that cannot be
      SourceError           3   a picture, video, camera or dataset that cannot be read
      ModelError            4   a checkpoint, bundle, ONNX file or engine that is refused
      OutputError           5   a place that cannot be written
      DeviceError          75   a GPU or its driver that only a new process gets to work again

A message is one line of three parts: what was wanted, what was found, what to do. The door
(`fcn_edge/__main__.py`) prints it without a traceback; any other exception is our bug and keeps its own.
"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\[Errno -?\d+\] ")  # of the system's and PyAV's errors; the words after it say the same


class FcnEdgeError(Exception):
    """Any mistake that the user can mend."""

    exit_code = 1


class UsageError(FcnEdgeError):
    """The command, a flag or a configuration cannot be what was meant."""

    exit_code = 2


class SourceError(FcnEdgeError):
    """A picture, a video, a camera or a dataset is missing or unreadable."""

    exit_code = 3


class ModelError(FcnEdgeError):
    """A checkpoint, bundle, ONNX file or engine is missing, damaged or not of this kind."""

    exit_code = 4


class OutputError(FcnEdgeError):
    """A file or folder cannot be written."""

    exit_code = 5


class DeviceError(FcnEdgeError):
    """A GPU or its driver failed while it worked: every later call fails too, so the process must be started again.

    The code is that of `EX_TEMPFAIL` in sysexits.h, which service managers restart on.
    """

    exit_code = 75


def first_line(error: BaseException) -> str:
    """The first line of a foreign exception, without a number of it, for the `found` part of our message."""
    lines = _NUMBER.sub("", str(error), count=1).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def printable(text: str, most: int = 200) -> str:
    """Words of a file, which are anybody's: without what a terminal would obey, and cut to `most` letters."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:most])
    return shown if len(text) <= most else f"{shown}..."
