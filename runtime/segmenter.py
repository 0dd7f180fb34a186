"""From a frame of any size to its mask: stretch to the model's size, infer, bring the mask back; each step timed."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from fcn_edge.images import fit_frame, restore_mask
from runtime.latency import PART
from runtime.session_protocol import Session


@dataclass(frozen=True)
class Segmentation:
    """A mask (H, W) uint8 of the frame's size, and what each step took in milliseconds, `infer` with its parts."""

    mask: NDArray[np.uint8]
    model_mask: NDArray[np.uint8]  # (h, w) as the model gave it
    times_ms: dict[str, float]


class Segmenter:
    """A session for frames of any size."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def __call__(self, frame: NDArray[np.uint8]) -> Segmentation:
        started = perf_counter()
        fitted = fit_frame(frame, self.session.facts.size_hw)
        resized = perf_counter()
        small = self.session.infer(fitted)
        inferred = perf_counter()
        mask = restore_mask(small, (frame.shape[0], frame.shape[1]))
        restored = perf_counter()
        parts = {f"infer{PART}{name}": value for name, value in self.session.parts_ms.items()}
        times = {"resize": 1e3 * (resized - started), "infer": 1e3 * (inferred - resized), **parts}
        return Segmentation(mask, small, {**times, "restore": 1e3 * (restored - inferred)})

    def segment(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The mask alone."""
        return self(frame).mask
