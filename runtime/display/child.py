"""The window's process: draws what the stream sends and hears keys. A window system ends or hangs the programs that it
shows when it goes itself, and wants their first thread; so this is no part of the stream's process."""

from __future__ import annotations

import os
import select
import socket
import sys
from pathlib import Path
from time import perf_counter
from typing import NoReturn

import cv2

from fcn_edge.errors import first_line
from fcn_edge.labels import LabelSet
from runtime.capture.lifeline import die_with
from runtime.display import wire
from runtime.display.viewer import TITLE, Viewer
from runtime.overlay import Overlay

LOOK_S = 0.02  # how soon keys are heard while no frame comes
MOST_KEYS = 20  # heard between two frames: one that is held down must not hold up the stream
MOST_HW = (720, 1280)  # of the window at its start
NO_WINDOW = 2  # exit code


def main(parent_pid: int, socket_fd: int) -> NoReturn:
    """Never returns, and skips the libraries' own endings, which may hang or crash. Code 0: by the viewer's wish."""
    die_with(parent_pid)
    try:
        _run(socket.socket(fileno=socket_fd))
    except wire.Gone:  # nobody is there to show anything of
        pass
    except cv2.error as error:
        print(f"OpenCV shows no window: {first_line(error)}", file=sys.stderr, flush=True)
        os._exit(NO_WINDOW)
    os._exit(0)


def _run(parent: socket.socket) -> None:
    order, _ = wire.receive(parent)
    overlay = Overlay(LabelSet.from_json(order["labels"]), order["alpha"], has_legend=order["has_legend"])
    viewer = Viewer(overlay, order["view"], Path(order["snapshots"]))
    window = Window(viewer)
    wire.send(parent, {})
    while not viewer.has_quit:
        if select.select([parent], [], [], LOOK_S)[0]:
            _answer(parent, viewer, window)
        elif viewer.is_stale:
            window.show()
        window.hear()


def _answer(parent: socket.socket, viewer: Viewer, window: Window) -> None:
    """Take one message, and tell what is wanted next."""
    told, pictures = wire.receive(parent)
    viewer.meet(told["source"])
    if pictures and told["source"] == viewer.source and not viewer.is_held:
        if not viewer.has_frame:
            window.fit(pictures[0].shape[0], pictures[0].shape[1])
        viewer.take(*pictures)
    overlay_ms = window.show() if viewer.is_stale else 0.0
    wire.send(parent, {"source": viewer.source, "is_held": viewer.is_held, "overlay_ms": overlay_ms})


class Window:
    """OpenCV's window of a viewer."""

    def __init__(self, viewer: Viewer) -> None:
        """Raises cv2.error by an OpenCV without windows; others end the process where there is no screen."""
        self.viewer, self._title = viewer, TITLE
        # Without the tools that some of OpenCV's windows have, whose keys would get in the way of ours.
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        self.show()

    def show(self) -> float:
        """Milliseconds that drawing took."""
        started = perf_counter()
        picture = self.viewer.picture()
        drawn = perf_counter()
        cv2.imshow(TITLE, picture)
        if self._title != self.viewer.title:
            self._title = self.viewer.title
            cv2.setWindowTitle(TITLE, self._title)
        return 1e3 * (drawn - started)

    def hear(self) -> None:
        """The keys that were pressed; to close the window is to quit."""
        for _ in range(MOST_KEYS):
            key = cv2.waitKeyEx(1)
            if key == -1:
                break
            self.viewer.press(key)
        self.viewer.has_quit = self.viewer.has_quit or not self._is_open()

    def _is_open(self) -> bool:
        try:
            return cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # of OpenCV 5: where there is no window any more
            return False

    def fit(self, height: int, width: int) -> None:
        """As large as frames of this size, within bounds that most screens have."""
        scale = min(MOST_HW[0] / height, MOST_HW[1] / width, max(1.0, MOST_HW[0] / 2 / height))
        cv2.resizeWindow(TITLE, max(1, round(width * scale)), max(1, round(height * scale)))
