"""Room on the disk: how much there must be, and which recordings make room for new ones."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic

import av

from fcn_edge.errors import OutputError
from fcn_edge.files import writing
from runtime.sinks.recording import RecordingOptions
from runtime.sinks.series import Series

MOST_FLOOR_BYTES = 1 << 30
FLOOR_SHARE = 0.05  # of a small disk; ext4 reserves as much for root


class DiskFull(OutputError):
    """There is less room than is to be left."""


def is_disk_full(error: BaseException) -> bool:
    """Whether what a sink raised is cured by room on the disk."""
    cause = error.__cause__ if isinstance(error, OutputError) else error
    return isinstance(error, DiskFull) or getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


class Floor:
    """The bytes that stay free on a disk, whoever fills it."""

    def __init__(self, folder: Path, options: RecordingOptions) -> None:
        self.folder, self.options, self.free_bytes = folder, options, 0
        self._due_s = 0.0

    def is_due(self) -> bool:
        """Every `check_s` seconds it is time to `check`."""
        return monotonic() >= self._due_s

    def check(self) -> None:
        """Raises DiskFull where less is free than shall be."""
        with writing(self.folder):
            disk = os.statvfs(self.folder)
        self.free_bytes, self._due_s = disk.f_bavail * disk.f_frsize, monotonic() + self.options.check_s
        least_bytes = self.options.min_free_bytes
        if least_bytes is None:
            least_bytes = min(MOST_FLOOR_BYTES, int(FLOOR_SHARE * disk.f_blocks * disk.f_frsize))
        if self.free_bytes < least_bytes:
            raise DiskFull(
                f"{self.folder}: wanted {_shown(least_bytes)} of free space on this disk, "
                f"found {_shown(self.free_bytes)}; delete something or write to another disk"
            )


def _shown(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 10_000_000 else f"{size_bytes / 1e6:.2f} MB"


class Quota:
    """At most `keep_bytes` of a series, for which its oldest recordings are deleted.

    Only files that bear the mark of the series count, and go: others may have such a name too.
    """

    def __init__(self, series: Series, keep_bytes: int) -> None:
        self.series, self.keep_bytes = series, keep_bytes
        self._ours: dict[Path, bool] = {}  # by what is written into them, which needs to be read but once

    def enforce(self, growing_bytes: int = 0) -> list[Path]:
        """Delete until the whole, with what is being written, is below the limit; which files went."""
        files = sorted(self._whole())
        excess_bytes = growing_bytes + sum(size_bytes for _, _, size_bytes in files) - self.keep_bytes
        forgotten = []
        for _, path, size_bytes in files:
            if excess_bytes <= 0:
                break
            with writing(path):
                path.unlink(missing_ok=True)
            excess_bytes -= size_bytes
            forgotten.append(path)
        return forgotten

    def _whole(self) -> Iterator[tuple[int, Path, int]]:
        """(when it was last written, path, bytes) of each recording."""
        known, self._ours = self._ours, {}
        for path in self.series.files():
            self._ours[path] = known[path] if path in known else mark_of(path) == self.series.mark
            if self._ours[path]:
                with suppress(FileNotFoundError):
                    found = path.stat()
                    yield found.st_mtime_ns, path, found.st_size


def mark_of(path: Path) -> str | None:
    """What `Recorder` was told to write into the file."""
    try:
        with av.open(f"file:{path}") as container:
            return next((text for name, text in container.metadata.items() if name.lower() == "comment"), None)
    except (av.error.FFmpegError, OSError):
        return None
