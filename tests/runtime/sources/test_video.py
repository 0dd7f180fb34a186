"""runtime.sources.video: every frame of a file, its damage counted, its rotation honoured."""

from __future__ import annotations

import os
import struct
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import runtime.sources.video
from fcn_edge.datasets.street import draw_street
from fcn_edge.errors import SourceError
from runtime.sources.frame import Frame
from runtime.sources.opening import open_path
from runtime.sources.video import MAX_BAD_IN_A_ROW, VideoSource
from tests.runtime.sinks.test_recorder import SUFFIXES, levels, record, steps


def read(path: Path) -> tuple[list[Frame], VideoSource]:
    source = VideoSource(path)
    try:
        return list(source), source
    finally:
        source.close()


def damage(path: Path, packets: set[int]) -> Path:
    """Overwrite whole packets of an mp4, whose positions its index tells."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for number in packets:
        position, size = places[number]
        content[position : position + size] = b"\xff" * size
    path.write_bytes(content)
    return path


def turn(path: Path, clockwise: int) -> Path:
    """Give an mp4 the display matrix with which a phone says that it was held another way."""
    matrices = {90: (0, 1, 0, -1, 0), 180: (-1, 0, 0, 0, -1), 270: (0, -1, 0, 1, 0)}  # a b u c d of ISO 14496-12
    content = bytearray(path.read_bytes())
    at = content.find(b"tkhd") + 44
    assert struct.unpack_from(">5i", content, at) == (65536, 0, 0, 0, 65536)
    struct.pack_into(">5i", content, at, *(65536 * value for value in matrices[clockwise]))
    path.write_bytes(content)
    return path


def test_lossless_frames_come_out_bit_for_bit(tmp_path: Path) -> None:
    frames = [draw_street(1, 0.04 * index, (49, 63))[0] for index in range(7)]
    write_lossless(tmp_path / "in.mkv", frames)

    got, source = read(tmp_path / "in.mkv")

    assert source.bad == 0
    assert [frame.index for frame in got] == list(range(7))
    assert all(np.array_equal(frame.image, wanted) for frame, wanted in zip(got, frames, strict=True))


def write_lossless(path: Path, frames: list[NDArray[np.uint8]]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "bgr0"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="bgr0")))
        container.mux(stream.encode())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_h264_frames_come_in_order_and_none_is_missing(tmp_path: Path, suffix: str) -> None:
    frames = steps(60)
    got, source = read(record(tmp_path / f"in{suffix}", frames))
    assert levels([frame.image for frame in got]) == pytest.approx(levels(frames), abs=5)
    assert (source.rate, source.count, source.bad) == (25, 60, 0)
    assert {frame.name for frame in got} == {f"in{suffix}"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_times_start_at_zero_and_follow_the_file(tmp_path: Path, suffix: str) -> None:
    times = [5 + Fraction(beat, 25) for beat in (0, 1, 2, 10, 11)]
    got, _ = read(record(tmp_path / f"in{suffix}", steps(5), times=times))
    assert got[0].time == 0
    assert [float(frame.time or 0) for frame in got] == pytest.approx([0, 0.04, 0.08, 0.4, 0.44], abs=1e-3)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_file_gives_its_good_part(tmp_path: Path, share: float) -> None:
    whole = record(tmp_path / "whole.mkv", [draw_street(1, 0.04 * index, (48, 64))[0] for index in range(40)])
    (tmp_path / "cut.mkv").write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])

    got, wanted = read(tmp_path / "cut.mkv")[0], read(whole)[0]

    assert 0.2 * share * 40 < len(got) < 40
    assert all(np.array_equal(a.image, b.image) for a, b in zip(got[:-1], wanted, strict=False))


@pytest.mark.realdata
def test_a_file_that_is_cut_short_is_told(real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = (real_data / "video" / "solidWhiteRight.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[:400_000])
    got, _ = read(tmp_path / "cut.mp4")
    assert 0 < len(got) < 221
    assert f"after {len(got)} of the 221 frames" in capsys.readouterr().err


def test_damaged_packets_are_counted_and_left_out(tmp_path: Path) -> None:
    got, source = read(damage(record(tmp_path / "in.mp4", steps(60)), {20, 30, 31}))
    assert (len(got), source.bad) == (57, 3)
    assert [frame.index for frame in got] == list(range(57))


def test_too_many_damaged_packets_in_a_row_end_the_file(tmp_path: Path) -> None:
    count = MAX_BAD_IN_A_ROW + 60
    got, source = read(damage(record(tmp_path / "in.mp4", steps(count)), set(range(20, 20 + MAX_BAD_IN_A_ROW))))
    assert source.bad == MAX_BAD_IN_A_ROW
    assert 0 < len(got) <= 20


def test_a_video_without_one_good_frame_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="none that can be decoded"):
        read(damage(record(tmp_path / "in.mp4", steps(10)), set(range(10))))


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_a_turned_video_is_set_upright(tmp_path: Path, clockwise: int) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32] = 200  # top left
    got, _ = read(turn(record(tmp_path / "in.mp4", [image] * 3), clockwise))
    upright = np.rot90(image, -clockwise // 90)
    assert got[0].image.shape == upright.shape
    assert np.abs(got[0].image.astype(int) - upright).mean() < 5


def cut_mp4(path: Path) -> None:
    content = record(path, steps(20)).read_bytes()
    path.write_bytes(content[: len(content) // 2])  # its index stood at the end


def silence(path: Path) -> None:
    with path.open("wb") as file, wave.open(file) as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))


def words(path: Path) -> None:
    path.write_text("These are words and no pictures.\n" * 40)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("words.mp4", words),
        ("words.mkv", words),
        ("words", words),
        ("words.txt", words),
        ("empty.mp4", Path.touch),
        ("sound.wav", silence),
        ("cut.mp4", cut_mp4),
    ],
)
def test_what_is_no_video_is_refused_in_one_line(tmp_path: Path, name: str, make) -> None:
    make(tmp_path / name)
    with pytest.raises(SourceError) as refusal:
        list(open_path(tmp_path / name))
    assert str(tmp_path / name) in str(refusal.value) and "\n" not in str(refusal.value)
    assert "Errno" not in str(refusal.value)


def test_a_name_with_colons_is_a_file_and_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.rename(record(tmp_path / "in.mkv", steps(3)), tmp_path / "drive-12:30:00.mkv")
    monkeypatch.chdir(tmp_path)
    assert len(list(open_path(Path("drive-12:30:00.mkv")))) == 3


def test_frames_beyond_the_limit_of_pixels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.sources.video, "MAX_PIXELS", 48 * 64 - 1)
    with pytest.raises(SourceError, match="64x48"):
        read(record(tmp_path / "in.mkv", steps(2)))
