"""runtime.web.connection: how long a connection may take, how much it may send, and how many there may be."""

from __future__ import annotations

from contextlib import ExitStack
from time import monotonic, sleep

import pytest

from runtime.web.options import WebOptions
from tests.runtime.web.drawn_stream import segmented
from tests.runtime.web.serving import Page, received, serving, told_status, wait_until

HASTY = WebOptions(header_s=0.5, idle_s=0.5)


def lasted_s(page: Page, first: bytes, drip: bytes = b"") -> float:
    """How long a connection is borne that sends this, and then a drop now and then."""
    began = monotonic()
    with page.connect(first) as opened:
        opened.settimeout(0.1)
        while monotonic() - began < 5:
            try:
                if drip:
                    opened.sendall(drip)
                if not opened.recv(1 << 16):
                    break
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                break
    return monotonic() - began


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b""),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"X-A: b\r\n"),
        (b"GET /", b"a"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /", b"a"),
    ],
    ids=["silence", "half a request", "dripping headers", "dripping letters", "kept alive", "dripping second request"],
)
def test_who_does_not_ask_in_time_is_cut_off(first: bytes, drip: bytes) -> None:
    with serving(HASTY) as page:
        assert 0.3 < lasted_s(page, first, drip) < 3


def test_a_connection_is_kept_for_the_next_request() -> None:
    with serving() as page, page.connect() as opened:
        for _ in range(3):
            opened.sendall(f"GET /healthz HTTP/1.1\r\nHost: {page.host}\r\n\r\n".encode())
            assert received(opened, lambda found: found.endswith(b"ok\n")).startswith(b"HTTP/1.1 200")


def test_viewers_stay_however_long_they_watch() -> None:
    with serving(HASTY) as page, page.connect(page.upgrade()) as opened:
        wait_until(lambda: page.facts()["viewers"] == 1)
        sleep(1.2)
        page.sink.write(segmented(0))
        assert received(opened, lambda found: b"JFIF" in found) and page.facts()["viewers"] == 1


def test_two_hundred_that_only_hold_connections_do_not_lock_viewers_out() -> None:
    with serving() as page, ExitStack() as stack:
        stack.enter_context(page.connect(page.upgrade()))
        wait_until(lambda: page.facts()["viewers"] == 1)
        for _ in range(200):
            stack.enter_context(page.connect(b"GET / HTTP/1.1\r\nX-Slow: "))
        assert [page.ask(path).status for path in ("/", "/state", "/page.js")] == [200] * 3
        assert page.facts()["viewers"] == 1  # who came before them is not disturbed
        with page.connect(page.upgrade()) as late:
            assert told_status(late) == 101


def test_connections_beyond_the_most_are_closed_at_once() -> None:
    with serving(WebOptions(max_connections=3, max_viewers=3)) as page, ExitStack() as stack:
        for count in range(1, 4):
            stack.enter_context(page.connect(page.upgrade()))
            wait_until(lambda count=count: page.facts()["viewers"] == count)  # type: ignore[misc]
        with page.connect() as opened:
            assert received(opened, lambda found: False) == b""
        assert page.facts()["viewers"] == 3


@pytest.mark.parametrize(
    "words",
    [
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /?" + b"a" * 70000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a" * 9000 + b": x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + (b"X: " + b"y" * 4000 + b"\r\n") * 100,
        b"A" * 1_000_000,
    ],
    ids=["line", "query", "header", "header name", "headers", "endless headers", "no request"],
)
def test_requests_that_are_too_large_are_refused(words: bytes) -> None:
    with serving() as page:
        try:
            with page.connect(words) as opened:
                assert told_status(opened) in (400, 431, 0)  # 0: it went on sending into a closed door
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert page.ask().status == 200 and page.facts()["faults"] == 0


def test_many_requests_at_once_are_answered_in_their_order() -> None:
    words = b"".join(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in ("/healthz", "/readyz") * 20
    )
    with serving() as page, page.connect(words) as opened:
        answers = received(opened, lambda found: found.count(b"HTTP/1.1 200") == 40 and found.endswith(b"ready\n"))
    assert answers.count(b"\r\n\r\nok\n") == answers.count(b"\r\n\r\nready\n") == 20


def test_answers_that_are_not_fetched_hold_nothing_up() -> None:
    words = b"GET /state HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100
    with serving(HASTY) as page, page.connect(words[:30000]):
        sleep(1.0)
        assert page.ask("/state").status == 200
        wait_until(lambda: not page.sink._server.doorway.inside)
