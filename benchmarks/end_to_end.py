"""How old a picture is where it is used: source to mask, source to browser, by a clock that is drawn into the picture.

.venv/bin/python -m benchmarks.end_to_end BUNDLE

The test camera draws the moment into every frame; it is read again out of the frame whose mask is ready, and out of the
canvas of the live page in a headless Chromium, on one clock. Beside it, for a model of 200 ms a frame, the loop that
everybody writes first (`cv2.VideoCapture.read`, then the model) on an MJPEG camera of 25 frames a second, and ours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, monotonic_ns, sleep, time_ns
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.stream import camera_at
from benchmarks.streaming import in_thread
from benchmarks.told import facts, percentiles
from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.files import write_json
from fcn_edge.progress import say
from runtime.capture.camera import Camera
from runtime.segmenter import Segmenter
from runtime.session import FakeSession, open_session
from runtime.session_protocol import Session
from runtime.sinks.sink import NONE, Segmented, SinkBase, SinkContext, Times
from runtime.sources.address import read_address
from runtime.sources.clock_code import read_clock
from runtime.stream.counts import FrameCounts
from runtime.stream.stream import Stream
from runtime.web.live_page import LivePageSink
from tests.runtime.web.browser import Page, chromium, program

RESULT = Path(__file__).parent / "results" / "end_to_end.json"
WARM_UP_S, SLOW_S = 5.0, 0.2

# The reader of `clock_code`, in the page: a BigInt of monotonic nanoseconds, or null.
READ_CLOCK = """
() => {
  const shown = window.fcnEdge.lastShown;
  if (!shown) return null;
  const canvas = document.getElementById(shown.canvas), { width, height } = canvas;
  const w = width / 40, h = height / 32;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width / 2, height / 4);
  const at = (row, column) =>
    pixels.data[4 * (Math.floor((row + 0.5) * h) * pixels.width + Math.floor((column + 0.5) * w))];
  let gray = 0n;
  for (let bit = 0; bit < 64; bit++) {
    const row = Math.floor(bit / 10), column = 2 * (bit % 10);
    gray = (gray << 1n) | (at(row, column) > at(row, column + 1) ? 1n : 0n);
  }
  let moment = gray;
  for (let shift = 1n; shift < 64n; shift <<= 1n) moment ^= moment >> shift;
  return { moment: moment.toString(), received: String(shown.received_ns), shownAt: shown.shownAt, index: shown.index };
}
"""


class Tap(SinkBase):
    """Reads the clock out of every frame whose mask is ready."""

    def __init__(self) -> None:
        self.ages_ms: list[tuple[float, float]] = []  # when, and how old

    def write(self, segmented: Segmented) -> Times:
        drawn_ns = read_clock(segmented.frame.image)
        if drawn_ns is not None:
            self.ages_ms.append((monotonic(), 1e-6 * (segmented.masked_ns - drawn_ns)))
        return NONE


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--seconds", default=20.0, help="Of each measurement.")
@click.option("--rate", default=25.0, help="Frames a second of the camera.")
def main(bundle: Path, seconds: float, rate: float) -> None:
    """Print a table and keep it as JSON."""
    with open_session(bundle) as session:
        rows = pictures(session, seconds, rate)
        device = session.device
    rows.update(slow_model(seconds))
    print("| ms | p50 | p95 | p99 | n |\n|---|---:|---:|---:|---:|")
    for name, row in rows.items():
        print(f"| {name} | {row['p50']:.0f} | {row['p95']:.0f} | {row['p99']:.0f} | {row['n']} |")
    told = {**facts(), "device": device, "bundle": bundle.name, "rate": rate, "rows_ms": rows}
    write_json(RESULT, told)
    print(told["machine"])


def pictures(session: Session, seconds: float, rate: float) -> dict[str, dict[str, Any]]:
    """From the moment in the picture to its mask and, where there is a Chromium, to the browser."""
    height, width = session.facts.size_hw
    tap, shown = Tap(), []
    with streaming(session, f"test://?rate={rate:g}&size={height}x{width}", tap) as url:
        if program():
            shown = _watched(url, seconds)
        else:
            say("no Chromium here: how old pictures are in a browser is left out")
            sleep(WARM_UP_S + seconds)
        begun = monotonic() - seconds
    rows = {f"picture to mask, {rate:g} fps": spread([age for at, age in tap.ages_ms if at > begun])}
    if shown:
        ages_ms = {one["index"]: one["age_ms"] for one in shown}
        rows[f"picture to browser, {rate:g} fps"] = spread(list(ages_ms.values()))
    return rows


def _watched(url: str, seconds: float) -> list[dict[str, Any]]:
    """What the page showed, looked at often."""
    shown = []
    with browsing(url) as page:
        page.wait_for("window.fcnEdge.lastShown")
        sleep(WARM_UP_S)
        ends = monotonic() + seconds
        while monotonic() < ends:
            shown.append(_seen(page))
            sleep(0.02)
    return shown


def _seen(page: Page) -> dict[str, Any]:
    """The newest picture of the page: its number, and how old it was when it was drawn."""
    told = page.evaluate(f"({READ_CLOCK})()")
    to_monotonic_ns = monotonic_ns() - time_ns()  # the browser's clock is the wall's
    return {"index": told["index"], "age_ms": told["shownAt"] + 1e-6 * (to_monotonic_ns - int(told["moment"]))}


@contextmanager
def streaming(session: Session, source: str, tap: Tap) -> Iterator[str]:
    """A stream with the live page, in threads of this process; gives the page's address."""
    stream = Stream(Segmenter(session))
    stream.add_source(Camera("camera", read_address(source), FrameCounts(), stream.arrived))
    context = SinkContext(
        session.facts.labels, "overlay", 0.5, None, True, stream.status, on_wire=stream.measures.on_wire
    )
    page = LivePageSink("http://127.0.0.1:0", context)
    stream.add_sink("page", lambda: page)
    stream.add_sink("tap", lambda: tap)
    with in_thread(stream):
        yield page.url


@contextmanager
def browsing(url: str) -> Iterator[Page]:
    with tempfile.TemporaryDirectory() as folder, chromium(Path(folder)) as browser:
        page = browser.new_page()
        page.go(url)
        yield page


def slow_model(seconds: float) -> dict[str, dict[str, Any]]:
    """Ages at the mask of a model of 200 ms on a camera of 25 frames a second."""
    size_hw = (360, 480)
    with camera_at(size_hw) as uri:
        naive = naive_ages(uri, seconds)
        tap = Tap()
        session = FakeSession(slow, STREET_LABELS, size_hw)
        with streaming(session, uri, tap):
            sleep(seconds)
    ours = [age for _, age in tap.ages_ms]
    end = f"a model of 200 ms, 25 fps, after {seconds:.0f} s"
    return {f"cv2.VideoCapture loop, {end}": spread(naive[-10:]), f"fcn-edge, {end}": spread(ours[-10:])}


def slow(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    sleep(SLOW_S)
    return np.zeros(frame.shape[:2], np.uint8)


def naive_ages(uri: str, seconds: float) -> list[float]:
    """The first loop that everybody writes."""
    capture, ages, begun = cv2.VideoCapture(uri), [], monotonic()
    while monotonic() < begun + seconds:
        good, frame = capture.read()
        if not good:
            break
        slow(np.asarray(frame, np.uint8))
        drawn_ns = read_clock(np.asarray(frame, np.uint8))
        if drawn_ns is not None:
            ages.append(1e-6 * (monotonic_ns() - drawn_ns))
    capture.release()
    return ages


def spread(values: list[float]) -> dict[str, Any]:
    return {"n": len(values), **percentiles(values, (50, 95, 99))}


if __name__ == "__main__":
    main()
