"""runtime.web.guard: which requests are answered, and which are refused before anything is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runtime.web.answers import HEADERS
from runtime.web.guard import MOST_WRONG
from runtime.web.options import WebOptions
from tests.runtime.web.drawn_stream import segmented
from tests.runtime.web.serving import Page, received, serving, told_status

TOKEN = "correct-horse-battery"
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with serving(WebOptions(allowed_hosts=("jetson.local",))) as page:
        page.sink.write(segmented(0))
        yield page


@pytest.fixture(scope="module")
def private() -> Iterator[Page]:
    with serving(WebOptions(token=TOKEN, wrong_token_s=0.3)) as page:
        page.sink.write(segmented(0))
        yield page


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200), ("127.0.0.1", 200), ("localhost:{port}", 200), ("LOCALHOST", 200),
        ("jetson.local:80", 200), ("Jetson.Local", 200),
        ("evil.example", 403), ("evil.example:{port}", 403), ("localhost.evil.example", 403), ("127.0.0.1.nip.io", 403),
        ("127.0.0.2", 403), ("[::1]", 403), ("0.0.0.0", 403), ("2130706433", 403), ("0x7f.1", 403), ("localhost.", 403),
        ("", 400), ("a b", 400), ("me@127.0.0.1", 400), ("127.0.0.1/", 400), ("[::1", 400), ("127.0.0.1:port", 400),
        ("127.0.0.1:999999", 400),
    ],
)  # fmt: skip
def test_only_known_hosts_are_served(page: Page, host: str, status: int) -> None:
    assert page.ask("/state", headers={"Host": host.format(port=page.port)}).status == status


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost\r\nHost: evil.example\r\n"], ids=["none", "two"])
def test_a_request_has_one_host(page: Page, hosts: bytes) -> None:
    with page.connect(b"GET /state HTTP/1.1\r\n" + hosts + b"\r\n") as opened:
        assert told_status(opened) == 400


def test_every_address_that_is_bound_may_be_typed(tmp_path: Path) -> None:
    with serving(WebOptions(allow_no_token=True), uri="http://0.0.0.0:0") as page:
        assert page.ask(headers={"Host": f"127.0.0.1:{page.port}"}).status == 200
        assert page.ask(headers={"Host": "192.0.2.9:8080"}).status == 200  # as behind a forwarded port
        assert page.ask(headers={"Host": "evil.example"}).status == 403


@pytest.mark.parametrize("path", ["/", "/state", "/snapshot", "/live", "/stream", "/metrics"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost:{port}"},  # another origin than the one it asks
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
    ids=str,
)
def test_other_sites_are_refused(page: Page, path: str, headers: dict[str, str]) -> None:
    asked = {name: value.format(port=page.port) for name, value in headers.items()}
    assert page.ask(path, headers=asked).status == 403


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://{host}"}, {"Origin": "https://{host}"}, {"Sec-Fetch-Site": "none"}]
)
def test_our_own_page_is_answered(page: Page, headers: dict[str, str]) -> None:
    asked = {name: value.format(host=page.host) for name, value in headers.items()}
    assert page.ask("/state", headers=asked).status == 200


def test_a_link_from_another_site_leads_to_the_page_alone(page: Page) -> None:
    assert page.ask("/", headers=LINK).status == 200
    assert page.ask("/snapshot", headers=LINK).status == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1"])
def test_other_origins_get_no_websocket(page: Page, origin: str) -> None:
    words = page.upgrade().replace(f"Origin: http://{page.host}".encode(), f"Origin: {origin}".encode())
    with page.connect(words) as opened:
        assert told_status(opened) == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/state", "/live"])
def test_nothing_but_get_and_head_is_done(page: Page, method: str, path: str) -> None:
    answer = page.ask(path, method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("headers", [{"Content-Length": "5"}, {"Transfer-Encoding": "chunked"}], ids=str)
def test_bodies_are_refused_unread(page: Page, headers: dict[str, str]) -> None:
    assert page.ask("/state", headers=headers, body=b"").status == 413


@pytest.mark.parametrize(
    "path",
    [
        "/../page.js", "/..%2fpage.js", "/%2e%2e/%2e%2e/etc/passwd", "/page/../page.js", "//page.js", "/page.js/",
        "/./page.js", "/page.js%00", "/%70age.js", "/\\..\\page.js", "/index.html", "/server.py", "/page/page.js",
        "/etc/passwd", "/live/..", "/state/", "/STATE", "/.git/config", "/page.js;a",
    ],
)  # fmt: skip
def test_no_path_leads_anywhere_else(page: Page, path: str) -> None:
    assert page.ask(path).status == 404


@pytest.mark.parametrize("target", ["http://evil.example/state", "state", "*", "evil.example:80"])
def test_targets_are_paths(page: Page, target: str) -> None:
    with page.connect(f"GET {target} HTTP/1.1\r\nHost: {page.host}\r\n\r\n".encode()) as opened:
        assert told_status(opened) == 400


@pytest.mark.parametrize("path", ["/", "/page.js", "/state", "/nothing", "/live", "/snapshot", "/metrics", "/healthz"])
def test_every_answer_has_the_headers_that_keep_browsers_in(page: Page, path: str) -> None:
    headers = page.ask(path).headers
    for name, value in HEADERS.items():
        if name != "Content-Security-Policy":
            assert headers[name.lower()] == value
    assert headers["content-security-policy"].startswith("default-src 'self'; ")
    assert "'unsafe" not in headers["content-security-policy"] and "*" not in headers["content-security-policy"]
    assert not [name for name in headers if name.startswith("access-control-")]


def test_what_is_no_http_is_answered_with_the_same_headers(page: Page) -> None:
    with page.connect(b"\x16\x03\x01 hello\r\n\r\n") as opened:
        answer = received(opened, lambda found: False)
    assert answer.startswith(b"HTTP/1.0 400 ") and b"\r\nServer: fcn-edge\r\n" in answer
    assert b"python" not in answer.lower() and b"hello" not in answer


@pytest.mark.parametrize(
    "path", ["/", "/page.js", "/state", "/live", "/stream", "/snapshot", "/metrics", "/readyz", "/x"]
)
def test_without_the_token_nothing_is_told(private: Page, path: str) -> None:
    answer = private.ask(path)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_health_alone_needs_no_token(private: Page) -> None:
    assert private.ask("/healthz").body == b"ok\n"
    assert private.ask("/healthz/").status == private.ask("/%68ealthz").status == 401


@pytest.mark.parametrize("path", ["/state", "/snapshot", "/metrics", "/readyz", "/page.js"])
def test_the_token_opens_by_header_and_by_query(private: Page, path: str) -> None:
    assert private.ask(path, headers={"Authorization": f"Bearer {TOKEN}"}).status == 200
    assert private.ask(f"{path}?token={TOKEN}").status == 200


def test_the_token_becomes_a_cookie_and_leaves_the_address(private: Page) -> None:
    welcome = private.ask(f"/?token={TOKEN}")
    assert (welcome.status, welcome.headers["location"]) == (303, "/")
    cookie, *properties = welcome.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(properties)
    assert TOKEN not in cookie
    assert private.ask("/state", headers={"Cookie": cookie}).status == 200
    assert private.ask("/state", headers={"Cookie": cookie[:-1]}).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong-horse-battery"}, {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": f"Bearer {TOKEN[:-1]}"}, {"Authorization": "Bearer ü"},
        {"Cookie": "fcn_edge_{port}=" + TOKEN}, {"Cookie": "fcn_edge_{port}"},
        {"Authorization": "Bearer"},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_tokens_are_refused(private: Page, headers: dict[str, str]) -> None:
    asked = {name: value.format(port=private.port) for name, value in headers.items()}
    assert private.ask("/state", headers=asked).status == 401


def test_wrong_tokens_wait_and_too_many_at_once_are_not_even_compared(private: Page) -> None:
    wrong, tries = {"Authorization": "Bearer wrong-horse-battery"}, 4 * MOST_WRONG
    with ThreadPoolExecutor(tries) as many:
        found = [answer.status for answer in many.map(lambda _: private.ask("/state", headers=wrong), range(tries))]
    assert 429 in found and found.count(401) >= MOST_WRONG and set(found) == {401, 429}
    assert private.ask("/state", headers={"Authorization": f"Bearer {TOKEN}"}).status == 200
