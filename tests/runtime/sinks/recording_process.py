"""A process that records as `fcn-edge run` does of a camera, until it is killed: `python -m ... TARGET SEGMENT_S`.

It prints "index monotonic_ns" of each frame once that is written.
"""

from __future__ import annotations

import sys
import time
from fractions import Fraction

import numpy as np

from fcn_edge.datasets.synthetic import STREET_LABELS
from runtime.sinks.opening import open_sink
from runtime.sinks.recording import RecordingOptions
from runtime.sinks.sink import Segmented, SinkContext
from runtime.sources.frame import Frame

FPS = 25


def main(target: str, segment_s: float) -> None:
    options = RecordingOptions(segment_s=segment_s, min_free_bytes=0)
    context = SinkContext(STREET_LABELS, "overlay", 0.5, Fraction(FPS), live=True, recording=options)
    sink, index, began_s = open_sink(target, context), 0, time.monotonic()
    mask = np.zeros((48, 64), np.uint8)
    while time.monotonic() < began_s + 60:  # it ends by itself, should nobody kill it
        received_ns = time.monotonic_ns()
        image = np.full((48, 64, 3), 20 + index % 200, np.uint8)
        sink.write(Segmented(Frame(image, index, "cam", received_ns=received_ns), mask, {}))
        print(index, received_ns, flush=True)
        index += 1
        time.sleep(max(0.0, began_s + index / FPS - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
