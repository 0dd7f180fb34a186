"""One training at a time in a run's folder: a lock that dies with its process, however that one ends."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from fcn_edge.errors import UsageError
from fcn_edge.files import writing
from fcn_edge.training.callbacks import BEST, LAST

LOCK = ".lock"  # stays in the folder, as who removed it could remove that of the next training


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Keeps other trainings out of `folder`, which is made, while the block runs.

    Raises UsageError where another process holds it, OutputError where it cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("ab+", buffering=0)  # what a full disk refuses must not come again at the end
    with file:
        _take(file, folder)
        try:
            with writing(folder):
                _sign(file)
                _sweep(folder)
            yield
        finally:
            with suppress(OSError):
                file.truncate(0)


def _take(file: FileIO, folder: Path) -> None:
    """By a POSIX lock: the processes that read pictures are forked and may outlive a kill, but do not inherit it."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            return  # a file system without locks
        file.seek(0)
        owner = file.read().decode(errors="replace").strip() or "another process"
        raise UsageError(
            f"wanted {folder} for this training alone, found {owner} at work in it; let it end, or choose another -o"
        ) from None


def _sign(file: FileIO) -> None:
    """Tells others who is at work."""
    file.truncate(0)  # a training that was killed may have signed it
    file.write(f"process {os.getpid()} on {platform.node()}\n".encode())


def _sweep(folder: Path) -> None:
    """Removes what a training that was killed left half written."""
    for name in (BEST, LAST):
        for partial in folder.glob(f".{name}.*.part"):
            partial.unlink(missing_ok=True)
