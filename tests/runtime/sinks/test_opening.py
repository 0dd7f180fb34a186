"""runtime.sinks.opening and its sinks: what each one writes, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
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
from runtime.sinks.disk_space import DiskFull
from runtime.sinks.opening import Frames, open_sink, require_sink_name
from runtime.sinks.recording import RecordingOptions
from runtime.sinks.sink import Segmented, Sink, SinkContext
from runtime.sinks.window import DisplaySink
from runtime.sources.frame import Frame
from tests.runtime.sinks.test_recorder import left_in, watch

PALETTE_BGR = np.zeros((256, 3), np.uint8)
PALETTE_BGR[: len(STREET_LABELS)] = np.array(STREET_LABELS.palette, np.uint8)[:, ::-1]
CONTEXT = SinkContext(STREET_LABELS, "overlay", 0.5, Fraction(25, 2))
LIVE_CONTEXT = replace(CONTEXT, rate=Fraction(25), live=True, recording=RecordingOptions(min_free_bytes=0))


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
        "source": "", "index": 4, "name": "x.mp4", "time_s": 0.16, "size_hw": [5, 4], "age_ms": None,
        "dropped_before": 0, "times_ms": {"decode": 1.235, "infer": 2.0}
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


def test_json_lines_of_a_camera_tell_its_name_the_age_and_what_was_lost(capsys: pytest.CaptureFixture[str]) -> None:
    frame = Frame(np.zeros((4, 4, 3), np.uint8), 9, "gate", None, "gate", received_ns=5_000_000, decoded_ns=6_000_000)
    fill(open_sink("json:-", LIVE_CONTEXT), [Segmented(frame, some_mask(1, (4, 4)), {}, None, 17_500_000, 3)])
    line = json.loads(capsys.readouterr().out)
    assert (line["source"], line["age_ms"], line["dropped_before"]) == ("gate", 12.5, 3)


def test_a_cameras_lines_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    for index in range(3):
        fill(open_sink(f"json:{path}", LIVE_CONTEXT), [segmented(some_mask(0), index)])
    assert [json.loads(line)["index"] for line in path.read_text().splitlines()] == [0, 1, 2]


@pytest.mark.parametrize(
    ("there", "kept"),
    [
        ('{"index": 7}\n{"index": 8, "na', '{"index": 7}\n'),
        ('{"half', ""),
        ('{"index": 7}', '{"index": 7}\n'),
        ("{" + "x" * (1 << 20), "{" + "x" * (1 << 20) + "\n"),
        ("a note", "a note\n"),
        ("", ""),
    ],
    ids=["half a line", "nothing else", "no end", "too long for a line of ours", "no json", "empty"],
)
def test_half_a_line_of_a_machine_that_lost_its_power_is_cut_away(tmp_path: Path, there: str, kept: str) -> None:
    (path := tmp_path / "out.jsonl").write_text(there)
    fill(open_sink(f"json:{path}", LIVE_CONTEXT), [segmented(some_mask(0), 9)])
    text = path.read_text()
    assert text.startswith(kept) and json.loads(text[len(kept) :])["index"] == 9


def test_a_json_file_has_a_line_a_frame_while_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.jsonl"
    with closing(open_sink(f"json:{path}", CONTEXT)) as sink:
        for index in range(5):
            sink.write(segmented(some_mask(index), index))
            assert [json.loads(line)["index"] for line in path.read_text().splitlines()] == list(range(index + 1))


def test_npz_masks_hold_the_ids_and_where_they_are_from(tmp_path: Path) -> None:
    mask = some_mask(2)
    frame = Frame(np.zeros((*mask.shape, 3), np.uint8), 12, "x.mp4", Fraction(1, 4), "x")
    fill(open_sink(str(tmp_path / "%06d.npz"), CONTEXT), [Segmented(frame, mask, {})])
    with np.load(tmp_path / "000012.npz", allow_pickle=False) as saved:
        assert np.array_equal(saved["mask"], mask) and saved["mask"].dtype == np.uint8
        assert (int(saved["index"]), float(saved["time"]), str(saved["source"])) == (12, 0.25, "x")
        assert saved["names"].tolist() == list(STREET_LABELS.names)


def test_npz_masks_of_pictures_have_no_time(tmp_path: Path) -> None:
    fill(open_sink(str(tmp_path / "out.npz"), CONTEXT), [segmented(some_mask(2))])
    with np.load(tmp_path / "out.npz", allow_pickle=False) as saved:
        assert np.isnan(saved["time"])


@pytest.mark.parametrize(
    ("pattern", "there", "written"),
    [
        ("%06d.png", ["000000.png", "000007.png", "000009.jpg", "x.png"], ["000008.png", "000009.png"]),
        ("%d.npz", ["9.npz", "10.npz"], ["11.npz", "12.npz"]),
        ("cam-%03d.jpg", ["cam-999.jpg", "cam-1000.jpg", "cam2-5000.jpg"], ["cam-1001.jpg", "cam-1002.jpg"]),
        ("%d/{name}-%d.png", ["4/a-4.png", "6/a-6.txt"], ["5/a-5.png", "6/a-6.png"]),
        ("%06d.png", [], ["000000.png", "000001.png"]),
    ],
)
def test_a_restart_overwrites_no_masks_of_a_camera(
    tmp_path: Path, pattern: str, there: list[str], written: list[str]
) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("old")
    fill(open_sink(str(tmp_path / pattern), LIVE_CONTEXT), [segmented(some_mask(0), index) for index in range(2)])
    assert all((tmp_path / name).read_text() == "old" for name in there)
    assert all((tmp_path / name).stat().st_size > 10 for name in written)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == len(there) + 2


@pytest.mark.parametrize("uri", ["out.mkv", "%06d.png", "%06d.npz", "%06d.jpg", "json:out.jsonl"])
def test_no_sink_of_a_camera_opens_where_the_disk_is_full(tmp_path: Path, uri: str) -> None:
    kind, _, name = uri.rpartition(":")
    full = replace(LIVE_CONTEXT, recording=RecordingOptions(min_free_bytes=1 << 60))
    with pytest.raises(DiskFull, match="free space"):
        open_sink(f"{kind}{':' if kind else ''}{tmp_path / name}", full)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("uri", ["%06d.png", "json:out.jsonl"])
def test_a_sink_of_a_camera_stops_at_the_floor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    kind, _, name = uri.rpartition(":")
    eager = replace(LIVE_CONTEXT, recording=RecordingOptions(min_free_bytes=1000, check_s=0))
    with closing(open_sink(f"{kind}{':' if kind else ''}{tmp_path / name}", eager)) as sink:
        sink.write(segmented(some_mask(0), 0))
        monkeypatch.setattr(os, "statvfs", lambda folder: os.statvfs_result([1, 1, 10_000, 999, 999, 0, 0, 0, 0, 0]))
        with pytest.raises(DiskFull):
            sink.write(segmented(some_mask(0), 1))


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


@pytest.mark.parametrize("uri", ["", "out", "out.avi", "out.txt", "null", ".mkv"])
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
        DisplaySink(CONTEXT)


ANY_FRAMES = tuple(Frames)
PICTURES = (Frames.PICTURE, Frames.FOLDER)


@pytest.mark.parametrize(
    ("uri", "fits"),
    [
        ("null:", ANY_FRAMES),
        ("display://", ANY_FRAMES),
        ("json:-", ANY_FRAMES),
        ("json:out.png", ANY_FRAMES),
        ("http://127.0.0.1:8080", ANY_FRAMES),
        ("out.mkv", ANY_FRAMES),
        ("{source}/out.MP4", ANY_FRAMES),
        ("100%.mkv", ANY_FRAMES),
        ("rec/%Y%m%d-%H%M%S.mkv", (Frames.LIVE,)),
        ("rec/%Y-%q.mkv", ()),
        ("rec/%Q.mkv", ()),
        ("rec/%06d.mkv", ()),
        ("my%20film.mkv", ANY_FRAMES),
        ("%Y/%06d.png", ()),
        ("100%/%06d.png", ANY_FRAMES),
        ("m/{foo}.mkv", ()),
        ("m/{}/out.mkv", ()),
        ("m/{name}.mkv", ()),
        ("{foo}/%06d.png", ()),
        ("{Name}.png", ()),
        ("{source}/{name}-%06d.jpg", ANY_FRAMES),
        ("json:{source}.jsonl", ANY_FRAMES),
        ("json:{foo}.jsonl", ()),
        ("a{b.mkv", ANY_FRAMES),
        ("masks/%06d.png", ANY_FRAMES),
        ("{name}-%d.npz", ANY_FRAMES),
        ("mask.png", PICTURES),
        ("{name}.png", PICTURES),
        ("{name}/mask.jpg", PICTURES),
        ("out.avi", ()),
        ("out", ()),
        ("https://host", ()),
        ("rtsp://host/live", ()),
        ("", ()),
    ],
)
@pytest.mark.parametrize("frames", Frames)
def test_a_name_that_cannot_take_the_frames_is_refused(uri: str, fits: Sequence[Frames], frames: Frames) -> None:
    if frames in fits:
        require_sink_name(uri, frames)
    else:
        with pytest.raises(UsageError, match="wanted"):
            require_sink_name(uri, frames)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("rtsp://host/live", "found rtsp://host/live; name a second source with --also"),
        ("displays://", "wanted a sink, found displays://"),
        ("%H.mkv", "the source is a video and only a camera's recordings are many; name it out.mkv"),
        ("%Q.mkv", "wanted the time as %Y, .* found %Q; leave it out"),
        ("{name}.mkv", "wanted {source} in braces, found {name}; leave it out"),
        ("{foo}/%d.png", "wanted {source} or {name} in braces, found {foo}; leave it out"),
        ("%Y-%d.png", "wanted %06d for the number of a frame, found %Y; leave it out"),
    ],
)
def test_what_is_wrong_with_a_name_is_told(uri: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        require_sink_name(uri, Frames.VIDEO)


@pytest.mark.parametrize("uri", ["out.mkv", "rec/%Y.mkv", "masks/%06d.png", "%06d.npz"])
def test_files_of_several_sources_want_names_of_their_own(uri: str) -> None:
    with pytest.raises(UsageError, match=r"\{source\}-"):
        require_sink_name(uri, Frames.LIVE, 2)
    require_sink_name(f"{{source}}/{uri}", Frames.LIVE, 2)


@pytest.mark.parametrize("uri", ["null:", "display://", "json:-", "json:out.jsonl", "http://127.0.0.1:8080"])
def test_what_tells_the_source_takes_several(uri: str) -> None:
    require_sink_name(uri, Frames.LIVE, 2)
