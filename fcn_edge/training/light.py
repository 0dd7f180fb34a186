"""Other light, another lens, another camera: changes of a picture that leave its mask as it is.

A network that has seen three drives knows three days. What differs on a fourth is the light first: its strength, its
colour, shadows, and how camera and exposure answer to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

GREY_LEVELS = np.arange(256)


@dataclass(frozen=True)
class Light:
    """How far a picture may be changed; every draw is uniform within these limits."""

    saturation: float = 0.4
    hue_degrees: float = 12.0
    brightness: float = 0.3  # share by which all is lighter or darker
    contrast: float = 0.35  # about the mean of the picture
    gamma: float = 1.5  # dusk to glare: the exponent is between its inverse and it
    cast: float = 0.1  # by how much the gain of one colour differs: white balance
    blur: float = 1.2  # pixels, the deviation of a Gaussian
    noise: float = 8.0  # grey levels, its deviation
    shadow: float = 0.6  # share of the light that a shadow takes away
    seldom: float = 0.25  # how often each of the last three happens

    def __call__(self, image: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
        """(h, w, 3) BGR to the same in other light: colours, then one table a channel, then what is seldom."""
        image = self._recoloured(image, rng)
        image = np.asarray(cv2.LUT(image, self._exposure(float(image.mean()), rng)), np.uint8)
        for change in (self._shaded, self._blurred, self._noisy):
            if rng.random() < self.seldom:
                image = change(image, rng)
        return image

    def _recoloured(self, image: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
        """Hue and saturation, by a table on HSV."""
        hue_shift = round(rng.uniform(-1, 1) * self.hue_degrees / 2)  # OpenCV's hue counts 2 degrees
        saturation = GREY_LEVELS * (1 + rng.uniform(-1, 1) * self.saturation)
        table = np.stack([(GREY_LEVELS + hue_shift) % 180, np.clip(saturation, 0, 255), GREY_LEVELS], axis=-1)
        hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), table.astype(np.uint8)[None])
        return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.uint8)

    def _exposure(self, mean: float, rng: Generator) -> NDArray[np.uint8]:
        """Contrast about `mean`, brightness, gamma and white balance as one table (1, 256, 3)."""
        contrast, brightness = (1 + rng.uniform(-1, 1) * limit for limit in (self.contrast, self.brightness))
        exponent = self.gamma ** rng.uniform(-1, 1)
        levels = np.clip(((GREY_LEVELS - mean) * contrast + mean) * brightness, 0, 255)
        gains = 1 + rng.uniform(-1, 1, 3) * self.cast
        levels = np.clip(255 * (levels[:, None] / 255) ** exponent * gains, 0, 255)
        return np.asarray(levels.round()[None], np.uint8)

    def _shaded(self, image: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
        """Darker on one side of a line at any angle, with a soft or a sharp edge."""
        height, width = image.shape[:2]
        angle, softness = rng.uniform(0, 2 * np.pi), rng.uniform(1, 20)  # pixels
        x, y = np.arange(width) - rng.uniform(0, width), np.arange(height) - rng.uniform(0, height)
        depth = (x * np.cos(angle) + (y * np.sin(angle))[:, None]) / softness
        lit = 1 - rng.uniform(0, self.shadow) / (1 + np.exp(-np.clip(depth, -30, 30)))
        return np.asarray(image * lit[..., None].astype(np.float32), np.uint8)

    def _blurred(self, image: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
        deviation = rng.uniform(0, self.blur)
        return np.asarray(cv2.GaussianBlur(image, (5, 5), deviation), np.uint8) if deviation > 0 else image

    def _noisy(self, image: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
        grain = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0, self.noise))
        return np.clip(image + grain, 0, 255).astype(np.uint8)


UNCHANGED = Light(saturation=0, hue_degrees=0, brightness=0, contrast=0, gamma=1, cast=0, seldom=0)
