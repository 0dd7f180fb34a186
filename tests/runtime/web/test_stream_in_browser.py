"""/stream as a browser shows it in an <img>: each frame when it came, not when the next one did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime.sinks.sink import Segmented
from tests.runtime.web.browser import chromium, program
from tests.runtime.web.drawn_stream import segmented
from tests.runtime.web.serving import serving, wait_until

pytestmark = pytest.mark.skipif(program() is None, reason="needs Chromium")

SHOWN = "(c => (c.drawImage(shown, 0, 0), c.getImageData(5, 200, 1, 1).data[{channel}] > 90))(canvas)"
OPEN = """(() => {
  globalThis.canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  globalThis.shown = new Image();
  document.body.append(shown);
  shown.src = "/stream";
  canvas.canvas.width = 320; canvas.canvas.height = 240;
})()"""


def flat(index: int, channel_bgr: int) -> Segmented:
    """A frame of one colour, under a mask of the class whose colour is darkest."""
    image = np.zeros((240, 320, 3), np.uint8)
    image[..., channel_bgr] = 255
    frame = segmented(index)
    return replace(frame, frame=replace(frame.frame, image=image), mask=np.full((240, 320), 255, np.uint8))


def test_a_browser_shows_each_frame_at_once(tmp_path: Path) -> None:
    with serving() as page, chromium(tmp_path) as browser:
        page.sink.write(flat(0, 2))
        tab = browser.new_page()
        tab.go(f"http://{page.host}/")
        tab.evaluate(OPEN)
        for index, (bgr, rgb) in enumerate(((2, 0), (1, 1), (0, 2), (2, 0))):
            if index:
                page.sink.write(flat(index, bgr))
            tab.wait_for(SHOWN.format(channel=rgb), within_s=3.0)  # less than until a frame is sent again
        wait_until(lambda: page.facts()["frames_sent"] >= 4)
