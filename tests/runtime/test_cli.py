"""runtime.cli: `fcn-edge run` as users type it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import runtime.bench.cli
import runtime.run
from fcn_edge.datasets.street import draw_street
from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.images import read_mask
from runtime.segmenter import Segmenter
from runtime.session import FakeSession, open_session
from tests.conftest import assert_refused, call_fcn_edge, run_fcn_edge
from tests.runtime.sinks.test_recorder import facts, left_in, record, watch


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = [draw_street(1, 0.04 * index, (90, 120))[0] for index in range(12)]
    return record(tmp_path_factory.mktemp("drive") / "drive.mp4", frames)


def test_a_video_goes_into_every_sink(tmp_path: Path, drive: Path, tiny_bundle: Path) -> None:
    sinks = [tmp_path / "out.mkv", tmp_path / "masks" / "%06d.png", tmp_path / "frames" / "%d.jpg", "json:-"]
    done = run_fcn_edge("run", drive, *sinks, "--model", tiny_bundle)
    assert done.returncode == 0, done.stderr
    assert "12 of 12 frames segmented" in done.stderr
    assert [json.loads(line)["index"] for line in done.stdout.splitlines()] == list(range(12))
    assert len(left_in(tmp_path / "masks")) == len(left_in(tmp_path / "frames")) == 12
    video = watch(tmp_path / "out.mkv")
    assert (len(video.images), video.size_hw, video.rate) == (12, (90, 120), 25)


def test_the_masks_are_those_of_the_model(tmp_path: Path, drive: Path, tiny_bundle: Path) -> None:
    done = run_fcn_edge("run", drive, tmp_path / "%d.png", "--model", tiny_bundle, "--precision", "fp32")
    assert done.returncode == 0, done.stderr
    with open_session(tiny_bundle, precision="fp32") as session:
        segmenter = Segmenter(session)
        for index, image in enumerate(watch(drive).images):
            assert np.array_equal(read_mask(tmp_path / f"{index}.png"), segmenter.segment(image))


def test_without_a_sink_the_latency_is_told_on_stderr(drive: Path, tiny_bundle: Path) -> None:
    done = run_fcn_edge("run", drive, "--model", tiny_bundle)
    assert (done.returncode, done.stdout) == (0, "")
    assert all(stage in done.stderr for stage in ("decode", "resize", "infer", "restore", "p99"))


def test_alpha_one_in_the_mask_view_shows_the_palette(tmp_path: Path, drive: Path, tiny_bundle: Path) -> None:
    sinks = (tmp_path / "%d.jpg", tmp_path / "%d.png")
    done = run_fcn_edge("run", drive, *sinks, "--model", tiny_bundle, "--view", "mask", "--alpha", 1)
    assert done.returncode == 0, done.stderr
    shown, mask = cv2.imread(str(tmp_path / "3.jpg")), read_mask(tmp_path / "3.png")
    assert np.abs(shown.astype(int) - STREET_LABELS.colours_bgr()[mask]).mean() < 12


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["{drive}", "out.avi", "--model", "{bundle}"], 2, "out.avi"),
        (["{drive}", "display://", "--model", "{bundle}"], 2, "DISPLAY is not set"),
        (["{drive}", "out.mkv"], 2, "--model"),
        (["{drive}", "--model", "{bundle}", "--alpha", "1.5"], 2, "--alpha"),
        (["{drive}", "--model", "{bundle}", "--view", "upside-down"], 2, "--view"),
        (["{drive}", "--model", "{bundle}", "--threads", "0"], 2, "--threads"),
        (["{drive}", "--model", "{bundle}", "--precision", "fp17"], 2, "fp17"),
        (["{drive}", "one.png", "--model", "{bundle}"], 2, "%06d.png"),
        (["nothing.mp4", "--model", "{bundle}"], 3, "nothing.mp4"),
        (["97", "--model", "{bundle}", "--fail-fast"], 3, "/dev/video97"),
        (["{drive}", "--also", "test://", "--model", "{bundle}"], 2, "found both"),
        (["test://", "--also", "test://", "--model", "{bundle}"], 2, "NAME=SOURCE"),
        (["--model", "{bundle}"], 2, "fcn-edge run SOURCE"),
        (["test://", "--also", "two=test://", "out.mkv", "--model", "{bundle}"], 2, "{source}"),
        (["https//host", "--model", "{bundle}"], 2, "https//"),
        (["rtsp://a/b", "rtsp://u:secret@c/d", "--model", "{bundle}"], 2, "--also"),
        (["test://", "json:", "--model", "{bundle}"], 2, "json:-"),
        (["test://", "http://127.0.0.1:99999", "--model", "{bundle}"], 2, "http://127.0.0.1:8080"),
        (["test://", "--keep-gib", "nan", "--model", "{bundle}"], 2, "--keep-gib"),
        (["test://", "--alpha", "nan", "--model", "{bundle}"], 2, "--alpha"),
        (["gopher://host", "--model", "{bundle}"], 2, "gopher://"),
        (["{drive}", "--model", "nothing"], 4, "nothing"),
        (["{drive}", "--model", "."], 4, "manifest.json"),
        (["{drive}", "/dev/null/out.mkv", "--model", "{bundle}"], 5, "/dev/null/out.mkv"),
    ],
)
def test_a_wrong_run_is_refused_in_one_line(
    tmp_path: Path, drive: Path, tiny_bundle: Path, arguments: list[str], code: int, word: str
) -> None:
    filled = [argument.format(drive=drive, bundle=tiny_bundle) for argument in arguments]
    calm = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    calm["PYTHONPATH"] = os.pathsep.join(sys.path)
    assert_refused(run_fcn_edge("run", *filled, cwd=tmp_path, env=calm), code, word)


def test_one_file_under_two_names_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    sinks = [tmp_path / "out.mkv", f"{tmp_path}/../{tmp_path.name}/out.mkv"]
    assert_refused(run_fcn_edge("run", tmp_path / "a.png", *sinks, "--model", tiny_bundle), 2, "twice")
    assert not (tmp_path / "out.mkv").exists()


def test_a_name_too_long_for_a_file_is_told_in_one_line(tiny_bundle: Path) -> None:
    assert_refused(run_fcn_edge("run", "x" * 300 + ".mp4", "--model", tiny_bundle), 3, "too long")


@pytest.mark.parametrize("sink", ["photos/{name}.png", "photos/%06d.jpg", "./photos/a.png"])
def test_a_sink_in_the_place_of_the_source_is_refused(sink: str, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), np.zeros((8, 8, 3), np.uint8))
    before = (tmp_path / "photos" / "a.png").read_bytes()
    source = "photos/a.png" if sink.endswith("a.png") else "photos"
    done = run_fcn_edge("run", tmp_path / source, tmp_path / sink, "--model", tiny_bundle)
    assert_refused(done, 2, "in its place")
    assert (tmp_path / "photos" / "a.png").read_bytes() == before


def test_one_file_named_twice_is_refused(tmp_path: Path, drive: Path, tiny_bundle: Path) -> None:
    out = tmp_path / "out.mkv"
    assert_refused(run_fcn_edge("run", drive, out, out, "--model", tiny_bundle), 2, "out.mkv")
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("verb", [["run", "{drive}", "json:-", "--model"], ["bench", "--frames", "1", "--json", "-"]])
def test_a_full_standard_output_is_told_in_one_line(drive: Path, tiny_bundle: Path, verb: list[str]) -> None:
    command = [sys.executable, "-m", "fcn_edge", *(word.format(drive=drive) for word in verb), str(tiny_bundle)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert_refused(done, 5, "No space left on device")


LIMITED = """
import resource, sys
from fcn_edge.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("sink", ["out.mkv", "out.mp4"])
def test_a_full_disk_ends_with_one_line_and_no_file(tmp_path: Path, drive: Path, tiny_bundle: Path, sink: str) -> None:
    command = [sys.executable, "-c", LIMITED, "run", str(drive), str(tmp_path / sink), "--model", str(tiny_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert_refused(done, 5, sink, "File too large")
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("verb", [["run", "{drive}", "--model"], ["bench", "--frames", "2", "--warmup", "0"]])
def test_what_is_said_of_engines_reaches_the_session(
    verb: list[str], drive: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: dict[str, object] = {}

    def opened(model: Path, **serving: object) -> FakeSession:
        said.update(serving)
        session = FakeSession(lambda frame: frame[..., 0] * 0, STREET_LABELS, (64, 96))
        session.facts = replace(session.facts, precision="fp32")  # a file that the bundle holds
        return session

    monkeypatch.setattr(runtime.bench.cli, "open_session", opened)
    monkeypatch.setattr(runtime.run, "open_session", opened)
    words = [*(word.format(drive=drive) for word in verb), tiny_bundle]
    done = call_fcn_edge(*words, "--engine", "tensorrt", "--trust-engine", "--no-cuda-graph", "--precision", "int8")
    assert done.returncode == 0, done.stderr
    wanted = {"engine": "tensorrt", "precision": "int8", "threads": None, "trust_engine": True, "cuda_graph": False}
    assert said == wanted


@pytest.mark.parametrize("verb", [["run", "{drive}", "--model"], ["bench"]])
def test_tensorrt_without_a_gpu_is_refused_in_one_line(verb: list[str], drive: Path, tiny_bundle: Path) -> None:
    words = [*(word.format(drive=drive) for word in verb), tiny_bundle, "--engine", "tensorrt"]
    assert_refused(call_fcn_edge(*words), 4, "wanted an NVIDIA GPU")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "frames", "sink"),
    [
        ("solidWhiteRight.mp4", 221, "out.mkv"),
        ("car-detection.mp4", 377, "out.mp4"),
        ("camvid_val_0016E5.mp4", 101, "out.mkv"),
    ],
)
def test_a_real_video_keeps_its_frames_size_and_rate(
    real_data: Path, tiny_bundle: Path, tmp_path: Path, name: str, frames: int, sink: str
) -> None:
    source = real_data / "video" / name
    done = run_fcn_edge("run", source, tmp_path / sink, "--model", tiny_bundle)
    assert done.returncode == 0, done.stderr
    *wanted, wanted_times = facts(source)
    *found, found_times = facts(tmp_path / sink)
    assert found == wanted and found[0] == frames
    assert found_times == pytest.approx([time - wanted_times[0] for time in wanted_times], abs=2e-3)
