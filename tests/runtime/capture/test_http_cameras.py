"""runtime.capture on real HTTP cameras: each fault is named, and is over when it is over."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from urllib.parse import quote

import pytest

from runtime.capture.camera import READERS, Camera
from runtime.sources.clock_code import read_clock
from runtime.sources.frame import Frame
from runtime.stream.status import SourceState
from tests.runtime.cameras.http_camera import Fault, HttpCamera
from tests.runtime.capture.watching import SHORT, children, code, conserves, until, watched

FRESH_S = 1.0  # a picture on a busy machine
SECRET = "s3cr3t/?#:@"


@pytest.fixture
def server() -> Iterator[HttpCamera]:
    with HttpCamera() as camera:
        yield camera


def next_frame(camera: Camera, not_before_ns: int = 0) -> Frame:
    """The next picture whose clock is that late."""
    found: list[Frame] = []

    def came() -> bool:
        frame = camera.take()
        if frame is not None and (read_clock(frame.image) or 0) >= not_before_ns:
            found.append(frame)
        return bool(found)

    until(came)
    return found[0]


def test_pictures_come_fresh_and_whole(server: HttpCamera) -> None:
    with watched(server.uri, SHORT, factory=READERS) as camera:
        for index in range(5):
            frame = next_frame(camera)
            moment_ns = read_clock(frame.image)
            assert moment_ns is not None and moment_ns < frame.received_ns < frame.decoded_ns
            assert time.monotonic_ns() - moment_ns < FRESH_S * 1e9
            assert frame.index >= index
        assert camera.status().state is SourceState.STREAMING
        assert camera.status().size_hw == server.size_hw


def test_lengths_need_not_be_told() -> None:
    with HttpCamera(with_lengths=False) as server, watched(server.uri, SHORT, factory=READERS) as camera:
        frame = next_frame(camera)
        moment_ns = read_clock(frame.image)
        assert moment_ns is not None
        assert frame.received_ns - moment_ns < 1e9 / server.rate  # it did not wait for the next one to begin


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        (Fault.CLOSE, {"CLOSED"}),
        (Fault.SILENCE, {"TIMEOUT"}),
        (Fault.NO_ANSWER, {"TIMEOUT"}),
        (Fault.TRUNCATED, {"BAD_PICTURES"}),
        (Fault.ZEROED, {"BAD_PICTURES"}),
        (Fault.CUT_OUT, {"BAD_PICTURES"}),
        (Fault.FROZEN, {"FROZEN"}),
        (Fault.GARBAGE, {"NO_VIDEO"}),
        (Fault.ENDLESS, {"NO_VIDEO"}),
        (Fault.HTML, {"NO_VIDEO"}),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else "",
)
def test_a_fault_is_named_and_over_when_it_is_over(server: HttpCamera, fault: Fault, codes: set[str]) -> None:
    with watched(server.uri, SHORT, factory=READERS) as camera:
        next_frame(camera)
        server.fault = fault
        if fault in (Fault.GARBAGE, Fault.ENDLESS, Fault.HTML):
            server.hang_up()
        until(lambda: code(camera) in codes)
        assert_recovers(camera, server)


@pytest.mark.parametrize(("status", "named"), [(401, "AUTH_FAILED"), (404, "NOT_FOUND"), (503, "REFUSED")])
def test_a_refusal_is_named_and_over_when_it_is_over(server: HttpCamera, status: int, named: str) -> None:
    server.status = status
    with watched(server.uri, SHORT, factory=READERS) as camera:
        until(lambda: code(camera) == named)
        assert str(status) in getattr(camera.status().reason, "text", "")
        server.status = 200
        assert_recovers(camera, server)


def test_a_camera_may_be_switched_off_and_on(server: HttpCamera) -> None:
    with watched(server.uri, SHORT, factory=READERS) as camera:
        next_frame(camera)
        server.refuse()
        until(lambda: code(camera) == "CONNECTION_FAILED")
        server.listen()
        assert_recovers(camera, server)


def test_a_camera_may_come_later_than_we(server: HttpCamera) -> None:
    server.refuse()
    with watched(server.uri, SHORT, factory=READERS) as camera:
        until(lambda: code(camera) == "CONNECTION_FAILED")
        server.listen()
        assert_recovers(camera, server)


def assert_recovers(camera: Camera, server: HttpCamera) -> None:
    """Streaming again, with pictures that were made after the fault."""
    returned_ns = time.monotonic_ns()
    server.fault = Fault.NONE
    next_frame(camera, returned_ns)
    until(lambda: camera.status().state is SourceState.STREAMING and camera.status().reason is None)


def test_one_damaged_picture_is_counted_and_no_fault(server: HttpCamera) -> None:
    with watched(server.uri, SHORT, factory=READERS) as camera:
        next_frame(camera)
        server.fault = Fault.TRUNCATED
        until(lambda: camera.counts.now().bad)
        server.fault = Fault.NONE
        next_frame(camera, time.monotonic_ns())
        assert set(camera.counts.now().bad) == {"truncated"}
        assert (camera.status().connects, server.connections) == (1, 1)


def test_another_resolution_needs_no_new_connection(server: HttpCamera) -> None:
    with watched(server.uri, SHORT, factory=READERS) as camera:
        assert next_frame(camera).image.shape == (240, 320, 3)
        server.size_hw = (120, 160)
        until(lambda: next_frame(camera).image.shape == (120, 160, 3))
        assert camera.status().size_hw == (120, 160)
        assert server.connections == 1


def test_every_frame_is_taken_or_counted(server: HttpCamera) -> None:
    with watched(server.uri, SHORT, factory=READERS) as camera:
        taken = 0
        for fault in (Fault.NONE, Fault.ZEROED, Fault.NONE):
            server.fault = fault
            seen = server.pictures
            while server.pictures < seen + 5:
                taken += camera.take() is not None
                time.sleep(0.02)
        camera.stop(5.0)
        assert taken and camera.counts.now().bad
        assert conserves(camera, taken)


@pytest.mark.parametrize("digest", [False, True], ids=["basic", "digest"])
@pytest.mark.parametrize("password", [SECRET, "plain"])
def test_credentials_let_us_in_and_never_show(digest: bool, password: str) -> None:
    with HttpCamera(credentials=("admin", password), digest=digest) as server:
        uri = server.uri.replace("//", f"//admin:{quote(password, safe='')}@")
        with watched(uri, SHORT, factory=READERS) as camera:
            next_frame(camera)
            told = json.dumps(asdict(camera.status()))
            assert password not in told and quote(password, safe="") not in told and "admin" not in told


def test_wrong_credentials_never_show(server: HttpCamera) -> None:
    server.status = 401
    uri = server.uri.replace("//", f"//admin:{SECRET}@")
    with watched(uri, SHORT, retry=False, factory=READERS) as camera:
        until(lambda: camera.failure is not None)
        told = json.dumps(asdict(camera.status())) + str(camera.failure)
        assert "refuses this user and password" in told
        assert "s3cr3t" not in told and "admin" not in told


def test_nothing_is_left_behind(server: HttpCamera) -> None:
    before = children()
    with watched(server.uri, SHORT, factory=READERS) as camera:
        next_frame(camera)
        assert children() > before
    assert children() == before
