"""A window on the screen of this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from fcn_edge.errors import UsageError
from runtime.display.process import WindowProcess
from runtime.sinks.sink import NONE, Segmented, SinkBase, SinkContext, Times, WindowClosed


class DisplaySink(SinkBase):
    """Shows the newest frame of one source, in a process of its own; q or closing the window ends the stream."""

    keeps = 1

    def __init__(self, context: SinkContext) -> None:
        """Raises UsageError where there is no window to be had."""
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise UsageError(
                "wanted a display for display://, found none (DISPLAY is not set); write a file such as out.mkv"
            )
        order = {
            "labels": context.labels.to_json(),
            "view": context.view,
            "alpha": context.alpha,
            "has_legend": context.has_legend,
            "snapshots": str(context.snapshots),
        }
        self._window = WindowProcess(order, context.on_closed)
        self._source: str | None = None  # None: nobody has chosen yet
        self._is_held = False

    def write(self, segmented: Segmented) -> Times:
        """Of a source that is not shown, or while the picture is held, only that it came is told."""
        frame, started = segmented.frame, perf_counter()
        wanted = not self._is_held and self._source in (None, frame.source)
        mask = segmented.mask if segmented.model_mask is None else segmented.model_mask  # the smaller one, mostly
        answer = self._window.show({"source": frame.source}, *((frame.image, mask) if wanted else ()))
        if answer is None:
            raise WindowClosed
        self._source, self._is_held = answer["source"], answer["is_held"]
        overlay_ms = float(answer["overlay_ms"])
        return {"overlay": overlay_ms, "send": 1e3 * (perf_counter() - started) - overlay_ms} if wanted else NONE

    def close(self) -> None:
        self._window.close()

    def facts(self) -> Mapping[str, Any]:
        return {"source": self._source, "is_held": self._is_held}
