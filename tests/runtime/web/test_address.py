"""runtime.web.address: what is listened at, and what is refused."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from fcn_edge.errors import UsageError
from runtime.web.address import LOCAL, listen, read_listen_address, url_of
from runtime.web.live_page import LivePageSink
from runtime.web.options import WebOptions
from tests.runtime.web.drawn_stream import drawn_context
from tests.runtime.web.serving import serving


@pytest.mark.parametrize(
    ("uri", "ip", "port", "is_local"),
    [
        ("http://127.0.0.1:8080", LOCAL, 8080, True),
        ("http://127.0.0.1:8080/", LOCAL, 8080, True),
        ("HTTP://localhost:0", LOCAL, 0, True),
        ("http://:8080", LOCAL, 8080, True),
        ("http://0.0.0.0:80", "0.0.0.0", 80, False),
        ("http://192.0.2.7:8080", "192.0.2.7", 8080, False),
        ("http://[::1]:8080", "::1", 8080, True),
        ("http://[::]:8080", "::", 8080, False),
    ],
)
def test_addresses_are_read(uri: str, ip: str, port: int, is_local: bool) -> None:
    address = read_listen_address(uri)
    assert (address.ip, address.port, address.is_local) == (ip, port, is_local)


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1", "http://", "http://127.0.0.1:x", "http://127.0.0.1:65536", "http://127.0.0.1:-1",
        "https://127.0.0.1:1", "http://me:secret@127.0.0.1:1", "http://127.0.0.1:1/live", "http://127.0.0.1:1/?a",
        "http://127.0.0.1:1#a", "http://[::1:80", "http://a b:1", "http://no-such-name.invalid:80", "http://\n:1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_in_one_line(uri: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_listen_address(uri)
    assert "\n" not in str(refused.value) and "live page" in str(refused.value)


def test_a_taken_port_is_told_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind((LOCAL, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"port {port}.*in use.*another port") as refused:
            LivePageSink(f"http://127.0.0.1:{port}", drawn_context())
    assert refused.value.exit_code == 2 and "\n" not in str(refused.value)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(UsageError, match=r"wanted to listen at 192\.0\.2\.7"):
        listen(read_listen_address("http://192.0.2.7:0"))


def test_a_port_is_free_again_once_the_page_is_closed() -> None:
    with serving() as page:
        assert page.ask().status == 200
    with serving(uri=f"http://127.0.0.1:{page.port}") as again:
        assert again.port == page.port and again.ask().status == 200


def test_a_free_port_is_chosen_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as page:
        assert capsys.readouterr().err == f"live page: http://127.0.0.1:{page.port}/\n"
        assert page.facts()["url"] == f"http://127.0.0.1:{page.port}/"


def test_the_url_of_every_address_names_one_that_browsers_reach() -> None:
    address = read_listen_address("http://0.0.0.0:0")
    with closing(listen(address)) as listening:
        assert "0.0.0.0" not in url_of(address, listening)


def test_the_page_is_served_over_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with serving(uri="http://[::1]:0") as page:
        with socket.create_connection(("::1", page.port), timeout=5) as opened:
            opened.sendall(f"GET /healthz HTTP/1.1\r\nHost: [::1]:{page.port}\r\nConnection: close\r\n\r\n".encode())
            assert opened.recv(15) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("name", ["", "http://jetson", "jetson:80", "a b", "a@b"])
def test_an_allowed_host_is_a_name_alone(name: str) -> None:
    with pytest.raises(UsageError, match="leave scheme and port out"):
        WebOptions(allowed_hosts=(name,))
