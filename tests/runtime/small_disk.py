"""A disk of a few megabytes, in memory, that a test fills and frees while another process writes to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parent.parent.parent
HOLDER = 'mount -t tmpfs -o size="$1" none "$0" && echo mounted && exec cat'  # until its standard input ends


class SmallDisk:
    """`with SmallDisk(FOLDER, BYTES) as disk:` FOLDER is that disk for processes whose command begins with
    `disk.enter`, and `disk.seen` is the same disk for everybody else."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self.folder, self.size_bytes = folder, size_bytes
        self._users = [] if os.geteuid() == 0 else ["--map-root-user"]  # who is not root may mount as his own

    def __enter__(self) -> SmallDisk:
        self.folder.mkdir(parents=True)
        command = ["unshare", "--mount", *self._users, "sh", "-c", HOLDER, str(self.folder), str(self.size_bytes)]
        self._holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout and self._holder.stdout.readline() == "mounted\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._holder:  # closes its standard input, and waits
            pass

    @property
    def enter(self) -> Sequence[str]:
        users = ["--user", "--preserve-credentials"] if self._users else []
        return ["nsenter", f"--target={self._holder.pid}", "--mount", *users, "env", f"--chdir={ROOT}"]

    @property
    def seen(self) -> Path:
        return Path(f"/proc/{self._holder.pid}/root{self.folder}")

    def fill(self) -> None:
        """To the last byte."""
        with (self.seen / "hog").open("ab", buffering=0) as hog:
            for block in (1 << 20, 1 << 12, 1):
                try:
                    while hog.write(bytes(block)) == block:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        (self.seen / "hog").unlink(missing_ok=True)


def why_not() -> str | None:
    """What this machine lacks for small disks."""
    users = [] if os.geteuid() == 0 else ["--map-root-user"]
    done = subprocess.run(["unshare", "--mount", *users, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True)
    return f"no mounting: {done.stderr.decode().strip()}" if done.returncode else None
