"""What a window shows of a stream, and what its keys change: everything about it but the window."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import OutputError
from fcn_edge.images import restore_mask
from fcn_edge.palette_png import encode_palette_png
from runtime.display.captions import add_note, add_panel
from runtime.display.snapshot import png_of, save_snapshot
from runtime.overlay import VIEWS, Overlay

TITLE = "fcn-edge"
HELP = (
    ("Tab V", "overlay, mask, split"),
    ("+ -", "more or less of the mask"),
    ("L", "legend"),
    ("space", "hold the picture"),
    ("S", "save frame, mask and view"),
    ("N", "next source"),
    ("H", "these keys"),
    ("q Esc", "end"),
)
ESCAPE, TAB = 27, 9
KEYPAD = {0xFFAB: "+", 0xFFAD: "-"}  # by X11's keysymdef.h, as OpenCV tells keys that are no letters
ALPHA_STEP = 0.1
HELP_S, NOTE_S = 5.0, 2.5  # for how long the keys are shown at the start, and a piece of news
LEAST_HEIGHT = 240  # pixels of a picture, below which it is enlarged: words over it could not be read
EMPTY_HW = (270, 480)  # of the picture before the first frame


class Viewer:
    """One thread uses it. `now_s` tells the time, in seconds of any clock."""

    def __init__(
        self, overlay: Overlay, view: str, snapshots: Path = Path(), now_s: Callable[[], float] = monotonic
    ) -> None:
        self.overlay, self.view, self.snapshots = overlay, view, snapshots
        self.source = ""  # whose frames are shown; the first one's, until another is chosen
        self.is_held = self.has_quit = False
        self._sources: list[str] = []
        self._frame: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None  # with its mask, of the frame's size
        self._now_s, self._is_stale = now_s, True
        self._help_until_s: float | None = None  # from the first frame on
        self._note, self._note_until_s = "", 0.0

    def meet(self, source: str) -> None:
        """A frame of this source came, wanted or not."""
        if source not in self._sources:
            self._sources.append(source)
            self.source = self._sources[0] if len(self._sources) == 1 else self.source

    def take(self, frame: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
        """The newest frame (H, W, 3) BGR of the chosen source, and its mask of any size; both are kept."""
        if self._help_until_s is None:
            self._help_until_s = self._now_s() + HELP_S
        self._frame = frame, restore_mask(mask, (frame.shape[0], frame.shape[1]))
        self._is_stale = True

    @property
    def title(self) -> str:
        """Of several sources, which one is shown."""
        return f"{TITLE}: {self.source}" if len(self._sources) > 1 else TITLE

    @property
    def has_frame(self) -> bool:
        return self._frame is not None

    @property
    def is_stale(self) -> bool:
        """What is shown is not what should be."""
        now = self._now_s()
        if self._help_until_s and now >= self._help_until_s:
            self._help_until_s, self._is_stale = 0.0, True
        if self._note and now >= self._note_until_s:
            self._note, self._is_stale = "", True
        return self._is_stale

    def picture(self) -> NDArray[np.uint8]:
        """A new (H, W, 3) BGR picture of what there is to see now."""
        self._is_stale = False
        if self._frame is None:
            picture = np.full((*EMPTY_HW, 3), 40, np.uint8)
            add_note(picture, "waiting for the first frame")
            return picture
        picture = self._seen()
        if self._help_until_s:
            add_panel(picture, HELP)
        note = self._note or ("held: space goes on" if self.is_held else "")
        if note:
            add_note(picture, note)
        return picture

    def _seen(self) -> NDArray[np.uint8]:
        assert self._frame
        frame, mask = self._frame
        times = -(-LEAST_HEIGHT // frame.shape[0])
        return self.overlay.draw(_enlarged(frame, times), _enlarged(mask, times), self.view)

    def press(self, key: int) -> None:
        """A key, as cv2.waitKeyEx tells it; one without a meaning does nothing.

        (Of waitKey's low byte an arrow would be a Q.)
        """
        code = key & 0xFFFF  # without Shift, Num Lock and their like
        letter = KEYPAD.get(code) or chr(code).lower()
        action = {
            "q": self._quit,
            chr(ESCAPE): self._quit,
            chr(TAB): self._next_view,
            "v": self._next_view,  # for windows that keep the first Tab to themselves
            " ": self._hold,
            "+": lambda: self._change_alpha(ALPHA_STEP),
            "=": lambda: self._change_alpha(ALPHA_STEP),  # the same key, without shift
            "-": lambda: self._change_alpha(-ALPHA_STEP),
            "l": self._toggle_legend,
            "s": self._save,
            "n": self._next_source,
            "h": self._toggle_help,
        }.get(letter)
        if action:
            self._is_stale = True
            action()

    def _quit(self) -> None:
        self.has_quit = True

    def _next_view(self) -> None:
        self.view = VIEWS[(VIEWS.index(self.view) + 1) % len(VIEWS)]
        self._tell(self.view)

    def _hold(self) -> None:
        self.is_held, self._note = not self.is_held, ""

    def _change_alpha(self, step: float) -> None:
        self.overlay.alpha = min(1.0, max(0.0, round(self.overlay.alpha + step, 2)))
        self._tell(f"mask {self.overlay.alpha:.0%}")

    def _toggle_legend(self) -> None:
        self.overlay.has_legend = not self.overlay.has_legend

    def _toggle_help(self) -> None:
        self._help_until_s = 0.0 if self._help_until_s else float("inf")

    def _next_source(self) -> None:
        if len(self._sources) > 1:
            self.source = self._sources[(self._sources.index(self.source) + 1) % len(self._sources)]
            self.is_held = False
        self._tell(self.source or "one source")

    def _save(self) -> None:
        if self._frame is None:
            return
        frame, mask = self._frame
        stem = time.strftime("snapshot-%Y%m%d-%H%M%S")
        try:
            pngs = {
                "frame": png_of(frame),
                "mask": encode_palette_png(mask, self.overlay.labels.colours_bgr()),
                "view": png_of(self._seen()),
            }
            self._tell(f"saved {save_snapshot(self.snapshots, stem, pngs)}-*.png")
        except OutputError as error:
            self._tell(f"not saved: {error}")

    def _tell(self, news: str) -> None:
        self._note, self._note_until_s = news, self._now_s() + NOTE_S


def _enlarged(picture: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    if times == 1:
        return picture
    return np.asarray(cv2.resize(picture, None, fx=times, fy=times, interpolation=cv2.INTER_NEAREST), np.uint8)
