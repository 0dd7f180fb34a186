"""runtime.sources.clock_code: a moment drawn into a picture is read out of it, or nothing is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fcn_edge.datasets.synthetic import STREET_LABELS
from runtime.sources.clock_code import draw_clock, read_clock

MOMENTS = st.integers(0, 2**64 - 1)
SIZES_HW = st.tuples(st.integers(192, 480), st.integers(240, 640))
Image = NDArray[np.uint8]


def picture(size_hw: tuple[int, int], seed: int = 0) -> Image:
    """Noise of large and small grains."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (6, 8, 3), np.uint8)
    image = np.asarray(cv2.resize(coarse, size_hw[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
    return cv2.add(image, generator.integers(0, 40, image.shape, np.uint8))  # type: ignore[return-value]


def clock(size_hw: tuple[int, int], moment_ns: int) -> Image:
    image = picture(size_hw)
    draw_clock(image, moment_ns)
    return image


def as_jpeg(image: Image, quality: int = 70) -> Image:
    done, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)


def scaled(image: Image, scale: float, how: int = cv2.INTER_LINEAR) -> Image:
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=how), np.uint8)


def overlaid(image: Image, seed: int) -> Image:
    """Half of it, half a random mask's colours in patches of any size."""
    generator = np.random.default_rng(seed)
    patches = generator.integers(0, len(STREET_LABELS.names), generator.integers(2, 40, 2), np.uint8)
    mask = cv2.resize(patches, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.addWeighted(image, 0.5, STREET_LABELS.colours_bgr()[mask], 0.5, 0), np.uint8)


@given(MOMENTS, SIZES_HW)
def test_a_moment_is_read_as_it_was_drawn(moment_ns: int, size_hw: tuple[int, int]) -> None:
    assert read_clock(clock(size_hw, moment_ns)) == moment_ns


@given(MOMENTS, SIZES_HW, st.floats(0.5, 2.0), st.integers(70, 100), st.integers(0, 2**32 - 1))
def test_a_moment_survives_overlay_and_scaling_and_jpeg(
    moment_ns: int, size_hw: tuple[int, int], scale: float, quality: int, seed: int
) -> None:
    image = as_jpeg(scaled(overlaid(as_jpeg(clock(size_hw, moment_ns)), seed), scale), quality)
    assert read_clock(image) == moment_ns


@pytest.mark.parametrize("how", [cv2.INTER_NEAREST, cv2.INTER_AREA, cv2.INTER_CUBIC])
@given(MOMENTS, st.floats(0.5, 2.0))
def test_every_way_of_scaling_will_do(how: int, moment_ns: int, scale: float) -> None:
    assert read_clock(scaled(clock((360, 480), moment_ns), scale, how)) == moment_ns


@given(MOMENTS)
def test_a_grey_picture_will_do(moment_ns: int) -> None:
    assert read_clock(np.asarray(cv2.cvtColor(clock((360, 480), moment_ns), cv2.COLOR_BGR2GRAY), np.uint8)) == moment_ns


@given(SIZES_HW, st.integers(0, 2**32 - 1))
def test_a_picture_without_clock_has_no_moment(size_hw: tuple[int, int], seed: int) -> None:
    assert read_clock(picture(size_hw, seed)) is None


@given(MOMENTS, st.integers(0, 79))
def test_one_bit_turned_over_is_no_moment(moment_ns: int, bit: int) -> None:
    image = clock((320, 400), moment_ns)  # cells of ten by ten
    row, column = divmod(bit, 10)
    cells = image[10 * row : 10 * row + 10, 20 * column : 20 * column + 20]
    cells[:] = 255 - cells
    assert read_clock(image) is None


def test_half_of_one_picture_and_half_of_another_is_no_moment() -> None:
    torn = clock((360, 480), 123_456_789_012_345)
    torn[40:] = clock((360, 480), 123_456_822_345_678)[40:]
    assert read_clock(torn) is None


@pytest.mark.parametrize("size_hw", [(1, 1), (40, 60), (95, 640)])
def test_a_picture_too_small_has_no_moment(size_hw: tuple[int, int]) -> None:
    assert read_clock(clock(size_hw, 1)) is None


def test_moments_next_to_each_other_differ_in_one_bit_of_the_64() -> None:
    """Of a change seen half-way, all but one bit stay sure."""
    image, next_image = clock((320, 400), 41), clock((320, 400), 42)
    changed = (image != next_image).any(axis=2).reshape(32, 10, 20, 20).any(axis=(1, 3))[:8, :10]
    assert changed.ravel()[:64].sum() == 1
