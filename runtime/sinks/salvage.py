"""Recordings whose process was killed: given an index and their name at the next start, without encoding anew.

A damaged file is read by a process of its own (`python -m runtime.sinks.salvage PART NAME`): should FFmpeg crash or
hang on it, the stream does not, and is not held up.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import av

from fcn_edge.errors import first_line
from fcn_edge.progress import say
from runtime.sinks.recorder import FORMATS, Output
from runtime.sinks.series import keep_as, lock
from runtime.sinks.torn_file import is_readable

MOST_S = 300  # what takes longer is kept as it is, without an index
GIVE_UP_S = MOST_S + 30  # a child that hangs

_left: set[Path] = set()  # told once a process, however often its sink is opened


class Salvage:
    """Keeps leftovers under their names, one after the other, in a thread; tells each in one line."""

    def __init__(self, leftovers: Sequence[tuple[Path, Path]]) -> None:
        """(temporary file, name that it shall get) of each."""
        self._leftovers = [(part, wanted) for part, wanted in leftovers if part not in _left]
        self._stopped = False
        self._child: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._work, name="salvage", daemon=True)

    def start(self) -> None:
        if self._leftovers:
            self._thread.start()

    def stop(self, within_s: float) -> None:
        """Let it end in this time, else leave the rest for the next start."""
        if self._thread.ident is None:
            return
        self._thread.join(within_s)
        self._stopped = True
        if self._child is not None:
            self._child.kill()
        self._thread.join(1)

    def _work(self) -> None:
        for part, wanted in self._leftovers:
            found = {} if self._stopped else self._kept(part, wanted)
            if self._stopped or "in_use" in found:
                continue
            if "kept" not in found:
                _left.add(part)
            say(_told(part, found))

    def _kept(self, part: Path, wanted: Path) -> Mapping[str, Any]:
        """What the child did."""
        command = [sys.executable, "-m", "runtime.sinks.salvage", str(part), str(wanted)]
        try:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            printed, _ = self._child.communicate()  # the child's own alarm ends it
            return dict(json.loads(printed))
        except (OSError, ValueError) as error:
            ended = self._child.returncode if self._child is not None else first_line(error)
            return {"unreadable": f"a reader that ended with {ended}"}


def _told(part: Path, found: Mapping[str, Any]) -> str:
    if "kept" in found:
        how = f"{found['seconds']:.1f} s" if found["seconds"] is not None else "as it is, without an index"
        return f"{found['kept']}: recovered a recording that was cut short, {how}"
    return f"{part}: wanted to recover a recording that was cut short, found {found['unreadable']}; it is left there"


def keep(part: Path, wanted: Path, most_s: float = MOST_S) -> Mapping[str, Any]:
    """Rewrite a leftover with an index and give it its name, or a free one: {kept: path, seconds}.

    What is too long for `most_s` or for the disk gets its name as it is, and its seconds are None. {in_use} where
    somebody still writes it; {unreadable: why} where no frame can be read: it stays.
    """
    with part.open("rb") as file:
        if not lock(file):
            return {"in_use": True}
        if not is_readable(part):
            return {"unreadable": "no frame that can be read"}
        copy = part.with_name(f"{part.name}.copy")  # one of an earlier attempt is overwritten: the lock is ours
        try:
            seconds = _rewrite(part, copy, FORMATS[wanted.suffix.lower()], monotonic() + most_s)
            if seconds is None:
                return {"kept": str(keep_as(part, wanted)), "seconds": None}
            kept = keep_as(copy, wanted)
            part.unlink()
            return {"kept": str(kept), "seconds": seconds}
        finally:
            copy.unlink(missing_ok=True)


def _rewrite(part: Path, copy: Path, container_format: str, until_s: float) -> float | None:
    """Seconds of the copy; None where the disk or the time does not suffice for one."""
    written = part.stat()
    if shutil.disk_usage(part.parent).free < 2 * written.st_size:  # as much as it takes stays free
        return None
    try:
        with copy.open("wb") as file:
            seconds = _copied(part, Output(file), container_format, until_s)
        os.utime(copy, ns=(written.st_atime_ns, written.st_mtime_ns))  # the oldest recordings are deleted first
        return seconds
    except (OSError, av.error.FFmpegError):
        return None


def _copied(part: Path, output: Output, container_format: str, until_s: float) -> float:
    """Seconds from the first frame to the last."""
    with av.open(f"file:{part}") as source, av.open(output, mode="w", format=container_format) as target:
        target.metadata.update(
            {name.lower(): text for name, text in source.metadata.items() if name.lower() == "comment"}
        )
        stream = target.add_stream_from_template(source.streams.video[0])
        shown: list[int] = []
        for packet in _packets(source):
            if monotonic() > until_s:
                raise TimeoutError
            if packet.pts is not None:
                shown = [min([*shown, packet.pts]), max([*shown, packet.pts])]
            packet.stream = stream
            target.mux(packet)
        return float((shown[-1] - shown[0]) * source.streams.video[0].time_base) if shown else 0.0


def _packets(source: Any) -> Iterator[Any]:
    """Those that are whole, up to where the file was cut."""
    with suppress(av.error.FFmpegError):
        yield from (packet for packet in source.demux(source.streams.video[0]) if packet.size and not packet.is_corrupt)


def main(part: str, wanted: str) -> None:
    """What `Salvage` starts; prints what `keep` returns."""
    signal.alarm(GIVE_UP_S)  # whatever FFmpeg does with a damaged file, it ends
    os.nice(10)
    print(json.dumps(keep(Path(part), Path(wanted))))


if __name__ == "__main__":
    main(*sys.argv[1:])
