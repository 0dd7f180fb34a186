"""Disks that are full, or that may only be read: what a camera's sinks leave, and how they go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.sinks.full_disk_process import FRAMES_AFTER

# Only root may mount; for others, no file may grow beyond a limit, which needs no disk of its own.
WAY = (
    "tmpfs" if os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0 else "limit"
)


def mounted(folder: Path, options: str, *command: object) -> subprocess.CompletedProcess[str]:
    """Run a command for which `folder` is a disk of its own, in memory."""
    folder.mkdir()
    script = f'mount -t tmpfs -o {options} none "$0" && exec "$@"'
    words = ["unshare", "-m", "sh", "-c", script, str(folder), *map(str, command)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def filled_and_freed(folder: Path, name: str) -> dict[str, Any]:
    kind, _, name = name.rpartition(":")
    target = f"{kind}{':' if kind else ''}{folder / name}"
    command = [sys.executable, "-m", "tests.runtime.sinks.full_disk_process", WAY, str(folder), target]
    if WAY == "tmpfs":
        done = mounted(folder, "size=2m", *command)
    else:
        folder.mkdir()
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_recording_survives_a_full_disk_and_goes_on_in_a_new_file(tmp_path: Path, suffix: str) -> None:
    met = filled_and_freed(tmp_path / "disk", f"out{suffix}")
    assert met["first"].startswith("full: " if WAY == "tmpfs" else "failed: ")
    assert WAY == "limit" or "free space" in met["again"]
    assert met["freed"] is None
    lost = met["first_frames"] - met["files"][f"out{suffix}"]
    assert met["first_frames"] > 20 and -1 <= lost <= 25  # at 25 a second, a second
    assert met["files"] == {f"out{suffix}": met["files"][f"out{suffix}"], f"out-0001{suffix}": FRAMES_AFTER}


def test_lines_are_whole_on_a_full_disk_and_go_on(tmp_path: Path) -> None:
    met = filled_and_freed(tmp_path / "disk", "json:lines.jsonl")
    assert met["first"] is not None
    lines = [json.loads(line)["index"] for line in met["files"]["lines.jsonl"]]
    assert lines == list(range(met["first_frames"] + FRAMES_AFTER))


READ_ONLY = """
import sys
from fcn_edge.errors import OutputError
from tests.runtime.sinks.test_opening import LIVE_CONTEXT, open_sink
try:
    open_sink(sys.argv[1], LIVE_CONTEXT)
except OutputError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("name", ["out.mkv", "%Y/%m.mp4", "%06d.png", "lines.jsonl"])
def test_a_folder_that_may_only_be_read_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "disk"
    target = f"{'json:' if name.endswith('l') else ''}{folder / name}"
    if WAY == "tmpfs":
        done = mounted(folder, "ro", sys.executable, "-c", READ_ONLY, target)
    else:
        folder.mkdir(mode=0o500)
        command = [sys.executable, "-c", READ_ONLY, target]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (5, "")
    assert done.stdout.startswith(f"{folder}: wanted to write here, found: ") and done.stdout.count("\n") == 1
