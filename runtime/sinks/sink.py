"""What a sink is, what it is given, and what all of them draw with. `opening.open_sink` makes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.labels import LabelSet
from runtime.overlay import Overlay
from runtime.sinks.recording import RecordingOptions
from runtime.sources.frame import Frame
from runtime.stream.status import Status
from runtime.web.options import WebOptions

Times = Mapping[str, float]  # stage -> milliseconds
NONE: Times = {}


@dataclass(frozen=True)
class Segmented:
    """A frame with its mask and what each stage took. Sinks share it: none may change the arrays."""

    frame: Frame
    mask: NDArray[np.uint8]  # (H, W) of the frame's size
    times_ms: Times
    model_mask: NDArray[np.uint8] | None = None  # (h, w) as the model gave it
    masked_ns: int = 0  # monotonic: when the mask was ready
    dropped_before: int = 0  # frames of its source that came since the one segmented before, and were not

    @cached_property
    def pixels(self) -> NDArray[np.int64]:
        """(256,) how many pixels of the mask each class id has."""
        return cv2.calcHist([self.mask], [0], None, [256], [0, 256]).ravel().astype(np.int64)

    @property
    def age_ms(self) -> float:
        """From the frame's last byte to its mask."""
        return 1e-6 * (self.masked_ns - self.frame.received_ns)


class Sink(Protocol):
    """Takes segmented frames, in its own thread, from a queue of its own. `finish` after the last, `close` always."""

    keeps: int  # frames that may wait for it

    def write(self, segmented: Segmented) -> Times:
        """Take one, and tell what took how long, of: overlay, encode, send."""

    def finish(self) -> None: ...

    def close(self) -> None: ...

    def facts(self) -> Mapping[str, Any]:
        """What this kind has to tell of itself now: its file, its viewers, bytes left. Called from any thread."""


class SinkBase:
    """A sink that holds nothing open."""

    keeps = 4

    def finish(self) -> None:
        """Everything is written already."""

    def close(self) -> None:
        """Nothing to give back."""

    def facts(self) -> Mapping[str, Any]:
        return {}


class WindowClosed(Exception):
    """The viewer has seen enough: the stream ends in order."""


@dataclass(frozen=True)
class SinkContext:
    """What sinks draw with, and what they must know of the stream."""

    labels: LabelSet
    view: str
    alpha: float
    rate: Fraction | None
    live: bool = False  # frames come when they come, for months: what is written must be whole at every moment
    status: Callable[[], Status] | None = None  # of the stream, for whoever shows it
    has_legend: bool = True
    recording: RecordingOptions = field(default_factory=RecordingOptions)
    web: WebOptions = field(default_factory=WebOptions)
    snapshots: Path = Path()  # the folder that the window saves pictures to
    on_wire: Callable[[float], None] = lambda age_ms: None  # told how old a frame was when a viewer had been sent it
    on_closed: Callable[[], None] = lambda: None  # a viewer closed the window; any thread, also while no frame comes

    def overlay(self) -> Overlay:
        return Overlay(self.labels, self.alpha, has_legend=self.has_legend)
