"""runtime.web.viewers and delivery: what each viewer gets, and that none of them is a burden."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import monotonic, monotonic_ns, perf_counter, sleep
from typing import Any, TypeVar

import aiohttp
import cv2
import numpy as np
import pytest

from fcn_edge.palette_png import decode_palette_png
from runtime.sinks.sink import Segmented
from runtime.stream.status import Status
from runtime.web.encoding import Form
from runtime.web.options import WebOptions
from tests.runtime.web.drawn_stream import DrawnStatus, segmented
from tests.runtime.web.serving import SECONDS, Page, parted, serving, told_status, wait_until

T = TypeVar("T")
Socket = aiohttp.ClientWebSocketResponse
STREAM = "GET /stream HTTP/1.1\r\nHost: {host}\r\n\r\n"


def watching(page: Page, watch: Callable[[Socket], Awaitable[T]], query: str = "") -> T:
    """What `watch` makes of a WebSocket to the page."""

    async def watched() -> T:
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(f"http://{page.host}/live{query}", origin=f"http://{page.host}") as opened:
                return await asyncio.wait_for(watch(opened), SECONDS)

    return asyncio.run(watched())


async def next_frame(opened: Socket) -> tuple[dict[str, Any], bytes, bytes]:
    async for message in opened:
        if message.type is aiohttp.WSMsgType.BINARY:
            return parted(message.data)
    raise AssertionError("the page closed")


def test_a_page_gets_frame_and_mask_apart() -> None:
    frame = segmented(7)
    with serving() as page:
        page.sink.write(frame)
        header, jpeg, png = watching(page, next_frame)
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None and np.abs(image.astype(int) - frame.frame.image).mean() < 5
    mask = decode_palette_png(png)
    assert mask is not None and frame.model_mask is not None and np.array_equal(mask, frame.model_mask)
    assert (header["source"], header["index"], header["size_hw"]) == ("gate", 7, [240, 320])
    assert header["age_ms"] == pytest.approx(15, abs=0.1)
    assert header["received_ns"] < header["masked_ns"] < header["encoded_ns"] < monotonic_ns()
    assert header["times_ms"]["infer"] == 8.5
    assert sum(header["class_shares"].values()) == pytest.approx((frame.mask != 255).mean(), abs=1e-3)


def test_a_page_is_told_the_state_at_once_and_every_second() -> None:
    async def two_states(opened: Socket) -> list[dict[str, Any]]:
        return [json.loads(await opened.receive_str()) for _ in range(2)]

    with serving() as page:
        first, second = watching(page, two_states)
    assert first["state"] == "RUNNING" and 0.5 < second["uptime_s"] - first["uptime_s"] < 3


def test_a_page_is_shown_the_last_picture_of_a_silent_camera_which_has_no_age_at_the_wire() -> None:
    with serving() as page:
        page.sink.write(segmented(3))
        assert watching(page, next_frame)[0]["index"] == 3
        assert page.ages_ms == []


def test_the_age_at_the_wire_is_told_of_each_frame() -> None:
    async def one_more(opened: Socket) -> None:
        await next_frame(opened)
        await asyncio.to_thread(page.sink.write, segmented(1))
        await next_frame(opened)

    with serving() as page:
        page.sink.write(segmented(0))
        watching(page, one_more)
        wait_until(lambda: len(page.ages_ms) == 1)
    assert 15 <= page.ages_ms[0] < 1e3 * SECONDS


def test_a_page_watches_the_source_that_it_names() -> None:
    with serving(status=DrawnStatus(("gate", "yard"))) as page:
        page.sink.write(segmented(1, "yard"))
        page.sink.write(segmented(2, "gate"))
        assert watching(page, next_frame, "?source=yard")[0]["source"] == "yard"
        assert watching(page, next_frame)[0]["source"] == "gate"
        with page.connect(page.upgrade("?source=roof")) as opened:
            assert told_status(opened) == 404


def test_a_viewer_that_speaks_is_sent_away() -> None:
    async def speak(opened: Socket) -> None:
        await opened.send_str("stop the camera")
        async for _ in opened:
            pass

    with serving() as page:
        watching(page, speak)
        wait_until(lambda: page.facts()["viewers"] == 0)


def test_a_page_that_says_goodbye_is_answered() -> None:
    async def leave(opened: Socket) -> int | None:
        await next_frame(opened)
        await opened.close(code=1001)
        return opened.close_code

    with serving() as page:
        page.sink.write(segmented(0))
        assert watching(page, leave) in (1000, 1001)
        wait_until(lambda: page.facts()["viewers"] == 0)


def test_a_frame_is_encoded_once_however_many_watch() -> None:
    with serving(WebOptions(max_viewers=6)) as page, ExitStack() as stack:
        for words in 3 * (page.upgrade(), STREAM.format(host=page.host).encode()):
            stack.enter_context(page.connect(words))
        wait_until(lambda: page.facts()["viewers"] == 6)
        for index in range(5):
            page.sink.write(segmented(index))
            wait_until(lambda sent=6 * (index + 1): page.facts()["frames_sent"] == sent)  # type: ignore[misc]
        assert page.sink.encoder.counts == {Form.LIVE: 5, Form.STREAM: 5}


def test_nothing_is_drawn_while_nobody_watches() -> None:
    with serving() as page:
        assert page.sink.write(segmented(0)) == {}
        assert not page.sink.encoder.counts
        with page.connect(page.upgrade()):
            wait_until(lambda: page.facts()["frames_sent"] == 1)
            assert set(page.sink.write(segmented(1))) == {"encode"}
        wait_until(lambda: page.facts()["viewers"] == 0)
        assert page.sink.write(segmented(2)) == {}


def test_a_snapshot_is_drawn_once_a_frame() -> None:
    with serving() as page:
        page.sink.write(segmented(0))
        assert [page.ask("/snapshot").status for _ in range(3)] == [200] * 3
        assert page.sink.encoder.counts == {Form.STREAM: 1}


@pytest.mark.parametrize("form", ["live", "stream"])
def test_no_more_than_some_may_watch(form: str) -> None:
    with serving(WebOptions(max_viewers=2)) as page, ExitStack() as stack:
        words = page.upgrade() if form == "live" else STREAM.format(host=page.host).encode()
        for _ in range(2):
            stack.enter_context(page.connect(words))
        wait_until(lambda: page.facts()["viewers"] == 2)
        answer = page.ask("/stream")
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        with page.connect(page.upgrade()) as third:
            assert told_status(third) == 503
        assert page.facts()["viewers_refused"] == 2 and page.ask("/state").status == 200
        stack.close()
        wait_until(lambda: page.facts()["viewers"] == 0)
        assert page.ask("/stream", "HEAD").status == 200


def noise(index: int) -> Segmented:
    """A frame of 100 kB and more as JPEG, whatever the street."""
    frame = segmented(index, size_hw=(480, 640))
    grains = np.random.default_rng(index).integers(0, 256, frame.frame.image.shape, np.uint8)
    return replace(frame, frame=replace(frame.frame, image=grains))


def fill(page: Page, count: int, frames: list[Segmented]) -> list[float]:
    """Writes at 50 frames a second; what each write took, in milliseconds."""
    took = []
    for index in range(count):
        started = perf_counter()
        page.sink.write(frames[index % len(frames)])
        took.append(1e3 * (perf_counter() - started))
        sleep(max(0.0, 0.02 - 1e-3 * took[-1]))
    return took


def resident_bytes() -> int:
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
@pytest.mark.parametrize("form", ["live", "stream"])
def test_twenty_viewers_that_never_read_change_nothing(form: str) -> None:
    frames = [noise(index) for index in range(4)]
    with serving(WebOptions(max_viewers=20, write_s=60)) as page, ExitStack() as stack:
        alone = median(fill(page, 40, frames))
        words = page.upgrade() if form == "live" else STREAM.format(host=page.host).encode()
        for _ in range(20):
            stack.enter_context(page.connect(words))
        wait_until(lambda: page.facts()["viewers"] == 20)
        fill(page, 40, frames)
        before, dropped = resident_bytes(), page.facts()["frames_dropped"]
        together = median(fill(page, 100, frames))
        assert resident_bytes() - before < 20e6
        assert page.facts()["frames_dropped"] - dropped >= 20 * 90
        assert page.facts()["frames_sent"] < 20 * 15
        assert together < alone + 5
        assert page.ask("/state").status == 200


def test_a_viewer_that_never_reads_is_cut_off() -> None:
    frames = [noise(index) for index in range(2)]
    with serving(WebOptions(write_s=0.5)) as page, page.connect(page.upgrade()):
        wait_until(lambda: page.facts()["viewers"] == 1)
        ends_at = monotonic() + 2 * SECONDS
        while page.facts()["viewers"] and monotonic() < ends_at:
            fill(page, 5, frames)
        assert page.facts()["viewers"] == 0


def test_a_slow_viewer_gets_the_newest_frame_next() -> None:
    frames = [noise(index) for index in range(60)]

    async def look_away(opened: Socket) -> list[int]:
        await next_frame(opened)
        await asyncio.to_thread(fill, page, 60, frames)
        seen = [(await next_frame(opened))[0]["index"]]
        while seen[-1] != 59:
            seen.append((await next_frame(opened))[0]["index"])
        return seen

    with serving() as page:
        page.sink.write(frames[0])
        seen = watching_slowly(page, look_away)
    assert seen == sorted(set(seen)) and len(seen) < 40


def watching_slowly(page: Page, watch: Callable[[Socket], Awaitable[T]]) -> T:
    """As `watching`, on a connection that holds little."""

    async def watched() -> T:
        connector = aiohttp.TCPConnector(socket_factory=lambda address: small_socket())
        async with aiohttp.ClientSession(connector=connector, read_bufsize=1 << 12) as session:
            async with session.ws_connect(f"http://{page.host}/live") as socket_:
                return await asyncio.wait_for(watch(socket_), 2 * SECONDS)

    return asyncio.run(watched())


def small_socket() -> socket.socket:
    opened = socket.socket()
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    return opened


def test_faults_of_the_page_never_reach_the_stream(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as page, page.connect(page.upgrade()):
        wait_until(lambda: page.facts()["viewers"] == 1)
        assert page.sink.write(replace(segmented(0), model_mask=np.zeros((2, 2, 2, 2), np.uint8))) == {}
        assert page.facts()["faults"] == 1
        page.sink.write(segmented(1))
        wait_until(lambda: page.facts()["frames_sent"] == 1)
    assert "the stream goes on" in capsys.readouterr().err


@pytest.mark.parametrize("state", ["idle", "watched", "never read", "asked for its status"])
def test_the_page_closes_within_a_second(state: str) -> None:
    slow = [segmented(0)]

    def status() -> Status:
        if state == "asked for its status":
            sleep(1.5)
        return DrawnStatus()()

    with serving(status=status) as page, ExitStack() as stack:
        if state in ("watched", "never read"):
            stack.enter_context(page.connect(page.upgrade()))
            stack.enter_context(page.connect(STREAM.format(host=page.host).encode()))
            wait_until(lambda: page.facts()["viewers"] == 2)
            fill(page, 60 if state == "never read" else 2, [noise(0), noise(1)] if state == "never read" else slow)
        if state == "asked for its status":
            stack.enter_context(page.connect(f"GET /state HTTP/1.1\r\nHost: {page.host}\r\n\r\n".encode()))
            sleep(0.2)
        began = monotonic()
        page.sink.close()
        assert monotonic() - began < 1.5
        assert page.sink.write(segmented(5)) == {}
        page.sink.close()
        with pytest.raises(ConnectionRefusedError):
            page.connect()
