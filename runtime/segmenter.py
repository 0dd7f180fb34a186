"""From a frame of any size to its mask: stretch to the model's size, infer, bring the mask back; each step timed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import ModelError
from fcn_edge.images import fit_frame, restore_mask
from fcn_edge.labels import VOID
from runtime.latency import PART, Stopwatch
from runtime.session_protocol import Session
from runtime.smoothing import Smoothing


@dataclass(frozen=True)
class Segmentation:
    """A mask (H, W) uint8 of the frame's size, and what each step took in milliseconds, `infer` with its parts."""

    mask: NDArray[np.uint8]
    model_mask: NDArray[np.uint8]  # (h, w) of the model's size
    times_ms: dict[str, float]


class Segmenter:
    """A session for frames of any size; nothing is copied of frames that have the model's. One thread uses it."""

    def __init__(self, session: Session, smoothing: Smoothing | None = None) -> None:
        self.session, self.smoothing = session, smoothing

    def __call__(self, frame: NDArray[np.uint8], source: str = "", at_s: float | None = None) -> Segmentation:
        """A frame (H, W, 3) BGR; `source` and `at_s` are the smoothing's. Raises ModelError for a class of no name."""
        watch = Stopwatch()
        with watch("resize"):
            fitted = fit_frame(frame, self.session.facts.size_hw)
        with watch("infer"):
            small = self.session.infer(fitted)
            self._require_classes(small)
        watch.times_ms.update({f"infer{PART}{name}": value for name, value in self.session.parts_ms.items()})
        if self.smoothing:
            with watch("smooth"):
                small = self.smoothing(small, fitted, source, at_s)
        with watch("restore"):
            mask = restore_mask(small, (frame.shape[0], frame.shape[1]))
        return Segmentation(mask, small, watch.times_ms)

    def segment(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The mask alone."""
        return self(frame).mask

    def _require_classes(self, mask: NDArray[np.uint8]) -> None:
        """An id without a name would be a colour that no legend explains, and a share that no class has."""
        classes = len(self.session.facts.labels)
        highest = int((mask + np.uint8(1)).max()) - 1  # void, 255, becomes 0 and does not count
        if highest >= classes:
            raise ModelError(
                f"wanted class ids below {classes}, or {VOID} for void, found {highest}; the model and its labels do "
                "not fit: export it again"
            )
