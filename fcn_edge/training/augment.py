"""From one labelled picture to a training crop: augmented, or cut out as it is.

Augmentation is geometry first (scale, crop, mirror), then light and colour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fcn_edge.labels import VOID

LabelledPicture = tuple[NDArray[np.uint8], NDArray[np.uint8]]

# A picture, its mask and a size -> both in this size, by draws of the generator.
Crop = Callable[[NDArray[np.uint8], NDArray[np.uint8], tuple[int, int], Generator], LabelledPicture]

BEYOND = (114, 114, 114)  # colour of what lies beyond a picture's border; its label is void


def plain_crop(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], crop_hw: tuple[int, int], rng: Generator
) -> LabelledPicture:
    """A (h, w, 3) picture and (h, w) mask of size `crop_hw`, pixel by pixel; beyond the border void, on any side."""
    short_y, short_x = (max(wanted - side, 0) for wanted, side in zip(crop_hw, mask.shape, strict=True))
    border = (short_y, short_y, short_x, short_x, cv2.BORDER_CONSTANT)
    pixels = cv2.copyMakeBorder(image, *border, value=BEYOND)
    labels = cv2.copyMakeBorder(mask, *border, value=VOID)
    y, x = (int(rng.integers(side - wanted + 1)) for side, wanted in zip(labels.shape, crop_hw, strict=True))
    cut = slice(y, y + crop_hw[0]), slice(x, x + crop_hw[1])
    return np.asarray(pixels[cut], np.uint8), np.asarray(labels[cut], np.uint8)


@dataclass(frozen=True)
class Augmentation:
    """How far pictures may be changed; every draw is uniform within these limits."""

    scale: tuple[float, float] = (0.6, 1.8)  # things come near and go far
    stretch: float = 1.1  # width against height
    brightness: float = 40.0  # grey levels
    contrast: float = 0.35
    saturation: float = 0.4
    hue_degrees: float = 12.0

    def __call__(
        self, image: NDArray[np.uint8], mask: NDArray[np.uint8], crop_hw: tuple[int, int], rng: Generator
    ) -> LabelledPicture:
        """A (h, w, 3) picture and (h, w) mask of size `crop_hw`; pixels beyond the picture's border are void."""
        image, mask = self._scaled_crop(image, mask, crop_hw, rng)
        if rng.random() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
        return self._relight(image, rng), np.ascontiguousarray(mask)

    def _scaled_crop(
        self, image: NDArray[np.uint8], mask: NDArray[np.uint8], crop_hw: tuple[int, int], rng: Generator
    ) -> LabelledPicture:
        """One affine warp does scale, stretch and crop, so nothing is resampled twice."""
        scale = np.exp(rng.uniform(*np.log(self.scale)))
        stretch = np.exp(rng.uniform(-1, 1) * np.log(self.stretch))
        scale_xy = np.array([scale * stretch, scale / stretch])
        room = np.array(image.shape[1::-1]) * scale_xy - crop_hw[::-1]  # negative: the picture is smaller than the crop
        shift = -rng.uniform(np.minimum(room, 0), np.maximum(room, 0))
        matrix = np.array([[scale_xy[0], 0, shift[0]], [0, scale_xy[1], shift[1]]])
        size_wh = crop_hw[::-1]
        warped = cv2.warpAffine(image, matrix, size_wh, flags=cv2.INTER_LINEAR, borderValue=BEYOND)
        labels = cv2.warpAffine(mask, matrix, size_wh, flags=cv2.INTER_NEAREST, borderValue=VOID)
        return np.asarray(warped, np.uint8), np.asarray(labels, np.uint8)

    def _relight(self, image: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
        """Colour in HSV, then one table for brightness and contrast."""
        hsv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2HSV)
        hue_shift = round(rng.uniform(-1, 1) * self.hue_degrees / 2)  # OpenCV's hue counts 2 degrees
        hue = (np.arange(256) + hue_shift) % 180
        saturation = np.arange(256) * (1 + rng.uniform(-1, 1) * self.saturation)
        hsv = cv2.LUT(hsv, np.stack([hue, _clip(saturation), np.arange(256)], axis=-1).astype(np.uint8)[None])
        contrast = 1 + rng.uniform(-1, 1) * self.contrast
        levels = (np.arange(256) - 127.5) * contrast + 127.5 + rng.uniform(-1, 1) * self.brightness
        return np.asarray(cv2.LUT(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), _clip(levels).astype(np.uint8)), np.uint8)


def _clip(values: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(np.clip(values, 0, 255))
