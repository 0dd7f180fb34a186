"""runtime.sinks.opening and its sinks: what each one writes, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.errors import OutputError, UsageError
from fcn_edge.images import read_mask
from fcn_edge.labels import VOID
from runtime.overlay import Overlay
from runtime.sinks.opening import open_sink
from runtime.sinks.sink import Segmented, Sink, SinkContext
from runtime.sinks.window import DisplaySink
from runtime.sources.frame import Frame
from tests.runtime.sinks.test_recorder import left_in, watch

PALETTE_BGR = np.zeros((256, 3), np.uint8)
PALETTE_BGR[: len(STREET_LABELS)] = np.array(STREET_LABELS.palette, np.uint8)[:, ::-1]
CONTEXT = SinkContext(STREET_LABELS, "overlay", 0.5, Fraction(25, 2))


def some_mask(seed: int, size_hw: tuple[int, int] = (37, 53)) -> np.ndarray:
    ids = np.array([*range(len(STREET_LABELS)), VOID], np.uint8)
    return np.random.default_rng(seed).choice(ids, size_hw)


def segmented(mask: np.ndarray, index: int = 0, name: str = "a.png", time: Fraction | None = None) -> Segmented:
    image = np.full((*mask.shape, 3), 90, np.uint8)
    return Segmented(Frame(image, index, name, time), mask, {"decode": 1.23456, "infer": 2.0})


def fill(sink: Sink, frames: Sequence[Segmented]) -> None:
    try:
        for frame in frames:
            sink.write(frame)
        sink.finish()
    finally:
        sink.close()


@pytest.mark.parametrize("size_hw", [(1, 1), (37, 53), (240, 320)], ids=str)
def test_mask_pngs_hold_class_ids_exactly(tmp_path: Path, size_hw: tuple[int, int]) -> None:
    mask = some_mask(1, size_hw)
    fill(open_sink(str(tmp_path / "out.png"), CONTEXT), [segmented(mask)])
    assert np.array_equal(read_mask(tmp_path / "out.png"), mask)


def test_mask_pngs_show_the_palette_to_other_programs(tmp_path: Path) -> None:
    mask = some_mask(1)
    fill(open_sink(str(tmp_path / "out.png"), CONTEXT), [segmented(mask)])
    assert np.array_equal(cv2.imread(str(tmp_path / "out.png")), PALETTE_BGR[mask])


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("%06d.png", ["000000.png", "000001.png", "000002.png"]),
        ("%d.png", ["0.png", "1.png", "2.png"]),
        ("{name}.png", ["a.png", "b.png", "c.d.png"]),
        ("{name}-%03d.png", ["a-000.png", "b-001.png", "c.d-002.png"]),
        ("100%-%d.PNG", ["100%-0.PNG", "100%-1.PNG", "100%-2.PNG"]),
        ("%06d.jpg", ["000000.jpg", "000001.jpg", "000002.jpg"]),
        ("{name}.jpeg", ["a.jpeg", "b.jpeg", "c.d.jpeg"]),
    ],
)
def test_a_pattern_names_a_file_per_frame(tmp_path: Path, pattern: str, files: list[str]) -> None:
    frames = [segmented(some_mask(index), index, name) for index, name in enumerate(("a.jpg", "b.png", "c.d.bmp"))]
    fill(open_sink(str(tmp_path / "new" / pattern), CONTEXT), frames)
    assert left_in(tmp_path / "new") == files


def test_a_frames_number_and_name_meet_its_own_mask(tmp_path: Path) -> None:
    fill(open_sink(str(tmp_path / "%02d.png"), CONTEXT), [segmented(some_mask(index), index) for index in range(3)])
    for index in range(3):
        assert np.array_equal(read_mask(tmp_path / f"{index:02d}.png"), some_mask(index))


@pytest.mark.parametrize("pattern", ["%d/mask.png", "{name}/mask.png"])
def test_a_pattern_of_folders_makes_no_folder_of_its_own_name(tmp_path: Path, pattern: str) -> None:
    fill(open_sink(str(tmp_path / pattern), CONTEXT), [segmented(some_mask(0), 7, "seven.png")])
    assert left_in(tmp_path) in (["7"], ["seven"])


@pytest.mark.parametrize(("pattern", "names"), [("one.png", "ab"), ("{name}.png", "aa"), ("{name}.jpg", "aa")])
def test_two_frames_onto_one_name_are_refused(tmp_path: Path, pattern: str, names: str) -> None:
    sink = open_sink(str(tmp_path / pattern), CONTEXT)
    sink.write(segmented(some_mask(0), 0, names[0]))
    with pytest.raises(UsageError, match=r"twice.*%06d"):
        sink.write(segmented(some_mask(1), 1, names[1]))


def test_jpegs_show_the_view(tmp_path: Path) -> None:
    mask = np.full((64, 96), 3, np.uint8)
    fill(open_sink(str(tmp_path / "out.jpg"), CONTEXT), [segmented(mask)])
    wanted = Overlay(STREET_LABELS).draw(np.full((64, 96, 3), 90, np.uint8), mask, "overlay")
    assert np.abs(cv2.imread(str(tmp_path / "out.jpg")).astype(int) - wanted).max() < 5


def test_a_picture_that_jpeg_cannot_hold_is_refused(tmp_path: Path) -> None:
    sink = open_sink(str(tmp_path / "out.jpg"), CONTEXT)
    with pytest.raises(OutputError, match=r"out\.jpg"):
        sink.write(segmented(np.zeros((1, 65_501), np.uint8)))  # a side of at most 65500


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4", "OUT.MKV"])
def test_videos_have_the_sources_rate_and_every_frame(tmp_path: Path, name: str) -> None:
    fill(open_sink(str(tmp_path / name), CONTEXT), [segmented(some_mask(index), index) for index in range(9)])
    video = watch(tmp_path / name)
    assert (len(video.images), video.size_hw, video.rate) == (9, (37, 53), Fraction(25, 2))


def test_json_lines_tell_each_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = np.repeat(np.array([[0, 0, 0, 10]], np.uint8), 5, axis=0)
    fill(open_sink("json:-", CONTEXT), [segmented(mask, 4, "x.mp4", Fraction(4, 25))])
    line = json.loads(capsys.readouterr().out)
    shares = line.pop("class_shares")
    assert line == {
        "index": 4, "name": "x.mp4", "time_s": 0.16, "size_hw": [5, 4], "times_ms": {"decode": 1.235, "infer": 2.0}
    }  # fmt: skip
    assert list(shares) == list(STREET_LABELS.names)
    assert (shares["sky"], shares["cyclist"], sum(shares.values())) == (0.75, 0.25, 1.0)


@pytest.mark.parametrize("seed", range(3))
def test_class_shares_sum_to_one(capsys: pytest.CaptureFixture[str], seed: int) -> None:
    mask = np.random.default_rng(seed).integers(0, len(STREET_LABELS), (37, 53), np.uint8)
    fill(open_sink("json:", CONTEXT), [segmented(mask)])
    shares = json.loads(capsys.readouterr().out)["class_shares"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    assert shares["road"] == pytest.approx((mask == 3).mean(), abs=1e-6)


def test_a_json_file_has_a_line_a_frame_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.jsonl"
    with closing(open_sink(f"json:{path}", CONTEXT)) as sink:
        for index in range(5):
            sink.write(segmented(some_mask(index), index))
            assert [json.loads(line)["index"] for line in path.read_text().splitlines()] == list(range(index + 1))


FULL_DISK = """
import resource, sys
from pathlib import Path
from fcn_edge.errors import OutputError
from runtime.sinks.opening import open_sink
from tests.runtime.sinks.test_opening import CONTEXT, segmented, some_mask

target, limit = sys.argv[1], int(sys.argv[2])
sink = open_sink(target, CONTEXT)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    for index in range(1000):
        sink.write(segmented(some_mask(index), index))
except OutputError as error:
    print(error)
finally:
    sink.close()
"""


def on_a_full_disk(target: str, limit: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", FULL_DISK, target, str(limit)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("limit", [5000, 5001, 5137, 5300])
def test_a_json_file_never_ends_in_half_a_line(tmp_path: Path, limit: int) -> None:
    done = on_a_full_disk(f"json:{tmp_path / 'out.jsonl'}", limit)
    text = (tmp_path / "out.jsonl").read_text()
    assert "wanted to write here, found" in done.stdout, done
    assert text.endswith("\n") and len(text) > limit // 2
    assert [json.loads(line)["index"] for line in text.splitlines()] == list(range(text.count("\n")))


@pytest.mark.parametrize("name", ["out%d.png", "out%d.jpg"])
def test_a_picture_is_whole_or_not_there(tmp_path: Path, name: str) -> None:
    done = on_a_full_disk(str(tmp_path / name), 100)
    assert "wanted to write here, found: File too large" in done.stdout, done
    assert left_in(tmp_path) == []


def test_a_full_device_is_told_as_such() -> None:
    with pytest.raises(OutputError, match="No space left on device"):
        fill(open_sink("json:/dev/full", CONTEXT), [segmented(some_mask(0))])


@pytest.mark.parametrize("uri", ["out.png", "out.jpg", "out.mkv", "json:out.jsonl"])
def test_a_place_that_cannot_be_is_refused_at_the_start(tmp_path: Path, uri: str) -> None:
    (tmp_path / "file").write_text("")
    kind, _, name = uri.rpartition(":")
    with pytest.raises(OutputError, match="file"):
        open_sink(f"{kind}{':' if kind else ''}{tmp_path / 'file' / name}", CONTEXT)


@pytest.mark.parametrize("uri", ["", "out", "out.avi", "out.txt", "rtsp://host/live", "displays://", "null", ".mkv"])
def test_an_unknown_sink_is_refused_with_those_known(uri: str) -> None:
    with pytest.raises(UsageError, match=r"wanted display://, out\.mkv"):
        open_sink(uri, CONTEXT)


def test_null_takes_everything_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fill(open_sink("null:", CONTEXT), [segmented(some_mask(0))])
    assert left_in(tmp_path) == []


def test_a_window_without_a_display_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="DISPLAY is not set"):
        DisplaySink(Overlay(STREET_LABELS), "overlay")
