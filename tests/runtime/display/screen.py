"""A screen of memory (Xvfb) on which windows open, and real key events by the X server's own test extension."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

SIZE_HW = (800, 1200)
KEYSYMS = {" ": b"space", "+": b"plus", "-": b"minus", "=": b"equal", "Esc": b"Escape", "Tab": b"Tab"}
IS_VIEWABLE = 2  # X.h
CLIENT_MESSAGE = 33
HEADER = np.dtype(">u4")  # XWDFile.h: a header of big-endian numbers


class _ClientMessage(ctypes.Structure):
    """XClientMessageEvent of Xlib.h with 32-bit data, padded to an XEvent's 24 longs."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("rest", ctypes.c_long * 24),
    )


class Screen:
    """The X server `name`, and what is to be seen on it."""

    def __init__(self, name: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.name, self.process = name, process
        self._pixels = folder / "Xvfb_screen0"
        self._x11, self._xtst = _library("X11"), _library("Xtst")
        for function in ("XOpenDisplay", "XDefaultRootWindow", "XStringToKeysym", "XInternAtom"):
            getattr(self._x11, function).restype = ctypes.c_void_p
        self._x11.XKeysymToKeycode.restype = ctypes.c_ubyte
        self._display = ctypes.c_void_p(self._x11.XOpenDisplay(name.encode()))
        assert self._display, f"no connection to {name}"
        self._root = ctypes.c_ulong(self._x11.XDefaultRootWindow(self._display))

    def disconnect(self) -> None:
        self._x11.XCloseDisplay(self._display)

    def picture(self) -> np.ndarray:
        """(H, W, 3) BGR: what a person in front of the screen would see."""
        content = np.fromfile(self._pixels, np.uint8)
        header = content[: 25 * 4].view(HEADER)
        size, width, height, line, colours = (int(header[field]) for field in (0, 4, 5, 12, 19))
        start = size + 12 * colours
        rows = content[start : start + line * height].reshape(height, line)
        return rows[:, : 4 * width].reshape(height, width, 4)[..., :3].copy()

    def press(self, key: str) -> None:
        """One key down and up, with shift where the key needs it; it goes to the window under the pointer."""
        name = KEYSYMS.get(key, key.encode())
        symbol = ctypes.c_ulong(self._x11.XStringToKeysym(name))
        code = self._x11.XKeysymToKeycode(self._display, symbol)
        shift = self._x11.XKeysymToKeycode(self._display, ctypes.c_ulong(self._x11.XStringToKeysym(b"Shift_L")))
        assert code, f"no key {key}"
        self._xtst.XTestFakeMotionEvent(self._display, 0, 40, 40, 0)
        for down, pressed in self._strokes(code, shift, shifted=key == "+" or (key.isupper() and len(key) == 1)):
            self._xtst.XTestFakeKeyEvent(self._display, pressed, down, 0)
        self._x11.XSync(self._display, 0)

    def _strokes(self, code: int, shift: int, *, shifted: bool) -> list[tuple[int, int]]:
        stroke = [(1, code), (0, code)]
        return [(1, shift), *stroke, (0, shift)] if shifted else stroke

    def windows(self) -> list[int]:
        """The programs' windows that are to be seen."""
        root, parent, children, count = (
            ctypes.c_ulong(),
            ctypes.c_ulong(),
            ctypes.POINTER(ctypes.c_ulong)(),
            ctypes.c_uint(),
        )
        self._x11.XQueryTree(self._display, self._root, *map(ctypes.byref, (root, parent, children, count)))
        return [children[place] for place in range(count.value) if self._is_seen(children[place])]

    def _is_seen(self, window: int) -> bool:
        attributes = (ctypes.c_char * 256)()  # XWindowAttributes: 136 bytes on 64-bit systems
        if not self._x11.XGetWindowAttributes(self._display, ctypes.c_ulong(window), ctypes.byref(attributes)):
            return False
        return int.from_bytes(bytes(attributes[92:96]), "little") == IS_VIEWABLE

    def close(self, window: int) -> None:
        """As the button of a window's frame does: ask the program to close it."""
        atoms = [self._x11.XInternAtom(self._display, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")]
        event = _ClientMessage(CLIENT_MESSAGE, 0, 1, self._display, window, atoms[0], 32)
        event.data[0] = atoms[1]
        self._x11.XSendEvent(self._display, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(event))
        self._x11.XSync(self._display, 0)

    def resize(self, window: int, size_hw: tuple[int, int]) -> None:
        self._x11.XResizeWindow(self._display, ctypes.c_ulong(window), size_hw[1], size_hw[0])
        self._x11.XSync(self._display, 0)


def _library(name: str) -> ctypes.CDLL:
    path = ctypes.util.find_library(name)
    if not path:
        pytest.skip(f"lib{name} is not installed")
    return ctypes.CDLL(path)


@contextmanager
def open_screen(folder: Path) -> Iterator[Screen]:
    """A screen of its own, with nothing on it; skips where there is no Xvfb."""
    if not shutil.which("Xvfb"):
        pytest.skip("Xvfb is not installed")
    reading, writing = os.pipe()
    size = f"{SIZE_HW[1]}x{SIZE_HW[0]}x24"
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", size, "-nolisten", "tcp", "-fbdir", str(folder)]
    process = subprocess.Popen(command, pass_fds=(writing,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writing)
    with open(reading, "rb") as told:
        number = told.readline().decode().strip()  # ends with the server, too
    try:
        assert number, "Xvfb did not start"
        screen = Screen(f":{number}", folder, process)
        yield screen
        if process.poll() is None:
            screen.disconnect()
    finally:
        process.terminate()
        process.wait(5)


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
