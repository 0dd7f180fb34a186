"""A window on the screen of this machine."""

from __future__ import annotations

import os
import sys

import cv2

from fcn_edge.errors import UsageError
from runtime.latency import Stopwatch
from runtime.overlay import Overlay
from runtime.sinks.sink import Segmented, SinkBase, Times, WindowClosed


class DisplaySink(SinkBase):
    """A window; q or closing it ends the stream."""

    TITLE = "fcn-edge"

    def __init__(self, overlay: Overlay, view: str) -> None:
        self.overlay, self.view = overlay, view
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise UsageError(
                "wanted a display for display://, found none (DISPLAY is not set); write a file such as out.mkv"
            )
        try:
            cv2.namedWindow(self.TITLE, cv2.WINDOW_NORMAL)
        except cv2.error:
            raise UsageError(
                "wanted a window, found an OpenCV without any; write a file instead, such as out.mkv"
            ) from None

    def write(self, segmented: Segmented) -> Times:
        watch = Stopwatch()
        with watch("overlay"):
            picture = self.overlay.draw(segmented.frame.image, segmented.mask, self.view)
        with watch("send"):
            cv2.imshow(self.TITLE, picture)
        closed = cv2.waitKey(1) & 0xFF == ord("q") or cv2.getWindowProperty(self.TITLE, cv2.WND_PROP_VISIBLE) < 1
        if closed:
            raise WindowClosed
        return watch.times_ms

    def close(self) -> None:
        cv2.destroyAllWindows()
