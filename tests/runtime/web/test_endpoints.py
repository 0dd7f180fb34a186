"""runtime.web.endpoints: what each address answers."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from fcn_edge.datasets.synthetic import STREET_LABELS
from runtime.overlay import Overlay
from runtime.stream.status import Status
from runtime.web.delivery import BOUNDARY
from runtime.web.options import WebOptions
from tests.runtime.web.drawn_stream import DrawnStatus, segmented
from tests.runtime.web.serving import SECONDS, Page, received, serving, wait_until

Image = np.ndarray


def decoded(jpeg: bytes) -> Image:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def likeness(one: Image, other: Image) -> float:
    """Mean difference of two pictures of one size, in grey levels."""
    return float(np.abs(one.astype(int) - other).mean())


def overlaid(index: int, **options: object) -> Image:
    frame = segmented(index, **options)  # type: ignore[arg-type]
    return Overlay(STREET_LABELS, 0.5).draw(frame.frame.image, frame.mask, "overlay")


def test_the_page_and_all_that_it_names_are_served() -> None:
    with serving() as page:
        front = page.ask("/")
        assert (front.status, front.headers["content-type"]) == (200, "text/html; charset=utf-8")
        named = re.findall(r'(?:src|href)="([^":#]+)"', front.body.decode())
        assert named
        assert {name: page.ask(f"/{name.lstrip('./')}").status for name in named} == dict.fromkeys(named, 200)


def test_the_pages_policy_lets_it_talk_to_its_own_host_alone() -> None:
    with serving() as page:
        policy = page.ask("/").headers["content-security-policy"]
    assert f"connect-src 'self' ws://{page.host} wss://{page.host};" in policy


def test_the_state_is_the_status() -> None:
    status = DrawnStatus(("gate", "yard"))
    with serving(status=status) as page:
        answer = page.ask("/state")
        told = json.loads(answer.body)
    assert answer.headers["content-type"] == "application/json"
    assert set(told) == set(status().to_json())
    assert [source["name"] for source in told["sources"]] == ["gate", "yard"] and told["state"] == "RUNNING"


def test_the_process_breathes_whatever_the_stream_does() -> None:
    def broken() -> Status:
        raise RuntimeError("no status today")

    with serving(status=broken) as page:
        assert page.ask("/healthz").status == 200
        assert {path: page.ask(path).status for path in ("/readyz", "/state", "/metrics")} == dict.fromkeys(
            ("/readyz", "/state", "/metrics"), 503
        )
        assert page.facts()["faults"] > 0


@pytest.mark.parametrize(("last_frame_s", "answer"), [(0.1, 200), (9.9, 200), (10.1, 503), (None, 503)])
def test_it_is_ready_while_frames_come_out(last_frame_s: float | None, answer: int) -> None:
    with serving(status=lambda: replace(DrawnStatus()(), last_frame_s=last_frame_s)) as page:
        assert page.ask("/readyz").status == answer


def test_a_snapshot_shows_the_newest_frame_under_its_mask() -> None:
    with serving() as page:
        for index in (3, 4):
            page.sink.write(segmented(index))
        answer = page.ask("/snapshot")
    assert answer.headers["content-type"] == "image/jpeg" and answer.headers["x-frame-index"] == "4"
    assert 15 <= int(answer.headers["x-frame-age-ms"]) < 1e3 * SECONDS
    assert likeness(decoded(answer.body), overlaid(4)) < 4 < likeness(segmented(4).frame.image, overlaid(4))


def test_a_snapshot_waits_for_the_first_frame() -> None:
    with serving() as page:
        answer = page.ask("/snapshot")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        page.sink.write(segmented(0))
        assert page.ask("/snapshot").status == 200


def test_each_source_has_a_snapshot_of_its_own() -> None:
    with serving(status=DrawnStatus(("gate", "yard"))) as page:
        page.sink.write(segmented(0, "gate"))
        page.sink.write(segmented(7, "yard", seed=9))
        indices = {query: page.ask(f"/snapshot{query}").headers["x-frame-index"] for query in ("", "?source=yard")}
        assert indices == {"": "0", "?source=yard": "7"}  # the first is meant where none is named
        assert page.ask("/snapshot?source=roof").status == 404


@pytest.mark.parametrize("query", ["?source=gate", "?source=", ""])
def test_the_only_source_need_not_be_named(query: str) -> None:
    with serving() as page:
        page.sink.write(segmented(1, "gate"))
        assert page.ask(f"/snapshot{query}").status == 200


def test_pictures_that_are_too_large_for_a_browser_are_shrunk() -> None:
    with serving(WebOptions(longest_side=160)) as page:
        page.sink.write(segmented(0, size_hw=(240, 320)))
        assert decoded(page.ask("/snapshot").body).shape == (120, 160, 3)


@pytest.mark.parametrize("path", ["/", "/state", "/snapshot", "/metrics", "/healthz", "/stream", "/nothing"])
def test_head_is_get_without_a_body(path: str) -> None:
    with serving() as page:
        page.sink.write(segmented(0))
        head = page.ask(path, "HEAD")
        assert head.body == b""
        if path != "/stream":  # whose GET never ends
            answer = page.ask(path)
            assert (head.status, head.headers["content-type"]) == (answer.status, answer.headers["content-type"])


def test_a_websocket_is_wanted_for_live() -> None:
    with serving() as page:
        assert page.ask("/live").status == page.ask("/live", "HEAD").status == 426


def watch_stream(page: Page, parts: int) -> list[bytes]:
    """The first JPEGs of /stream, each taken once the header of the next has come."""
    header = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
    with page.connect(f"GET /stream HTTP/1.0\r\nHost: {page.host}\r\n\r\n".encode()) as opened:
        wait_until(lambda: page.facts()["viewers"] == 1)
        for index in range(1, parts):
            wait_until(lambda sent=index: page.facts()["frames_sent"] == sent)  # type: ignore[misc]
            page.sink.write(segmented(index))
        found = received(opened, lambda found: found.count(header) == parts + 1)
    assert b"multipart/x-mixed-replace; boundary=" + BOUNDARY.encode() in found
    return [part.removesuffix(b"\r\n") for part in found.split(header)[1:-1]]


def test_the_stream_shows_each_frame_at_once() -> None:
    with serving() as page:
        page.sink.write(segmented(0))
        pictures = [decoded(jpeg) for jpeg in watch_stream(page, 4)]
    assert [likeness(picture, overlaid(index)) < 4 for index, picture in enumerate(pictures)] == [True] * 4


def test_the_stream_is_read_by_programs_that_read_cameras() -> None:
    av = pytest.importorskip("av")
    with serving() as page:
        page.sink.write(segmented(0))
        with av.open(f"http://{page.host}/stream", timeout=SECONDS, options={"analyzeduration": "0"}) as opened:
            wait_until(lambda: page.facts()["viewers"] == 1)
            frames = opened.decode(video=0)
            for index in range(1, 30):
                page.sink.write(segmented(index))
            assert next(frames).to_ndarray(format="bgr24").shape == (240, 320, 3)
