"""runtime.stream, of files: every frame on its way, what is counted, and what is left when something breaks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import cv2
import numpy as np
import pytest

from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.errors import DeviceError, OutputError, SourceError
from fcn_edge.interrupt import Interrupt
from runtime.session import FakeSession
from runtime.sinks.opening import open_sink
from runtime.sinks.sink import WindowClosed
from runtime.sources.opening import open_path
from tests.conftest import assert_refused, call_fcn_edge
from tests.runtime.sinks.test_recorder import left_in, levels, record, steps, watch
from tests.runtime.sources.test_video import damage
from tests.runtime.stream.streaming import CONTEXT, Steps, Witness, blue, fake, file_stream, run_for, run_stream


def failing_at(index: int, error: Exception) -> Callable[[int], None]:
    def check(now: int) -> None:
        if now == index:
            raise error

    return check


def test_every_frame_reaches_every_sink_in_order() -> None:
    sinks = [Witness(), Witness()]
    report = run_stream(Steps(9), fake(), sinks)
    assert [sink.seen for sink in sinks] == [list(range(9))] * 2
    assert [sink.end for sink in sinks] == [["finished", "closed"]] * 2
    assert (report.segmented, report.received) == (9, 9)


def test_a_sink_gets_the_mask_of_its_frame_and_the_stages_before_it() -> None:
    sink = Witness()
    run_stream(Steps(3), fake(), [sink])
    assert all(np.array_equal(one.mask, blue(one.frame.image)) for one in sink.got)
    assert [list(one.times_ms) for one in sink.got] == [["decode", "resize", "infer", "restore"]] * 3


def test_the_report_has_a_sample_of_every_stage_for_every_frame() -> None:
    summary = run_stream(Steps(7), fake(), [Witness()]).stages_ms
    assert {stage: row["n"] for stage, row in summary.items()} == dict.fromkeys(
        ("decode", "resize", "infer", "restore"), 7
    )


def test_the_report_has_what_the_sinks_took(tmp_path: Path) -> None:
    sinks = [open_sink(str(tmp_path / "%d.jpg"), CONTEXT), open_sink(str(tmp_path / "%d.png"), CONTEXT)]
    summary = run_stream(Steps(7), fake(), sinks).stages_ms
    assert {stage: summary[stage]["n"] for stage in ("overlay", "encode", "send")} == {
        "overlay": 7,
        "encode": 14,
        "send": 14,
    }


def folder(tmp_path: Path) -> Path:
    for index in range(5):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.zeros((9, 9, 3), np.uint8))
    (tmp_path / "2.png").write_text("no picture")
    return tmp_path


def video(tmp_path: Path) -> Path:
    return damage(record(tmp_path / "in.mp4", steps(60)), {20, 30, 31})


@pytest.mark.parametrize(("make", "counts"), [(folder, (5, 4, 1)), (video, (60, 57, 3))])
def test_received_is_segmented_and_bad(tmp_path: Path, make: Callable[[Path], Path], counts: tuple[int, ...]) -> None:
    source = open_path(make(tmp_path))
    report = run_stream(source, fake(), [])
    source.close()
    assert (report.received, report.segmented, report.bad) == counts


def test_a_sink_that_fails_leaves_no_video_and_closes_all(tmp_path: Path) -> None:
    before, failing, after = Witness(), Witness(3, OutputError("full")), Witness()
    sinks = [before, open_sink(str(tmp_path / "out.mkv"), CONTEXT), failing, after]
    with pytest.raises(OutputError, match="full"):
        run_stream(Steps(9), fake(), sinks)
    assert left_in(tmp_path) == []
    assert [sink.end for sink in (before, failing, after)] == [["closed"]] * 3


def test_a_run_whose_last_sink_is_refused_leaves_nothing_of_the_others(
    tmp_path: Path, long_video: Path, tiny_bundle: Path
) -> None:
    done = call_fcn_edge("run", long_video, tmp_path / "out.mkv", "/dev/null/%d.png", "--model", tiny_bundle)
    assert_refused(done, 5, "/dev/null")
    assert left_in(tmp_path) == []


def test_a_sink_that_fails_at_its_end_still_closes_all() -> None:
    sinks = [Witness(fail_to_finish=True), Witness()]
    with pytest.raises(OutputError, match="full"):
        run_stream(Steps(3), fake(), sinks)
    assert [sink.end[-1] for sink in sinks] == ["closed", "closed"]


def test_a_model_that_raises_at_frame_50_leaves_no_video_and_closes_all(tmp_path: Path) -> None:
    calls: list[int] = []

    def breaking(frame: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) == 50:
            raise RuntimeError("the model broke")
        return blue(frame)

    witness = Witness()
    with pytest.raises(RuntimeError, match="the model broke"):
        run_stream(Steps(99), fake(breaking), [open_sink(str(tmp_path / "out.mkv"), CONTEXT), witness])
    assert left_in(tmp_path) == []
    assert (witness.seen, witness.end) == (list(range(49)), ["closed"])


def test_a_gpu_that_fails_asks_for_a_restart_by_its_code_and_leaves_what_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def failing(frame: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) == 3:
            raise DeviceError("wanted the GPU to work, found: it fell off the bus; start again")
        return blue(frame)

    session = FakeSession(failing, STREET_LABELS, (24, 32))
    monkeypatch.setattr("runtime.run.open_session", lambda *_, **__: session)
    for index in range(5):
        assert cv2.imwrite(str(tmp_path / f"{index}.png"), np.zeros((24, 32, 3), np.uint8))
    (tmp_path / "out").mkdir()
    done = call_fcn_edge("run", tmp_path, tmp_path / "out" / "out.mkv", "--model", "any")
    assert_refused(done, 75, "it fell off the bus")
    assert len(calls) == 3
    assert len(watch(tmp_path / "out" / "out.mkv").images) == 2


def test_a_source_that_fails_in_the_middle_keeps_what_was_recorded(tmp_path: Path) -> None:
    witness = Witness()
    sinks = [open_sink(str(tmp_path / "out.mkv"), CONTEXT), witness]
    with pytest.raises(SourceError, match="gone"):
        run_stream(Steps(9, failing_at(5, SourceError("gone"))), fake(), sinks)
    assert left_in(tmp_path) == ["out.mkv"]
    assert levels(watch(tmp_path / "out.mkv").images) == pytest.approx(levels(steps(9)[:5]), abs=5)
    assert witness.end == ["finished", "closed"]


def test_a_source_that_fails_at_once_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="gone"):
        sinks = [open_sink(str(tmp_path / "out.mkv"), CONTEXT)]
        run_stream(Steps(9, failing_at(0, SourceError("gone"))), fake(), sinks)
    assert left_in(tmp_path) == []


def test_closing_the_window_ends_the_stream_well(tmp_path: Path) -> None:
    video, window = open_sink(str(tmp_path / "out.mkv"), CONTEXT), Witness(4, WindowClosed())
    report = run_stream(Steps(500, lambda index: sleep(0.005)), fake(), [video, window])
    assert 5 <= report.segmented == len(watch(tmp_path / "out.mkv").images) < 500
    assert (window.seen, window.end) == ([0, 1, 2, 3], ["finished", "closed"])


def test_a_wish_to_stop_ends_the_stream_in_order() -> None:
    source, sink = Steps(500, lambda index: sleep(0.005)), Witness()
    report = run_for(file_stream(source, fake(), [sink]), 0.3)
    assert sink.seen == list(range(report.segmented)) and 0 < report.segmented < 500
    assert (sink.end, report.unaccounted, report.abandoned) == (["finished", "closed"], 0, [])
    assert source.is_closed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_listening_gives_the_signals_back(number: signal.Signals) -> None:
    before, interrupt = signal.getsignal(number), Interrupt("frame")
    with interrupt.listening():
        os.kill(os.getpid(), number)
    assert interrupt.wished
    assert signal.getsignal(number) is before


def test_without_frames_the_speed_is_nothing() -> None:
    report = run_stream(Steps(0), fake(), [])
    assert (report.fps, report.segmented, report.stages_ms) == (0.0, 0, {})


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So long that its JSON lines fill a pipe (64 KiB) several times: its segmenting waits for the reader."""
    return record(tmp_path_factory.mktemp("long") / "long.mkv", steps(600, (48, 64)))


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """`fcn-edge run ARGUMENTS`; gone when the block ends, however it ends."""
    command = [sys.executable, "-m", "fcn_edge", "run", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], word: str) -> None:
    assert process.stderr
    for line in process.stderr:
        if word in line:
            return
    raise AssertionError(f"the process never said {word!r}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])
def test_ctrl_c_ends_with_a_readable_video(
    tmp_path: Path, long_video: Path, tiny_bundle: Path, number: signal.Signals, name: str
) -> None:
    with running(long_video, tmp_path / name, "json:-", "--model", tiny_bundle) as process:
        assert process.stdout and process.stderr
        first = process.stdout.readline()
        process.send_signal(number)
        read_until(process, "stopping after this frame")  # before it can go on: its lines fill the pipe
        rest, told = process.stdout.read(), process.stderr.read()  # communicate() would miss what readline() read ahead
        process.wait(timeout=30)
    lines = [json.loads(line) for line in (first + rest).splitlines()]
    assert process.returncode == 0, told
    assert "Traceback" not in told
    assert 0 < len(lines) < 600
    assert left_in(tmp_path) == [name]
    assert len(watch(tmp_path / name).images) == len(lines)


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path, long_video: Path, tiny_bundle: Path) -> None:
    with running(
        long_video, "json:-", "--model", tiny_bundle
    ) as process:  # nobody reads: it waits for room in the pipe
        read_until(process, "model ")
        sleep(0.5)
        process.send_signal(signal.SIGINT)
        read_until(process, "stopping after this frame")
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    assert process.returncode == 130


def test_ctrl_c_ends_a_run_whose_sink_is_a_pipe_that_nobody_reads(tmp_path: Path, tiny_bundle: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    video = record(tmp_path / "short.mkv", steps(9, (48, 64)))
    with running(video, f"json:{tmp_path / 'pipe'}", "--model", tiny_bundle) as process:
        read_until(process, "model ")
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    assert process.returncode == 0


def test_a_reader_that_goes_away_is_told_in_one_line(long_video: Path, tiny_bundle: Path) -> None:
    with running(long_video, "json:-", "--model", tiny_bundle) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
        process.wait(timeout=60)
    assert told.splitlines()[-1].startswith("fcn-edge: "), told
    assert process.returncode == OutputError.exit_code
    assert "Traceback" not in told
