"""From a frame of any size to its mask: stretch to the model's size, infer, bring the mask back; each step timed."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from fcn_edge.images import fit_frame, restore_mask
from runtime.session import Session


@dataclass(frozen=True)
class Segmentation:
    """A mask (H, W) uint8 of the frame's size, and what each step took in milliseconds."""

    mask: NDArray[np.uint8]
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
        steps = {"resize": resized - started, "infer": inferred - resized, "restore": restored - inferred}
        return Segmentation(mask, {name: 1e3 * seconds for name, seconds in steps.items()})

    def segment(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The mask alone."""
        return self(frame).mask
