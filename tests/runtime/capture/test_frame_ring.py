"""runtime.capture.frame_ring: memory of two processes, which costs only what is touched and has no name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fcn_edge import MAX_PIXELS
from runtime.capture import frame_ring
from runtime.capture.frame_ring import SLOTS, FrameRing, create_ring_file


@pytest.fixture(params=["memory", "file"])
def descriptor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Of a ring on either kind of memory."""
    if request.param == "file":
        monkeypatch.delattr(os, "memfd_create")
    created = create_ring_file()
    yield created
    os.close(created)


def test_two_mappings_see_the_same_picture(descriptor: int) -> None:
    ours, theirs = FrameRing(descriptor), FrameRing(descriptor)
    ours.picture(2, (4, 5))[:] = np.arange(60).reshape(4, 5, 3)
    assert np.array_equal(theirs.picture(2, (4, 5)), np.arange(60).reshape(4, 5, 3))


def test_another_process_writes_what_we_read(descriptor: int) -> None:
    code = "from runtime.capture.frame_ring import FrameRing; FrameRing({}).picture(1, (2, 3))[:] = 9"
    subprocess.run([sys.executable, "-c", code.format(descriptor)], pass_fds=[descriptor], check=True, timeout=60)
    assert (FrameRing(descriptor).picture(1, (2, 3)) == 9).all()


def test_slots_of_the_largest_pictures_do_not_touch(descriptor: int) -> None:
    ring = FrameRing(descriptor)
    largest = 5_000, MAX_PIXELS // 5_000
    for slot in range(SLOTS):
        ring.picture(slot, largest)[[0, -1]] = slot + 1
    assert [int(ring.picture(slot, largest)[row].max()) for slot in range(SLOTS) for row in (0, -1)] == [
        *(1, 1, 2, 2, 3, 3, 4, 4)
    ]


def test_only_what_is_touched_costs_memory(descriptor: int) -> None:
    ring = FrameRing(descriptor)
    ring.picture(0, (1080, 1920))[:] = 1
    assert os.fstat(descriptor).st_blocks * 512 < 7_000_000


@pytest.mark.parametrize(
    ("slot", "size_hw"), [(-1, (4, 4)), (SLOTS, (4, 4)), (0, (0, 4)), (0, (-2, -2)), (0, (7072, 7072))]
)
def test_what_cannot_be_is_refused(descriptor: int, slot: int, size_hw: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no slot"):
        FrameRing(descriptor).picture(slot, size_hw)


def test_a_picture_outlives_its_ring(descriptor: int) -> None:
    picture = FrameRing(descriptor).picture(0, (4, 4))
    picture[:] = 3
    assert (picture == 3).all()


def test_memory_cannot_be_cut_off_by_the_other_side() -> None:
    descriptor = create_ring_file()
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)


def test_nothing_with_a_name_is_left(descriptor: int) -> None:
    assert Path(f"/proc/self/fd/{descriptor}").resolve().name.endswith("(deleted)")


def test_a_mapping_that_is_dropped_is_gone() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        created = create_ring_file()
        FrameRing(created).picture(0, (4, 4))[:] = 1
        os.close(created)
    assert len(os.listdir("/proc/self/fd")) == before
    assert "fcn-edge frames" not in Path("/proc/self/maps").read_text()
    assert frame_ring.SLOT_BYTES >= 3 * MAX_PIXELS
