"""runtime.sinks.salvage: what a killed process recorded is readable, and kept at the next start."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import pytest

from fcn_edge.datasets.synthetic import STREET_LABELS
from runtime.sinks import salvage
from runtime.sinks.disk_space import mark_of
from runtime.sinks.opening import open_sink
from runtime.sinks.recorder import LIVE, Recorder
from runtime.sinks.recording import RecordingOptions
from runtime.sinks.salvage import Salvage, keep
from runtime.sinks.series import Series, begin_file
from runtime.sinks.sink import SinkContext
from tests.runtime.sinks.test_opening import segmented, some_mask
from tests.runtime.sinks.test_recorder import SUFFIXES, left_in, steps, watch

LIVE_CONTEXT = SinkContext(
    STREET_LABELS, "overlay", 0.5, Fraction(25), live=True, recording=RecordingOptions(min_free_bytes=0)
)
FILE_CONTEXT = SinkContext(STREET_LABELS, "overlay", 0.5, Fraction(25))


def killed_while_recording(target: Path, seconds: float, segment_s: float = 600) -> tuple[int, int, int]:
    """(frames that it wrote, monotonic ns of the first, of the kill)."""
    command = [sys.executable, "-m", "tests.runtime.sinks.recording_process", str(target), str(segment_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        killed_ns = time.monotonic_ns()
        written = [line for line in process.stdout.read().split("\n") if line]
    return 1 + len(written), int(first.split()[1]), killed_ns


def wait_for(is_so: Callable[[], bool], within_s: float = 30) -> None:
    until = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


def leave(path: Path, frames: int = 30, mark: str | None = "fcn-edge recording out.mkv") -> Path:
    """A temporary file as a process leaves it that is killed; its own name tells a process that never was."""
    recorder = Recorder(path, Fraction(25), LIVE, mark)
    for index, image in enumerate(steps(frames)):
        recorder.write(image, Fraction(index, 25), index)
    left = path.with_name(f".{path.name}.4194305.part")
    left.write_bytes(recorder._part.read_bytes())
    recorder._part.unlink()
    recorder.close()
    return left


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_kill_costs_less_than_a_second(tmp_path: Path, suffix: str) -> None:
    frames, first_ns, killed_ns = killed_while_recording(tmp_path / f"out{suffix}", 1.5)
    (part,) = tmp_path.iterdir()
    assert part.name.startswith(f".out{suffix}.") and part.suffix == ".part"
    video = watch(part)
    assert frames - 25 < len(video.images) <= frames
    assert video.times[-1] > 1e-9 * (killed_ns - first_ns) - 1
    assert [round(image.mean()) - 20 for image in video.images[::5]] == pytest.approx(
        list(range(0, len(video.images), 5)),
        abs=60,  # the overlay dims them; their order stays
    )


def test_of_many_segments_only_the_last_is_touched_by_a_kill(tmp_path: Path) -> None:
    frames, _, _ = killed_while_recording(tmp_path / "%H%M%S.mkv", 2.5, segment_s=1)
    *closed, part = sorted(tmp_path.iterdir(), key=lambda path: (path.name.startswith("."), path.name))
    assert part.suffix == ".part" and len(closed) >= 2 and all(path.suffix == ".mkv" for path in closed)
    readable = [len(watch(path).images) for path in [*closed, part]]
    assert min(readable[:-1]) > 10 and frames - 2 <= sum(readable) <= frames + 1


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4", "rec-%Y.mkv"])
def test_the_next_start_keeps_what_was_left(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    killed_while_recording(tmp_path / name, 1)
    (part,) = tmp_path.iterdir()
    whole = len(watch(part).images)
    with closing(open_sink(str(tmp_path / name), LIVE_CONTEXT)) as sink:
        for index in range(5):
            sink.write(segmented(some_mask(index), index))
        sink.finish()
        wait_for(lambda: not part.exists())
    names = left_in(tmp_path)
    assert len(names) == 2 and all(not name.startswith(".") for name in names)
    assert sorted(len(watch(tmp_path / name).images) for name in names) == [5, whole]
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and "recovered a recording that was cut short" in told[0]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_left_gets_an_index_its_times_and_its_mark(tmp_path: Path, suffix: str) -> None:
    part = leave(tmp_path / f"out{suffix}")
    before = watch(part)
    os.utime(part, (1e9, 1e9))
    kept = keep(part, tmp_path / f"out{suffix}")
    assert (kept["kept"], left_in(tmp_path)) == (str(tmp_path / f"out{suffix}"), [f"out{suffix}"])
    after = watch(tmp_path / f"out{suffix}")
    assert (len(after.images), after.times) == (len(before.images), pytest.approx(before.times, abs=1e-3))
    assert kept["seconds"] == pytest.approx(before.times[-1], abs=1e-3)
    assert (tmp_path / f"out{suffix}").stat().st_mtime == 1e9  # by their age the oldest are found
    assert mark_of(tmp_path / f"out{suffix}") == "fcn-edge recording out.mkv"
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.duration == pytest.approx(1e6 * (before.times[-1] + 0.04), abs=5e4)
        container.seek(int(0.5e6))
        assert next(container.decode(video=0)).time == pytest.approx(0, abs=0.6)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_cut_anywhere_gives_what_is_whole_of_it(tmp_path: Path, suffix: str) -> None:
    content, kept_frames = leave(tmp_path / f"out{suffix}", 60).read_bytes(), []
    first_frame_at = 2100  # behind the header and the encoder's notes
    for length in range(first_frame_at, len(content), 23):
        (part := tmp_path / ".out.1.part").write_bytes(content[:length])
        keep(part, wanted := tmp_path / f"kept{suffix}")
        kept_frames.append(len(watch(wanted).images))
        wanted.unlink()
    assert min(kept_frames) >= 1 and max(kept_frames) >= 48
    assert kept_frames == sorted(kept_frames)  # the more is there, the more is kept


def test_what_took_the_name_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    part = leave(tmp_path / "out.mkv")
    (tmp_path / "out.mkv").write_text("somebody's")
    assert keep(part, tmp_path / "out.mkv")["kept"] == str(tmp_path / "out-0001.mkv")
    assert (tmp_path / "out.mkv").read_text() == "somebody's"


def test_where_a_copy_is_too_dear_the_file_is_kept_as_it_is(tmp_path: Path) -> None:
    part = leave(tmp_path / "out.mkv")
    content = part.read_bytes()
    assert keep(part, tmp_path / "out.mkv", most_s=0) == {"kept": str(tmp_path / "out.mkv"), "seconds": None}
    assert (tmp_path / "out.mkv").read_bytes() == content and left_in(tmp_path) == ["out.mkv"]


def test_a_file_that_somebody_writes_is_left_alone(tmp_path: Path) -> None:
    _, part, file = begin_file(tmp_path / "out.mkv")
    with file:
        file.write(b"x")
        assert keep(part, tmp_path / "out.mkv") == {"in_use": True}
        assert left_in(tmp_path) == [part.name]


def test_what_cannot_be_read_stays_and_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = tmp_path / ".out.mkv.4194305.part"
    part.write_bytes(b"not a video" * 500)
    for _ in range(3):
        with closing(open_sink(str(tmp_path / "out.mkv"), LIVE_CONTEXT)):
            wait_for(lambda: part in salvage._left)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and str(part) in told[0] and "it is left there" in told[0]
    assert part.read_bytes() == b"not a video" * 500


def test_a_reader_that_crashes_takes_nothing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part = leave(tmp_path / "out.mkv")
    crash = tmp_path / "crash"
    crash.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crash.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crash))
    work = Salvage(Series(str(tmp_path / "out.mkv")).leftovers())
    work.start()
    wait_for(lambda: part in salvage._left)
    work.stop(5)
    assert "a reader that ended with -11" in capsys.readouterr().err and part.exists()


def test_the_end_waits_for_no_leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = leave(tmp_path / "out.mkv")
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    work = Salvage(Series(str(tmp_path / "out.mkv")).leftovers())
    work.start()
    wait_for(lambda: work._child is not None)
    work.stop(0.1)
    assert work._child is not None and work._child.poll() == -9 and not work._thread.is_alive()
    assert part.exists() and part not in salvage._left  # for the next start


def test_a_video_that_was_never_finished_does_not_get_its_name(tmp_path: Path) -> None:
    """Of a file, the final name holds a whole video; what a second Ctrl-C left of another is kept beside it."""
    left = leave(tmp_path / "out.mkv")
    with closing(open_sink(str(tmp_path / "out.mkv"), FILE_CONTEXT)) as sink:
        for index in range(3):
            sink.write(segmented(some_mask(index), index))
        sink.finish()
        wait_for(lambda: not left.exists())
    assert left_in(tmp_path) == ["out-recovered.mkv", "out.mkv"]
    assert len(watch(tmp_path / "out.mkv").images) == 3
    assert len(watch(tmp_path / "out-recovered.mkv").images) == 29


def test_files_that_are_not_ours_are_not_touched(tmp_path: Path) -> None:
    theirs = [".other.mkv.4194305.part", ".out.mkv.part", "out.mkv.4194305.part", "out.avi", ".out.mp4.4194305.part"]
    for name in theirs:
        (tmp_path / name).write_bytes(b"theirs" * 100)
    with closing(open_sink(str(tmp_path / "out.mkv"), LIVE_CONTEXT)):
        pass
    assert left_in(tmp_path) == sorted(theirs)
    assert all((tmp_path / name).read_bytes() == b"theirs" * 100 for name in theirs)
