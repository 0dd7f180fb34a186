"""runtime.sinks.window: real windows on a screen of memory, with real keys; and what happens where there is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fcn_edge.datasets.street import draw_street
from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.errors import OutputError, UsageError
from fcn_edge.images import read_image, read_mask
from runtime.display import process
from runtime.display.process import WindowProcess
from runtime.overlay import Overlay
from runtime.sinks.sink import Segmented, SinkContext, WindowClosed
from runtime.sinks.window import DisplaySink
from runtime.sources.frame import Frame
from tests.runtime.display.screen import Screen, open_screen, within

FRAME, MASK = draw_street(1, size_hw=(360, 480))
OTHER, OTHER_MASK = draw_street(2, size_hw=(360, 480))
ORDER = {"labels": STREET_LABELS.to_json(), "view": "mask", "alpha": 0.5, "has_legend": False, "snapshots": "."}


@pytest.fixture
def screen(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    with open_screen(tmp_path_factory.mktemp("screen")) as opened:
        monkeypatch.setenv("DISPLAY", opened.name)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        yield opened


def context(**changes: Any) -> SinkContext:
    return SinkContext(STREET_LABELS, **{"view": "mask", "alpha": 0.5, "rate": None, "has_legend": False, **changes})


def segmented(source: str = "front", frame: np.ndarray = FRAME, mask: np.ndarray = MASK) -> Segmented:
    return Segmented(Frame(frame, 0, "a.mp4", source=source), mask, {})


def shows(screen: Screen, wanted: np.ndarray) -> bool:
    """The upper quarter of a picture, where no words are, stands in the screen's corner.

    Seen from a little afar: some windows resample by a part of a pixel, and the pointer hides a few.
    """
    height, width = wanted.shape[0] // 4, wanted.shape[1]
    afar = [cv2.resize(one[:height, :width], (width // 8, height // 8), interpolation=cv2.INTER_AREA).astype(int)
            for one in (screen.picture(), wanted)]  # fmt: skip
    return bool(np.abs(afar[0] - afar[1]).mean() < 2)


def drawn(view: str, frame: np.ndarray = FRAME, mask: np.ndarray = MASK, alpha: float = 0.5) -> np.ndarray:
    return Overlay(STREET_LABELS, alpha, has_legend=False).draw(frame, mask, view)


def comes(screen: Screen, wanted: np.ndarray) -> bool:
    return within(5, lambda: shows(screen, wanted))


@contextmanager
def opened(screen: Screen, **changes: Any) -> Iterator[DisplaySink]:
    """A sink whose window shows FRAME's mask.

    Of a hundred windows of Qt's one stays blank on a screen without a window manager: Qt misses that it was mapped,
    for a reason that lies between it and the X server. Such a window is opened again.
    """
    for _ in range(3):
        with closing(DisplaySink(context(**changes))) as sink:
            sink.write(segmented())
            if within(2, lambda: shows(screen, drawn("mask"))):
                yield sink
                return
            assert screen.picture().max() < 3, "a window that shows something, but not the frame"
    pytest.fail("three windows in a row stayed blank")


def test_a_window_shows_each_frame_and_tells_what_took_how_long(screen: Screen) -> None:
    with opened(screen) as sink:
        assert sink.keeps == 1
        times = sink.write(segmented())
        sink.write(segmented(frame=OTHER, mask=OTHER_MASK))
        assert comes(screen, drawn("mask", OTHER, OTHER_MASK))
    assert set(times) == {"overlay", "send"} and all(value > 0 for value in times.values())
    assert within(5, lambda: screen.windows() == [])


def test_keys_change_what_is_seen_also_while_no_frame_comes(screen: Screen) -> None:
    with opened(screen):
        screen.press("v")
        assert comes(screen, drawn("split"))
        screen.press("v")
        assert comes(screen, drawn("overlay"))
        screen.press("+")
        assert comes(screen, drawn("overlay", alpha=0.6))
        screen.press("-")
        assert comes(screen, drawn("overlay"))
        screen.press("-")
        assert comes(screen, drawn("overlay", alpha=0.4))
        screen.press("l")
        assert comes(screen, Overlay(STREET_LABELS, 0.4).draw(FRAME, MASK, "overlay"))


def test_tab_changes_the_view(screen: Screen) -> None:
    with opened(screen):
        screen.press("Tab")
        if not within(1, lambda: shows(screen, drawn("split"))):
            screen.press("Tab")  # the first one moves the focus into the window of an older OpenCV
        assert comes(screen, drawn("split"))


def test_a_held_picture_stays_while_the_stream_goes_on(screen: Screen) -> None:
    with opened(screen) as sink:
        screen.press(" ")
        assert within(5, lambda: sink.write(segmented()) == {} and bool(sink.facts()["is_held"]))
        for _ in range(10):
            assert sink.write(segmented(frame=OTHER, mask=OTHER_MASK)) == {}
        assert comes(screen, drawn("mask"))
        screen.press(" ")
        assert within(5, lambda: sink.write(segmented(frame=OTHER, mask=OTHER_MASK)) != {})
        assert comes(screen, drawn("mask", OTHER, OTHER_MASK))


def test_n_shows_the_next_of_several_sources(screen: Screen) -> None:
    def feed() -> None:
        sink.write(segmented("front"))
        sink.write(segmented("back", OTHER, OTHER_MASK))

    with opened(screen) as sink:
        feed()
        assert comes(screen, drawn("mask"))
        screen.press("n")
        assert within(5, lambda: feed() or sink.facts()["source"] == "back")
        feed()
        assert comes(screen, drawn("mask", OTHER, OTHER_MASK))


def test_s_saves_a_snapshot_into_the_folder_that_was_named(screen: Screen, tmp_path: Path) -> None:
    with opened(screen, snapshots=tmp_path / "shots") as sink:
        screen.press("s")
        assert within(5, lambda: len(list((tmp_path / "shots").glob("*.png"))) == 3)
        assert within(5, lambda: sink.write(segmented()) != {})  # and is written whole by now
    files = {path.stem.rpartition("-")[2]: path for path in (tmp_path / "shots").iterdir()}
    assert np.array_equal(read_image(files["frame"]), FRAME)
    assert np.array_equal(read_mask(files["mask"]), MASK)
    assert np.array_equal(read_image(files["view"]), drawn("mask"))


@pytest.mark.parametrize("way", ["q", "Esc", "Q", "the window's button"])
def test_to_quit_ends_the_stream_also_while_no_frame_comes(screen: Screen, way: str) -> None:
    closed = threading.Event()
    with opened(screen, on_closed=closed.set) as sink:
        if way == "the window's button":
            screen.close(screen.windows()[0])
        else:
            screen.press(way)
        assert closed.wait(5)
        with pytest.raises(WindowClosed):
            sink.write(segmented())


@pytest.mark.parametrize("key", ["Left", "Right", "x"])
def test_other_keys_end_nothing(screen: Screen, key: str) -> None:
    closed = threading.Event()
    with opened(screen, on_closed=closed.set) as sink:
        screen.press(key)
        assert not closed.wait(0.5)
        sink.write(segmented())
    assert not closed.is_set()  # the stream closed it, no viewer


def test_a_window_can_be_made_larger(screen: Screen) -> None:
    with opened(screen) as sink:
        screen.resize(screen.windows()[0], (720, 960))
        sink.write(segmented())
        lower_right = drawn("mask")[-40:-20, -40:-20][0, 0]
        assert within(5, lambda: bool((screen.picture()[660, 900] == lower_right).all()))


def test_a_screen_that_goes_ends_the_window_alone_and_another_can_be_opened(
    screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = threading.Event()
    with opened(screen, on_closed=closed.set) as sink:
        screen.process.kill()
        with pytest.raises(OutputError, match=r"^display://: wanted a window, found: .*X11 connection broke") as told:
            for _ in range(50):
                sink.write(segmented())
                time.sleep(0.1)
        assert "\n" not in str(told.value)
    assert not closed.is_set()
    with pytest.raises(UsageError):  # as long as the screen is away
        DisplaySink(context())
    (tmp_path / "new").mkdir()
    with open_screen(tmp_path / "new") as back:
        monkeypatch.setenv("DISPLAY", back.name)
        with opened(back):
            pass


def test_without_a_display_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="DISPLAY is not set"):
        DisplaySink(context())


def test_a_display_that_is_not_there_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":4711")
    with pytest.raises(UsageError, match=r"^wanted a window for display://, found: .*4711; write a file") as told:
        DisplaySink(context())
    assert "\n" not in str(told.value)


def in_place_of_the_window(code: str) -> str:
    """A child that runs `code` before it opens its window."""
    return process.CHILD.replace("main(", f"{code}\nmain(")


def test_an_opencv_without_windows_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import cv2\ndef refuse(*_): raise cv2.error('The function is not implemented')\ncv2.namedWindow = refuse"
    monkeypatch.setattr(process, "CHILD", in_place_of_the_window(code))
    with pytest.raises(UsageError, match=r"found: OpenCV shows no window: .*not implemented; write a file"):
        WindowProcess(ORDER)


def test_a_window_that_does_not_open_in_time_is_told_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "CHILD", in_place_of_the_window("import time; time.sleep(60)"))
    with pytest.raises(UsageError, match="found: no answer within 0 s"):
        WindowProcess(ORDER, open_within_s=0.3)


def test_a_window_that_hangs_is_told_and_ended(screen: Screen) -> None:
    window = WindowProcess(ORDER, show_within_s=0.5)
    window._process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(OutputError, match="found: no answer within"):
            window.show({"source": ""}, FRAME, MASK)
        started = time.monotonic()
    finally:
        window.close()
    assert time.monotonic() - started < 3
    assert window._process.returncode == -signal.SIGKILL


OPENED = """
import sys, time
from runtime.display.process import WindowProcess
window = WindowProcess(eval(sys.argv[1]))
print(window._process.pid, flush=True)
time.sleep(60)
"""


def test_a_window_goes_with_a_stream_that_is_killed(screen: Screen) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", OPENED, repr(ORDER)]
    stream = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert stream.stdout
    with stream.stdout as told:
        assert int(told.readline()) > 0
        assert within(5, lambda: len(screen.windows()) == 1)
        stream.kill()
        stream.wait(5)
    assert within(5, lambda: screen.windows() == [])


def test_ctrl_c_is_for_the_stream_alone(screen: Screen) -> None:
    with opened(screen) as sink:
        assert os.getpgid(sink._window._process.pid) != os.getpgid(0)
