"""What recording costs and what a kill loses: of a camera's way of writing videos against a file's.

.venv/bin/python -m benchmarks.recording

A street with the noise of a camera is drawn, segmented and recorded in both ways: bytes, milliseconds (the median) and
processor time per frame, and what is left of the picture. Then processes that record 25 frames a second are killed.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av
import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.told import facts
from fcn_edge.datasets.street import draw_street
from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.files import write_json
from fcn_edge.progress import tracked
from runtime.overlay import Overlay
from runtime.sinks.recorder import FORMATS, LIVE, WHOLE, Recorder, Way

RESULT = Path(__file__).parent / "results" / "recording.json"
FPS = 25
FRAMES = 100
SIZES_HW = ((360, 480), (720, 1280))
WAYS = {"file": WHOLE, "camera": LIVE}
NOISE = 3.0  # grey levels, of a cheap sensor by day

Image = NDArray[np.uint8]

RECORD = f"""
import sys, time
from fractions import Fraction
from pathlib import Path
import numpy as np
from runtime.sinks.recorder import LIVE, Recorder
recorder, began_s = Recorder(Path(sys.argv[1]), Fraction({FPS}), LIVE), time.monotonic()
noise = np.random.default_rng(0).integers(0, 256, (360, 480, 3), np.uint8)
for index in range(60 * {FPS}):
    at_s = time.monotonic()
    recorder.write(np.roll(noise, index, 1), Fraction(at_s - began_s), index)
    print(at_s, at_s - began_s, flush=True)
    time.sleep(max(0.0, began_s + (index + 1) / {FPS} - time.monotonic()))
"""


def drive(size_hw: tuple[int, int]) -> Sequence[Image]:
    """Overlays as `run` records them."""
    overlay, generator = Overlay(STREET_LABELS), np.random.default_rng(0)
    pictures = []
    for index in range(FRAMES):
        image, mask = draw_street(3, index / FPS, size_hw)
        noisy = np.clip(image + generator.normal(0, NOISE, image.shape), 0, 255).astype(np.uint8)
        pictures.append(overlay.draw(noisy, mask, "overlay"))
    return pictures


def recorded(pictures: Sequence[Image], way: Way, suffix: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"out{suffix}"
        used_s, frame_s = time.process_time(), []
        with closing(Recorder(path, Fraction(FPS), way)) as recorder:
            for index, picture in enumerate(pictures):
                began_s = time.perf_counter()
                recorder.write(picture, Fraction(index, FPS), index)
                frame_s.append(time.perf_counter() - began_s)
            recorder.finish()
        used_s = time.process_time() - used_s
        with av.open(str(path)) as container:
            decoded = (frame.to_ndarray(format="bgr24").astype(float) for frame in container.decode(video=0))
            error = np.mean([((frame - picture) ** 2).mean() for frame, picture in zip(decoded, pictures, strict=True)])
        return {
            "bytes": path.stat().st_size / len(pictures),
            "ms": 1e3 * median(frame_s),
            "processor_ms": 1e3 * used_s / len(pictures),
            "psnr_db": float(10 * np.log10(255**2 / error)),
        }


def lost_s(suffix: str, after_s: float) -> float:
    """Seconds from the last frame that can be read to the kill."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", RECORD, f"{folder}/out{suffix}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            at_s, since_s = map(float, process.stdout.readline().split())
            time.sleep(after_s)
            process.kill()
            killed_s = time.monotonic() - (at_s - since_s)
        (part,) = Path(folder).iterdir()
        with av.open(str(part)) as container:
            return killed_s - [float(frame.time) for frame in container.decode(video=0)][-1]


@click.command()
@click.option("--kills", type=click.IntRange(1), default=20, show_default=True)
def main(kills: int) -> None:
    costs: dict[str, Any] = {}
    for size_hw in SIZES_HW:
        pictures = drive(size_hw)
        for name, way in WAYS.items():
            for suffix in FORMATS:
                figures = recorded(pictures, way, suffix)
                costs[f"{size_hw[0]}x{size_hw[1]} {name} {suffix}"] = figures
                told = ", ".join(f"{value:.2f} {unit}" for unit, value in figures.items())
                click.echo(f"{size_hw[0]}x{size_hw[1]}, as of a {name}, {suffix}, per frame: {told}")
    generator, losses = random.Random(0), {}
    for suffix in FORMATS:
        moments = [generator.uniform(1.5, 3) for _ in range(kills)]
        losses[suffix] = sorted(lost_s(suffix, moment) for moment in tracked(moments, f"killing {suffix}", kills))
        low, middle, high = np.percentile(losses[suffix], (0, 50, 100))
        click.echo(f"{suffix}: {kills} kills lost {low:.3f} to {high:.3f} s, half of them at most {middle:.3f} s")
    write_json(RESULT, {**facts(), "frames": FRAMES, "per_frame": costs, "lost_s": losses})


if __name__ == "__main__":
    main()
