"""datasets/street.py: a drawn frame and its mask are a function of seed, time and size."""

import os
import subprocess
import sys

import numpy as np
import pytest

from fcn_edge.datasets.street import CLASSES, SKY, draw_street
from fcn_edge.labels import VOID

SMALL = (60, 80)
IDS = {*range(len(CLASSES)), VOID}

DIGEST = """
import hashlib
from fcn_edge.datasets.street import draw_street
digest = hashlib.sha256()
for seed in range(6):
    for part in draw_street(seed, 0.7 * seed, (60, 80)):
        digest.update(part.tobytes())
print(digest.hexdigest())
"""


def test_two_fresh_processes_draw_the_same_bytes() -> None:
    drawn = []
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", DIGEST]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
        drawn.append(done.stdout)
    assert drawn[0] == drawn[1]
    assert len(drawn[0].strip()) == 64


def test_what_was_drawn_before_does_not_matter() -> None:
    first = draw_street(4, 1.0, SMALL)
    draw_street(5, 2.0, (48, 64))
    draw_street(4, 3.0, SMALL)
    again = draw_street(4, 1.0, SMALL)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("seed", range(0, 300_000, 37_501))
def test_every_pixel_has_a_class_or_is_void(seed: int) -> None:
    _, mask = draw_street(seed, size_hw=SMALL)
    assert set(np.unique(mask)) <= IDS


@pytest.mark.parametrize("seed", range(5))
def test_the_street_moves(seed: int) -> None:
    (image, mask), (later_image, later_mask) = (draw_street(seed, time_s, SMALL) for time_s in (0.0, 0.4))
    assert np.count_nonzero(mask != later_mask) > 20
    assert np.count_nonzero((image != later_image).any(axis=2)) > mask.size // 2


def test_a_drive_of_two_frames_is_nearly_the_same_picture() -> None:
    (_, mask), (_, later_mask) = (draw_street(2, time_s, (240, 320)) for time_s in (1.0, 1.04))
    assert np.mean(mask == later_mask) > 0.9


def test_another_seed_is_another_street() -> None:
    assert len({draw_street(seed, size_hw=SMALL)[1].tobytes() for seed in range(8)}) == 8


@pytest.mark.parametrize(
    "size_hw",
    [(1, 1), (1, 100), (2, 2), (3, 5), (5, 3), (100, 1), (7, 400), (400, 7), (97, 121), (241, 319)],
)
def test_any_size_can_be_drawn(size_hw: tuple[int, int]) -> None:
    image, mask = draw_street(3, 0.5, size_hw)
    assert (image.shape, mask.shape) == ((*size_hw, 3), size_hw)
    assert image.dtype == mask.dtype == np.uint8
    assert set(np.unique(mask)) <= IDS


def test_the_larger_picture_shows_the_same_street() -> None:
    _, small = draw_street(6, 1.0, (120, 160))
    _, large = draw_street(6, 1.0, (240, 320))
    assert np.mean(large[::2, ::2] == small) > 0.85


@pytest.mark.parametrize("time_s", [-3.0, 0.0, 1e4])
def test_any_moment_can_be_drawn(time_s: float) -> None:
    _, mask = draw_street(1, time_s, SMALL)
    assert set(np.unique(mask)) <= IDS


def test_sky_is_above_and_the_own_bonnet_below() -> None:
    for seed in range(10):
        _, mask = draw_street(seed, size_hw=SMALL)
        assert mask[-1, SMALL[1] // 2] == VOID
        assert SKY not in mask[SMALL[0] * 3 // 4 :]
        assert VOID not in mask[: SMALL[0] // 2]
