"""Changes of light: within their limits, by the draw alone, and none where none is allowed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fcn_edge.training.light import UNCHANGED, Light

GREY = np.full((40, 60, 3), 100, np.uint8)
RAMP = np.broadcast_to(np.arange(60, dtype=np.uint8)[None, :, None] * 4, (40, 60, 3)).copy()


def drawn(light: Light, picture: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    return light(picture.copy(), np.random.default_rng(seed))


@pytest.mark.parametrize("picture", [GREY, RAMP])
def test_no_limits_change_nothing(picture: NDArray[np.uint8]) -> None:
    assert np.array_equal(drawn(UNCHANGED, picture, 1), picture)


def test_the_draw_alone_decides() -> None:
    assert np.array_equal(drawn(Light(), RAMP, 3), drawn(Light(), RAMP, 3))
    assert len({drawn(Light(), RAMP, seed).tobytes() for seed in range(12)}) == 12


@pytest.mark.parametrize("seed", range(8))
def test_brightness_stays_within_its_share(seed: int) -> None:
    lit = drawn(replace(UNCHANGED, brightness=0.3), GREY, seed)
    assert 70 <= lit.min() and lit.max() <= 130 and np.ptp(lit) == 0


@pytest.mark.parametrize("seed", range(8))
def test_contrast_keeps_the_mean_of_a_dark_picture(seed: int) -> None:
    dark = RAMP // 8
    lit = drawn(replace(UNCHANGED, contrast=0.35), dark, seed)
    assert abs(float(lit.mean()) - float(dark.mean())) < 1


@pytest.mark.parametrize("seed", range(8))
def test_a_cast_tints_grey_but_keeps_it_near(seed: int) -> None:
    lit = drawn(replace(UNCHANGED, cast=0.1), GREY, seed)
    assert len(np.unique(lit[0, 0])) > 1 and np.abs(lit.astype(int) - 100).max() <= 10


@pytest.mark.parametrize("seed", range(8))
def test_gamma_keeps_black_and_white(seed: int) -> None:
    ends = np.zeros((4, 4, 3), np.uint8)
    ends[2:] = 255
    assert np.array_equal(drawn(replace(UNCHANGED, gamma=1.5), ends, seed), ends)


def test_a_shadow_lies_on_a_side_and_takes_no_more_than_its_share() -> None:
    light = replace(UNCHANGED, seldom=1.0, blur=0, noise=0, shadow=0.6)
    lit = [drawn(light, GREY, seed) for seed in range(12)]
    assert min(int(picture.min()) for picture in lit) >= 39 and max(int(picture.max()) for picture in lit) <= 100
    assert any(np.ptp(picture) > 10 for picture in lit)


def test_blur_and_noise_keep_the_mean() -> None:
    light = replace(UNCHANGED, seldom=1.0, shadow=0)
    for seed in range(6):
        assert abs(float(drawn(light, GREY, seed).mean()) - 100) < 1
