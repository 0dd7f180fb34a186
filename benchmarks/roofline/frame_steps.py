"""What is done to a camera's frame around the model, and the bytes that each step must move at least."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets.street import draw_street
from fcn_edge.images import fit_frame, restore_mask
from fcn_edge.labels import LabelSet
from runtime.overlay import Overlay

Step = tuple[Callable[[], Any], float]  # to do it once; bytes


def frame_steps(frame_hw: tuple[int, int], model_hw: tuple[int, int], labels: LabelSet) -> dict[str, Step]:
    """Decode a JPEG, stretch it to the model's size, bring a mask back, draw the overlay; in this order."""
    picture, _ = draw_street(3, 0.0, frame_hw)
    jpeg = cv2.imencode(".jpg", picture)[1]
    small = np.zeros(model_hw, np.uint8)
    mask: NDArray[np.uint8] = np.zeros(frame_hw, np.uint8)
    overlay = Overlay(labels)
    frame_bytes, fitted_bytes = picture.nbytes, 3 * small.nbytes
    return {
        "decode a JPEG": (lambda: cv2.imdecode(jpeg, cv2.IMREAD_COLOR), jpeg.nbytes + frame_bytes),
        "fit": (lambda: fit_frame(picture, model_hw), frame_bytes + fitted_bytes),
        "mask back": (lambda: restore_mask(small, frame_hw), small.nbytes + mask.nbytes),
        "overlay": (lambda: overlay.draw(picture, mask, "overlay"), 2 * frame_bytes + mask.nbytes),
    }
