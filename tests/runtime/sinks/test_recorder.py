"""runtime.sinks.recorder: frames in are frames out, whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from fcn_edge.datasets.street import draw_street
from fcn_edge.errors import OutputError
from runtime.sinks.recorder import Recorder

Image = NDArray[np.uint8]
SUFFIXES = (".mkv", ".mp4")
PAL = Fraction(25)


@dataclass
class Video:
    """What FFmpeg itself finds in a file."""

    images: list[Image]
    times: list[float]
    rate: Fraction

    @property
    def size_hw(self) -> tuple[int, ...]:
        return self.images[0].shape[:2]


def watch(path: Path) -> Video:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoded = list(container.decode(stream))
        images = [frame.to_ndarray(format="bgr24") for frame in decoded]
        return Video(images, [float(frame.pts * frame.time_base) for frame in decoded], stream.average_rate)


def facts(path: Path) -> tuple[int, tuple[int, int], Fraction, list[float]]:
    """Frames, size, rate and times of a video that is too large to hold."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [float(frame.pts * frame.time_base) for frame in container.decode(stream)]
        return len(times), (stream.height, stream.width), stream.average_rate, times


def record(path: Path, frames: Sequence[Image], rate: Fraction | None = PAL, times: Sequence[Fraction] = ()) -> Path:
    recorder = Recorder(path, rate)
    try:
        for index, frame in enumerate(frames):
            recorder.write(frame, times[index] if times else None, index)
        recorder.finish()
    finally:
        recorder.close()
    return path


def steps(count: int, size_hw: tuple[int, int] = (48, 64)) -> list[Image]:
    """Flat grey frames, each a little brighter than the one before: their order can be read off a lossy video."""
    return [np.full((*size_hw, 3), 20 + 200 * index // max(1, count - 1), np.uint8) for index in range(count)]


def levels(images: Sequence[Image]) -> list[float]:
    return [float(image.mean()) for image in images]


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("rate", [Fraction(25), Fraction(25, 2), Fraction(30000, 1001)], ids=str)
@pytest.mark.parametrize("size_hw", [(48, 64), (47, 63), (48, 63), (1, 1)], ids=str)
def test_frames_in_are_frames_out(tmp_path: Path, suffix: str, rate: Fraction, size_hw: tuple[int, int]) -> None:
    frames = steps(12, size_hw)

    video = watch(record(tmp_path / f"out{suffix}", frames, rate))

    assert (len(video.images), video.size_hw, video.rate) == (12, size_hw, rate)
    assert levels(video.images) == pytest.approx(levels(frames), abs=5)
    assert video.times == pytest.approx([index / float(rate) for index in range(12)], abs=1e-3)


def test_a_recorded_street_looks_like_the_street(tmp_path: Path) -> None:
    frames = [draw_street(1, 0.04 * index, (120, 160))[0] for index in range(5)]
    video = watch(record(tmp_path / "out.mkv", frames))
    errors = [np.abs(a.astype(int) - b).mean() for a, b in zip(video.images, frames, strict=True)]
    assert max(errors) < 8, errors


def test_the_last_of_two_writers_wins_with_a_whole_file(tmp_path: Path) -> None:
    record(tmp_path / "out.mkv", steps(30))
    assert len(watch(record(tmp_path / "out.mkv", steps(4))).images) == 4


def test_without_a_rate_it_is_25(tmp_path: Path) -> None:
    assert watch(record(tmp_path / "out.mkv", steps(4), rate=None)).rate == 25


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "ticks", [[0] * 8, [0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 2, 0, 1, 2, 0, 1]], ids=["one", "pairs", "backwards"]
)
def test_repeated_time_stamps_lose_no_frame(tmp_path: Path, suffix: str, ticks: list[int]) -> None:
    frames = steps(8)
    video = watch(record(tmp_path / f"out{suffix}", frames, times=[Fraction(tick, 25) for tick in ticks]))
    assert levels(video.images) == pytest.approx(levels(frames), abs=5)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_uneven_times_are_kept(tmp_path: Path, suffix: str) -> None:
    times = [Fraction(0), Fraction(1, 25), Fraction(1, 2), Fraction(3, 5)]
    video = watch(record(tmp_path / f"out{suffix}", steps(4), times=times))
    assert video.times == pytest.approx([float(time) for time in times], abs=1e-3)


@pytest.mark.parametrize("other_hw", [(24, 32), (96, 128), (10, 200), (200, 10), (1, 1)], ids=str)
def test_a_frame_of_another_size_is_fitted(tmp_path: Path, other_hw: tuple[int, int]) -> None:
    first, other = np.full((48, 64, 3), 200, np.uint8), np.full((*other_hw, 3), 120, np.uint8)

    video = watch(record(tmp_path / "out.mkv", [first, other]))

    assert [image.shape[:2] for image in video.images] == [(48, 64), (48, 64)]
    assert video.images[1][24, 32].mean() == pytest.approx(120, abs=8)


def test_a_fitted_frame_keeps_its_shape_between_black_bars(tmp_path: Path) -> None:
    upright = np.full((96, 32, 3), 200, np.uint8)
    fitted = watch(record(tmp_path / "out.mkv", [steps(1)[0], upright])).images[1]
    bright_columns = (fitted.mean(axis=(0, 2)) > 100).sum()
    assert bright_columns == pytest.approx(16, abs=2)
    assert fitted[:, :16].mean() < 10 and fitted[:, -16:].mean() < 10


def test_without_finish_nothing_stays(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "out.mkv", PAL)
    for index, frame in enumerate(steps(60)):
        recorder.write(frame, None, index)
    recorder.close()
    assert left_in(tmp_path) == []


def test_without_finish_the_old_file_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "out.mkv").write_text("old")
    recorder = Recorder(tmp_path / "out.mkv", PAL)
    recorder.write(steps(1)[0], None, 0)
    recorder.close()
    assert left_in(tmp_path) == ["out.mkv"] and (tmp_path / "out.mkv").read_text() == "old"


def test_a_recording_without_frames_leaves_no_file(tmp_path: Path) -> None:
    record(tmp_path / "out.mkv", [])
    assert left_in(tmp_path) == []


def test_nothing_but_the_video_stays_after_finish(tmp_path: Path) -> None:
    record(tmp_path / "new" / "out.mp4", steps(3))
    assert left_in(tmp_path / "new") == ["out.mp4"]


def test_a_place_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/out\.mkv"):
        Recorder(tmp_path / "file" / "out.mkv", PAL)


FULL_DISK = """
import resource, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from fcn_edge.errors import OutputError
from runtime.sinks import recorder as module
from runtime.sinks.recorder import Recorder

path, limit, frames, way = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), getattr(module, sys.argv[4])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # Python ignores SIGXFSZ: writing raises EFBIG
random = np.random.default_rng(0)
recorder = Recorder(path, Fraction(25), way)
try:
    for index in range(frames):
        recorder.write(random.integers(0, 256, (64, 96, 3), np.uint8), None, index)
    recorder.finish()
except OutputError as error:
    print(error)
finally:
    recorder.close()
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("limit", "frames", "way"),
    [(20_000, 120, "WHOLE"), (20_000, 10, "WHOLE"), (100, 1, "WHOLE"), (100, 3, "LIVE"), (1000, 20, "LIVE")],
    ids=["in write", "in finish", "at once", "live, at once", "live, in the first frame"],
)
def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(
    tmp_path: Path, suffix: str, limit: int, frames: int, way: str
) -> None:
    """Of a camera: where not even one frame can be read."""
    path = tmp_path / f"out{suffix}"
    command = [sys.executable, "-c", FULL_DISK, str(path), str(limit), str(frames), way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith(f"{path}: wanted to write here, found: File too large"), done
    assert left_in(tmp_path) == []
    assert done.stderr == ""
