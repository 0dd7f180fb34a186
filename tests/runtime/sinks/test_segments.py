"""runtime.sinks.segments: a camera's recording, one file after another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from fcn_edge.errors import OutputError, UsageError
from runtime.sinks.disk_space import DiskFull, Floor, Quota, is_disk_full, mark_of
from runtime.sinks.recorder import LIVE, Recorder
from runtime.sinks.recording import RecordingOptions
from runtime.sinks.segments import Segments
from runtime.sinks.series import Series
from tests.runtime.sinks.test_recorder import SUFFIXES, left_in, levels, steps, watch

S = 1_000_000_000
BEGIN_NS = 77 * S
NO_FLOOR = RecordingOptions(min_free_bytes=0)
TIMED = "%Y%m%d-%H%M%S.mkv"


class WallClock:
    """A clock on the wall that somebody may set."""

    def __init__(self) -> None:
        self.set_by_s = 0.0

    def __call__(self) -> float:
        import time

        return time.monotonic() + 1_772_880_896 + self.set_by_s


@contextmanager
def recording(
    pattern: Path, options: RecordingOptions = NO_FLOOR, wall: Callable[[], float] | None = None
) -> Iterator[Segments]:
    segments = Segments(Series(str(pattern)), options, Fraction(25), wall or WallClock())
    try:
        yield segments
        segments.finish()
    finally:
        segments.close()


def write(segments: Segments, frames: int, begin_s: float = 0.0, fps: int = 10, side: int = 64) -> None:
    for index, image in enumerate(steps(frames, (48, side))):
        segments.write(image, BEGIN_NS + round(S * (begin_s + index / fps)), index)


def lengths(folder: Path) -> list[int]:
    return [len(watch(folder / name).images) for name in left_in(folder)]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_frames_keep_their_times_and_a_gap_stays_a_gap(tmp_path: Path, suffix: str) -> None:
    with recording(tmp_path / f"out{suffix}") as segments:
        write(segments, 8)
        write(segments, 8, begin_s=20)
    video = watch(tmp_path / f"out{suffix}")
    assert video.times == pytest.approx([index / 10 for index in [*range(8), *range(200, 208)]], abs=2e-3)
    assert levels(video.images) == pytest.approx(levels(steps(8)) * 2, abs=5)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_times_never_go_backwards(tmp_path: Path, suffix: str) -> None:
    with recording(tmp_path / f"out{suffix}") as segments:
        for seconds in (0, 0.5, 0.2, 0.2, -3, 0.9):
            segments.write(steps(1)[0], BEGIN_NS + round(S * seconds), 0)
    times = watch(tmp_path / f"out{suffix}").times
    assert len(times) == 6 and all(early <= late for early, late in pairwise(times))
    assert times[-1] == pytest.approx(0.9, abs=2e-3)


@pytest.mark.parametrize("fps", [2, 10, 40])
def test_a_key_frame_comes_every_second_whatever_the_rate(tmp_path: Path, fps: int) -> None:
    with recording(tmp_path / "out.mkv") as segments:
        write(segments, 5 * fps, fps=fps)
    with av.open(str(tmp_path / "out.mkv")) as container:
        keys = [float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.is_keyframe]
    assert keys[0] == 0 and max(late - early for early, late in pairwise([*keys, 5.0])) <= 1.002


def test_names_that_hold_the_time_begin_anew_after_a_segment(tmp_path: Path) -> None:
    with recording(tmp_path / TIMED, RecordingOptions(segment_s=2, min_free_bytes=0)) as segments:
        write(segments, 45)
        assert segments.facts()["segments"] == 3
    assert sorted(lengths(tmp_path)) == [5, 20, 20]
    for name in left_in(tmp_path):
        with av.open(str(tmp_path / name)) as container:
            assert next(container.demux(video=0)).is_keyframe


def test_a_plain_name_is_one_file(tmp_path: Path) -> None:
    with recording(tmp_path / "out.mkv", RecordingOptions(segment_s=2, min_free_bytes=0)) as segments:
        write(segments, 45)
    assert left_in(tmp_path) == ["out.mkv"]


@pytest.mark.parametrize("name", ["out.mkv", TIMED])
def test_a_change_of_size_begins_anew(tmp_path: Path, name: str) -> None:
    with recording(tmp_path / name) as segments:
        for begin_s, side in ((0, 64), (20, 96), (40, 64)):
            write(segments, 4, begin_s, side=side)
    sizes = [watch(tmp_path / name).size_hw for name in left_in(tmp_path)]
    assert sorted(sizes) == [(48, 64), (48, 64), (48, 96)]


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4", TIMED])
def test_a_camera_that_changes_its_size_with_every_picture_makes_few_files(tmp_path: Path, name: str) -> None:
    pictures = [np.full((48, 128 if index % 2 else 64, 3), 200, np.uint8) for index in range(30)]
    with recording(tmp_path / name) as segments:
        for index, picture in enumerate(pictures):  # 14.5 s, two of them a second
            segments.write(picture, BEGIN_NS + index * S // 2, index)
    videos = [watch(tmp_path / file) for file in left_in(tmp_path)]
    assert sorted((len(video.images), video.size_hw) for video in videos) == [(9, (48, 128)), (21, (48, 64))]
    wide = next(video for video in videos if video.size_hw == (48, 64)).images[1]
    assert wide[24].mean() > 190 and wide[:10].mean() < 10, "a wide picture lies between black borders"


def test_a_camera_that_was_away_for_hours_begins_anew(tmp_path: Path) -> None:
    with recording(tmp_path / "out.mkv") as segments:
        write(segments, 3)
        write(segments, 4, begin_s=7200)
    assert lengths(tmp_path) == [4, 3]  # out-0001.mkv, out.mkv


@pytest.mark.parametrize("jump_s", [3600, -3600, 6])
def test_a_jump_of_the_clock_begins_anew_where_names_hold_the_time(tmp_path: Path, jump_s: float) -> None:
    wall = WallClock()
    with recording(tmp_path / TIMED, wall=wall) as segments:
        write(segments, 5)
        wall.set_by_s = jump_s
        write(segments, 5, begin_s=0.5)
        write(segments, 5, begin_s=1)
    assert sorted(lengths(tmp_path)) == [5, 10]


@pytest.mark.parametrize(("name", "jump_s"), [("out.mkv", 3600), (TIMED, 3)])
def test_a_jump_that_no_name_tells_changes_nothing(tmp_path: Path, name: str, jump_s: float) -> None:
    wall = WallClock()
    with recording(tmp_path / name, wall=wall) as segments:
        write(segments, 5)
        wall.set_by_s = jump_s
        write(segments, 5, begin_s=0.5)
    assert lengths(tmp_path) == [10]


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4", "%Y.mkv"])
def test_a_restart_overwrites_nothing(tmp_path: Path, name: str) -> None:
    for frames in (3, 4, 5):
        with recording(tmp_path / name) as segments:
            write(segments, frames)
    assert sorted(lengths(tmp_path)) == [3, 4, 5]


def test_two_recordings_of_one_name_get_two(tmp_path: Path) -> None:
    with recording(tmp_path / "out.mkv") as one, recording(tmp_path / "out.mkv") as other:
        write(one, 3)
        write(other, 4)
    assert lengths(tmp_path) == [4, 3]


def test_what_took_the_name_meanwhile_stays(tmp_path: Path) -> None:
    with recording(tmp_path / "out.mkv") as segments:
        write(segments, 3)
        (tmp_path / "out.mkv").write_text("somebody's")
    assert (tmp_path / "out.mkv").read_text() == "somebody's"
    assert len(watch(tmp_path / "out-0001.mkv").images) == 3


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_not_finished_is_kept(tmp_path: Path, suffix: str) -> None:
    segments = Segments(Series(str(tmp_path / f"out{suffix}")), NO_FLOOR, None)
    write(segments, 30)
    segments.close()
    assert left_in(tmp_path) == [f"out{suffix}"]
    assert len(watch(tmp_path / f"out{suffix}").images) == 30


def test_a_recording_without_frames_leaves_no_file(tmp_path: Path) -> None:
    with recording(tmp_path / "new" / "out.mkv"):
        assert left_in(tmp_path / "new") == []
    recorder = Recorder(tmp_path / "new" / "out.mkv", None, LIVE)
    recorder.close()
    assert left_in(tmp_path / "new") == []


def test_facts_tell_the_file_and_the_disk(tmp_path: Path) -> None:
    with recording(tmp_path / "out.mkv") as segments:
        assert segments.facts() == {}
        write(segments, 11)
        facts = segments.facts()
    free = os.statvfs(tmp_path)
    assert (facts["file"], facts["seconds"], facts["segments"]) == (str(tmp_path / "out.mkv"), 1.0, 1)
    assert 0 < facts["bytes"] <= (tmp_path / "out.mkv").stat().st_size
    assert facts["free_bytes"] == pytest.approx(free.f_bavail * free.f_frsize, rel=0.5)


def test_below_the_floor_nothing_is_opened(tmp_path: Path) -> None:
    with (
        pytest.raises(DiskFull, match="free space") as raised,
        recording(tmp_path / "out.mkv", RecordingOptions(min_free_bytes=1 << 60)),
    ):
        pass
    assert is_disk_full(raised.value) and left_in(tmp_path) == []


def test_a_recording_that_reaches_the_floor_is_closed_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = RecordingOptions(min_free_bytes=1000, check_s=0)
    with recording(tmp_path / "out.mkv", options) as segments:
        write(segments, 12)
        with monkeypatch.context() as patch, pytest.raises(DiskFull):
            patch.setattr(os, "statvfs", lambda folder: os.statvfs_result([1, 1, 10_000, 999, 999, 0, 0, 0, 0, 0]))
            write(segments, 1, begin_s=2)
        with av.open(str(tmp_path / "out.mkv")) as container:
            assert container.duration is not None  # it has its index
        write(segments, 5, begin_s=3)
    assert lengths(tmp_path) == [5, 12]


@pytest.mark.parametrize(
    ("blocks", "free", "is_full"), [(10_000, 499, True), (10_000, 500, False), (10**9, 0, True), (0, 0, False)]
)
def test_the_floor_is_a_share_of_a_small_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int, free: int, is_full: bool
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda folder: os.statvfs_result([1, 1, blocks, free, free, 0, 0, 0, 0, 0]))
    floor = Floor(tmp_path, RecordingOptions())
    if is_full:
        with pytest.raises(DiskFull):
            floor.check()
    else:
        floor.check()


def test_the_floor_of_a_large_disk_is_a_gibibyte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"free": (1 << 18) - 1}
    monkeypatch.setattr(
        os, "statvfs", lambda folder: os.statvfs_result([4096, 4096, 10**9, *[sizes["free"]] * 2, 0, 0, 0, 0, 0])
    )
    floor = Floor(tmp_path, RecordingOptions())
    with pytest.raises(DiskFull, match=r"wanted 1\.07 GB"):
        floor.check()
    sizes["free"] += 1
    floor.check()


def aged(folder: Path, names: list[str], series: Series) -> int:
    """Recordings of one series, the first the oldest; bytes of one."""
    for age, name in enumerate(names):
        recorder = Recorder(folder / name, None, LIVE, series.mark)
        recorder.write(np.full((48, 64, 3), 90, np.uint8), None, 0)
        recorder.finish()
        os.utime(recorder.path, (1e9 + age, 1e9 + age))
    return (folder / names[0]).stat().st_size


def test_the_oldest_recordings_make_room_and_nothing_else(tmp_path: Path) -> None:
    series = Series(str(tmp_path / "%H.mkv"))
    size_bytes = aged(tmp_path, ["07.mkv", "03.mkv", "05.mkv", "01.mkv"], series)
    aged(tmp_path, ["00.mkv"], Series(str(tmp_path / "%M.mkv")))  # of another series
    (tmp_path / "02.mkv").write_bytes(b"a film of mine" * 1000)
    (tmp_path / "holiday.mkv").write_bytes(b"x")

    forgotten = Quota(series, 2 * size_bytes + 10).enforce()

    assert [path.name for path in forgotten] == ["07.mkv", "03.mkv"]
    assert left_in(tmp_path) == ["00.mkv", "01.mkv", "02.mkv", "05.mkv", "holiday.mkv"]


def test_what_is_being_written_counts_but_is_not_deleted(tmp_path: Path) -> None:
    series = Series(str(tmp_path / "%H.mkv"))
    size_bytes = aged(tmp_path, ["07.mkv", "03.mkv"], series)
    assert [path.name for path in Quota(series, 2 * size_bytes).enforce(growing_bytes=1)] == ["07.mkv"]
    assert [path.name for path in Quota(series, 0).enforce(growing_bytes=1 << 40)] == ["03.mkv"]


def test_a_long_recording_stays_within_its_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = RecordingOptions(segment_s=1, min_free_bytes=0, keep_bytes=20_000, check_s=0)
    with recording(tmp_path / TIMED, options) as segments:
        write(segments, 200, side=640)
        facts = segments.facts()
    assert facts["segments"] == 20
    sizes = [(tmp_path / name).stat().st_size for name in left_in(tmp_path)]
    assert 1 < len(sizes) < 20 and sum(sizes) < 20_000 + 2 * max(sizes)
    assert "deleted to keep" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_recording_bears_the_mark_of_its_series(tmp_path: Path, suffix: str) -> None:
    series = Series(str(tmp_path / f"out{suffix}"))
    aged(tmp_path, [f"out{suffix}"], series)
    assert mark_of(tmp_path / f"out{suffix}") == f"fcn-edge recording out{suffix}"


@pytest.mark.parametrize("wrong", [{"segment_s": 0.5}, {"min_free_bytes": -1}, {"keep_bytes": -1}], ids=str)
def test_options_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        RecordingOptions(**wrong)  # type: ignore[arg-type]


def test_a_place_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"), recording(tmp_path / "file" / "%Y.mkv"):
        pass
