"""Whatever bytes come, the page's server neither fails nor hangs, and answers the next good request.

`corpus/` holds requests that once broke a server, this one or others: each is sent as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from socket import SHUT_WR
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.web.options import WebOptions
from tests.runtime.web.drawn_stream import segmented
from tests.runtime.web.serving import Page, serving

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.http"))
WITHIN_S = 2.0  # for an answer, beyond the time that a request may take to come
ENDLESS = (b"101 Switching", b"multipart/x-mixed-replace")  # answers that only the viewer ends
TOKEN = "correct-horse-battery"

fuzzed = settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Complaints(logging.Handler):
    """What the libraries below had to say."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


@pytest.fixture(scope="module", params=["open", "private"])
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    """Without and with a token; at the end nothing has gone wrong inside, and nobody was told of anything."""
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    token = TOKEN if request.param == "private" else None
    options = WebOptions(token=token, header_s=0.5, idle_s=0.5, write_s=1.0, wrong_token_s=0.01, max_viewers=40)
    with serving(options) as page:
        page.sink.write(segmented(0))
        yield page
        assert page.facts()["faults"] == 0
    logging.getLogger().removeHandler(complaints)
    assert complaints.told == []


def answers_to(page: Page, requests: Sequence[bytes]) -> list[bytes]:
    """What comes back on a connection for each, all open at once, until the server ends it or it is a viewer's."""
    with ExitStack() as stack:
        opened = [stack.enter_context(page.connect()) for _ in requests]
        for connection, words in zip(opened, requests, strict=True):
            with suppress(ConnectionResetError, BrokenPipeError):
                connection.sendall(words)
        return [answer_on(connection, monotonic() + page.sink._options.header_s + WITHIN_S) for connection in opened]


def answer_on(connection: object, ends_at: float) -> bytes:
    found = b""
    while not any(words in found for words in ENDLESS):
        connection.settimeout(max(0.01, ends_at - monotonic()))  # type: ignore[attr-defined]
        try:
            part = connection.recv(1 << 16)  # type: ignore[attr-defined]
        except ConnectionResetError:
            break
        if not part:
            break
        found += part
    return found


def assert_well(page: Page, requests: Sequence[bytes]) -> None:
    for words, answer in zip(requests, answers_to(page, requests), strict=True):
        assert b" 500 " not in answer.partition(b"\r\n")[0], (words, answer)
        assert not answer or answer.startswith(b"HTTP/"), (words, answer)
    assert page.ask("/healthz").status == 200


def test_the_corpus_is_borne(page: Page) -> None:
    assert len(CORPUS) > 30
    assert_well(page, [path.read_bytes() for path in CORPUS])


def test_the_corpus_is_borne_in_pieces(page: Page) -> None:
    wholes = [path.read_bytes() for path in CORPUS]
    for part in range(1, 6):
        assert_well(page, [words[: len(words) * part // 6] for words in wholes])


def test_the_corpus_is_borne_twice_on_one_connection(page: Page) -> None:
    assert_well(page, [path.read_bytes() * 2 for path in CORPUS])


def test_senders_that_leave_early_are_borne(page: Page) -> None:
    for path in CORPUS:
        with page.connect(path.read_bytes()[:-1]) as connection:
            connection.shutdown(SHUT_WR)
        page.connect(path.read_bytes()).close()
    assert page.ask("/healthz").status == 200


anything = st.binary(min_size=1, max_size=300)
shown = st.binary(max_size=60).map(lambda found: bytes(33 + byte % 94 for byte in found))  # what may stand in a target
PATHS = st.sampled_from(
    [b"/", b"/live", b"/stream", b"/snapshot", b"/state", b"/healthz", b"/readyz", b"/metrics", b"/page.js"]
)
TARGETS = st.one_of(
    PATHS,
    st.builds(lambda path, more: path + more, PATHS, shown),
    st.builds(
        lambda path, name, more: path + b"?" + name + b"=" + more, PATHS, st.sampled_from([b"source", b"token"]), shown
    ),
    shown.map(lambda more: b"/" + more),
)
NAMES = st.sampled_from(
    [b"Origin", b"Cookie", b"Authorization", b"Sec-Fetch-Site", b"Sec-Fetch-Mode", b"Connection", b"Upgrade",
     b"Content-Length", b"Transfer-Encoding", b"Expect", b"Range", b"Accept-Encoding", b"Sec-WebSocket-Key",
     b"Sec-WebSocket-Version", b"Sec-WebSocket-Extensions", b"Content-Encoding", b"Host", b"X-Forwarded-Host"]
)  # fmt: skip
VALUES = st.one_of(
    st.binary(max_size=60).map(lambda found: bytes(byte for byte in found if byte >= 32 and byte != 127)),
    st.sampled_from([b"localhost", b"websocket", b"Upgrade", b"close", b"keep-alive", b"0", b"5", b"chunked", b"13",
                     b"gzip", b"100-continue", b"Bearer " + TOKEN.encode(), b"AAAAAAAAAAAAAAAAAAAAAA==", b"none",
                     b"cross-site", b"null", b"http://localhost", b"fcn_edge_80=a; fcn_edge_80=b", b"bytes=0-1",
                     b"permessage-deflate; server_max_window_bits=99"]),
)  # fmt: skip


@st.composite
def requests_with_odd_words(draw: st.DrawFn) -> bytes:
    """Requests by the grammar, with strange targets and headers."""
    lines = [
        draw(st.sampled_from([b"GET", b"GET", b"HEAD", b"POST", b"OPTIONS"])) + b" " + draw(TARGETS) + b" HTTP/1.1"
    ]
    lines += [b"Host: localhost", b"Authorization: Bearer " + TOKEN.encode(), b"Connection: close"]
    lines += [name + b": " + value for name, value in draw(st.lists(st.tuples(NAMES, VALUES), max_size=5))]
    return b"\r\n".join([*lines, b"", b""])


@st.composite
def spoiled_requests(draw: st.DrawFn) -> bytes:
    """One of the corpus with bytes changed, left out or put in."""
    words = bytearray(draw(st.sampled_from(CORPUS)).read_bytes())
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(words))), draw(st.integers(0, 8))
        words[at : at + length] = draw(st.binary(max_size=8))
    return bytes(words)


many = {"min_size": 8, "max_size": 12}


@fuzzed
@given(st.lists(requests_with_odd_words(), **many))
def test_requests_with_odd_words_are_borne(page: Page, requests: list[bytes]) -> None:
    assert_well(page, requests)


@fuzzed
@given(st.lists(spoiled_requests(), **many))
def test_spoiled_requests_are_borne(page: Page, requests: list[bytes]) -> None:
    assert_well(page, requests)


@fuzzed
@given(st.lists(anything, **many))
def test_mere_bytes_are_borne(page: Page, requests: list[bytes]) -> None:
    assert_well(page, requests)


@fuzzed
@given(st.lists(anything, **many))
def test_whatever_a_viewer_says_is_borne(page: Page, words: list[bytes]) -> None:
    greeting = page.upgrade(f"?token={TOKEN}")
    assert_well(page, [greeting + said for said in words])
