"""The calibration pictures as a graph's input, for whoever observes the ranges they cause."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibration.image_set import CalibrationSet
from fcn_edge.images import fit_frame
from fcn_edge.progress import Step

Feed = dict[str, NDArray[np.uint8]]


class FrameReader:
    """One feed per picture, stretched exactly as the runtime stretches frames.

    Has the methods of onnxruntime's CalibrationDataReader, slices included, so that histograms are gathered in
    slices and never all activations are held at once.
    """

    def __init__(self, pictures: CalibrationSet, input_name: str, size_hw: tuple[int, int], step: Step) -> None:
        self.pictures, self.input_name, self.size_hw, self.step = pictures, input_name, size_hw, step
        self.set_range(0, len(pictures))

    def __len__(self) -> int:
        return len(self.pictures)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._next, self._end = start_index, min(end_index, len(self.pictures))

    def get_next(self) -> Feed | None:
        """The next feed, {input: (1, H, W, 3) BGR uint8}, or None after the last."""
        if self._next >= self._end:
            return None
        image = self.pictures.dataset.image(self.pictures.indices[self._next])
        self._next += 1
        self.step()
        return {self.input_name: fit_frame(image, self.size_hw)[None]}
