"""runtime.capture.pattern_reader: a camera that needs none, with faults by the clock."""

from __future__ import annotations

import time
from itertools import islice

import pytest

from runtime.capture.failure import CaptureFailure
from runtime.capture.limits import Limits
from runtime.capture.reader import Picture, Reader, Spoiled, open_reader
from runtime.sources.address import read_address
from runtime.sources.clock_code import read_clock


def camera(query: str) -> Reader:
    return open_reader(read_address(f"test://?{query}"), Limits())


def pictures(query: str, count: int | None = None) -> list[Picture]:
    came = list(islice(camera(query), count))
    assert all(isinstance(one, Picture) for one in came)
    return came  # type: ignore[return-value]


def test_so_many_frames_come_as_are_asked_for_and_then_the_end() -> None:
    reader = camera("frames=7&rate=1000&size=96x128")
    assert (len(list(reader)), reader.finite, reader.rate) == (7, True, 1000.0)


def test_without_a_count_its_end_would_be_a_fault() -> None:
    assert not camera("").finite


def test_every_picture_tells_when_it_was_made() -> None:
    for picture in pictures("frames=5&rate=200"):
        assert picture.image.shape == (360, 480, 3)
        assert read_clock(picture.image) == picture.received_ns
        assert picture.received_ns <= picture.decoded_ns <= time.monotonic_ns()


def test_frames_come_by_the_clock_however_long_the_reader_was_away() -> None:
    """An open loop: what was missed meanwhile comes at once, and the rest when it is due."""
    came, start = [], time.monotonic()
    for picture in camera("rate=50&size=96x128"):
        came.append(picture)
        if len(came) == 5:
            time.sleep(0.3)
        if len(came) == 40:
            break
    assert 39 / 50 <= time.monotonic() - start < 39 / 50 + 0.5
    assert [one.time for one in came if isinstance(one, Picture)] == [index / 50 for index in range(40)]


def test_the_street_moves_and_another_seed_is_another_street() -> None:
    first, *_, last = pictures("frames=10&rate=100")
    other = pictures("frames=1&seed=1")[0]
    below = slice(120, None)  # the clock
    assert (first.image[below] != last.image[below]).mean() > 0.1
    assert (first.image[below] != other.image[below]).mean() > 0.1


@pytest.mark.parametrize("size", ["1x1", "2x3", "96x128", "359x481", "1080x1920"])
def test_any_size_will_do(size: str) -> None:
    [picture] = pictures(f"size={size}&frames=1")
    assert "x".join(map(str, picture.image.shape[:2])) == size


def test_a_connection_may_close() -> None:
    reader, came = camera("rate=100&fault=close@0.05"), []
    with pytest.raises(CaptureFailure) as lost:
        came.extend(iter(reader))
    assert lost.value.code == "CLOSED"


def test_pictures_may_freeze_with_their_clock() -> None:
    came = pictures("rate=100&fault=freeze@0.05&size=96x128", 10)
    moments = [picture.image.tobytes() for picture in came]
    assert len(set(moments[:5])) == 5
    assert len(set(moments[5:])) == 1
    assert came[-1].received_ns > came[5].received_ns


def test_pictures_may_come_spoiled_for_a_second() -> None:
    came = list(islice(camera("rate=20&fault=corrupt@0.1&size=96x128"), 25))
    assert [type(one) for one in came] == [Picture] * 2 + [Spoiled] * 20 + [Picture] * 3


def test_the_size_may_change() -> None:
    sizes = [picture.image.shape[:2] for picture in pictures("rate=100&size=240x320&fault=resize@0.02", 4)]
    assert sizes == [(240, 320), (240, 320), (120, 160), (120, 160)]
