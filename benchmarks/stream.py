"""What the stream adds: a camera's frame from its last byte to its mask, against decoding and the model alone.

.venv/bin/python -m benchmarks.stream BUNDLE

A real MJPEG camera on 127.0.0.1 gives 25 frames a second of the model's size; alone, the same JPEGs are decoded and
segmented at the same rate in one thread, for a processor that sleeps between frames is slower than one that never does.
In turns; percentiles of each round, then the median over rounds.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter, sleep
from typing import Any

import click
import cv2
import numpy as np

from benchmarks.told import facts
from fcn_edge.files import write_json
from fcn_edge.interrupt import Interrupt
from runtime.capture.camera import Camera
from runtime.segmenter import Segmenter
from runtime.session import open_session
from runtime.session_protocol import Session
from runtime.sources.address import read_address
from runtime.stream.counts import FrameCounts
from runtime.stream.stream import Stream
from tests.runtime.cameras.pictures import clock_jpeg

RESULT = Path(__file__).parent / "results" / "stream.json"
FPS, WARM_UP_S = 25.0, 3.0

CAMERA = """
import sys, time
from tests.runtime.cameras.http_camera import HttpCamera
with HttpCamera(size_hw=(int(sys.argv[1]), int(sys.argv[2])), rate=float(sys.argv[3])) as camera:
    print(camera.uri, flush=True)
    sys.stdin.read()
"""


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--rounds", default=5)
@click.option("--seconds", default=12.0, help="Of each measurement in a round.")
@click.option("--engine", default="auto")
def main(bundle: Path, rounds: int, seconds: float, engine: str) -> None:
    """Print a table and keep it as JSON."""
    with open_session(bundle, engine) as session, camera_at(session.facts.size_hw) as uri:
        found = [(alone(session, seconds), streamed(session, uri, seconds)) for _ in range(rounds)]
        told = summary(found)
        device = session.device
    print("| ms, 25 frames a second | p50 | p95 | p99 |\n|---|---:|---:|---:|")
    for name, row in told.items():
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in row)} |")
    allowed = told["decode alone"][0] + 1.25 * told["model alone"][0] + 1
    reached = told["frame to mask in the stream"][0]
    print(f"p50 {reached:.2f} ms of {allowed:.2f} allowed (decode + 1.25 x model + 1): {reached / allowed:.2f}")
    result = {**facts(), "device": device, "bundle": bundle.name, "rounds": rounds, "allowed_p50_ms": allowed}
    write_json(RESULT, {**result, "ms_p50_p95_p99": told})
    print(result["machine"])


@contextmanager
def camera_at(size_hw: tuple[int, int]) -> Iterator[str]:
    """A camera in a process of its own."""
    command = [sys.executable, "-c", CAMERA, *map(str, size_hw), str(FPS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.kill()


def alone(session: Session, seconds: float) -> dict[str, list[float]]:
    """Percentiles of decoding and of the model, in one thread, at the camera's rate."""
    jpeg = np.frombuffer(clock_jpeg(session.facts.size_hw), np.uint8)
    decode_ms, model_ms = [], []
    began, frame = monotonic(), 0
    while monotonic() - began < seconds:
        sleep(max(0.0, began + frame / FPS - monotonic()))
        started = perf_counter()
        image = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
        decoded = perf_counter()
        session.infer(image)
        if monotonic() - began > WARM_UP_S:
            decode_ms.append(1e3 * (decoded - started))
            model_ms.append(1e3 * (perf_counter() - decoded))
        frame += 1
    return {"decode alone": percentiles(decode_ms), "model alone": percentiles(model_ms)}


def streamed(session: Session, uri: str, seconds: float) -> dict[str, list[float]]:
    """Percentiles of the age at the mask, and of the stages on the way to it."""
    stream = Stream(Segmenter(session))
    stream.add_source(Camera("camera", read_address(uri), FrameCounts(), stream.arrived))
    interrupt = Interrupt("frame")
    ages: dict[str, Any] = {}

    def stop() -> None:
        status = stream.status()  # of the last ten seconds: the start is not in it
        ages["frame to mask in the stream"] = status.age_at_mask_ms
        ages.update({f"- {stage}": spread for stage, spread in status.stages_ms.items()})
        interrupt.wished = True
        interrupt.on_wish()

    timer = threading.Timer(max(seconds, 10.0) + WARM_UP_S, stop)
    timer.start()
    stream.run(interrupt)
    return {name: [spread.p50, spread.p95, spread.p99 or float("nan")] for name, spread in ages.items()}


def percentiles(values: list[float]) -> list[float]:
    return [float(value) for value in np.percentile(values, (50, 95, 99))]


def summary(found: list[tuple[dict[str, list[float]], dict[str, list[float]]]]) -> dict[str, list[float]]:
    """The median over rounds of each percentile."""
    rows: list[dict[str, list[float]]] = [{**one, **other} for one, other in found]
    return {name: [median(values) for values in zip(*(row[name] for row in rows), strict=True)] for name in rows[0]}


if __name__ == "__main__":
    main()
