"""Where the live page listens: from `http://HOST:PORT` to a bound socket."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from fcn_edge.errors import UsageError, printable

LOCAL = "127.0.0.1"
SEND_BUFFER_BYTES = 1 << 16  # the kernel's, of each viewer: or one that never reads would be seconds behind
BACKLOG = 100


@dataclass(frozen=True)
class ListenAddress:
    """A place of this machine to listen at."""

    host: str  # as typed, or 127.0.0.1 where nothing was
    ip: str  # what it means
    port: int  # 0: any that is free

    @property
    def is_local(self) -> bool:
        """Only this machine reaches it."""
        return ipaddress.ip_address(self.ip).is_loopback

    @property
    def is_wildcard(self) -> bool:
        """Every address of this machine."""
        return ipaddress.ip_address(self.ip).is_unspecified

    @property
    def has_name(self) -> bool:
        return self.host != self.ip


def read_listen_address(uri: str) -> ListenAddress:
    """`http://127.0.0.1:8080`, `http://:8080` (the same), `http://0.0.0.0:8080` (every address), `http://[::1]:8080`.

    Raises UsageError for anything else, and for a name that nobody knows.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or LOCAL, parts.port
    except ValueError:
        raise _no_address(uri) from None
    if parts.scheme != "http" or port is None or parts.path not in ("", "/") or _has_more(uri):
        raise _no_address(uri)
    return ListenAddress(host, _ip_of(host), port)


def _has_more(uri: str) -> bool:
    return not uri.isprintable() or bool(set(uri) & set("?#@% "))


def _no_address(uri: str) -> UsageError:
    return UsageError(f"wanted http://HOST:PORT for the live page, found {printable(uri)}; try http://127.0.0.1:8080")


def _ip_of(host: str) -> str:
    if host == "localhost":
        return LOCAL
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError):
        raise UsageError(
            f"wanted an address of this machine for the live page, found {printable(host)}, which nobody knows; "
            "use 127.0.0.1, or 0.0.0.0 for every address"
        ) from None


def listen(address: ListenAddress) -> socket.socket:
    """A bound, listening socket that does not block; raises UsageError where it cannot be had."""
    listening = socket.socket(socket.AF_INET6 if ":" in address.ip else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # not of one that still listens
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # inherited by what it accepts
        listening.bind((address.ip, address.port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"wanted to listen at {address.host} port {address.port} for the live page, found: {reason}; "
            "stop the other program, or choose another port (0: any that is free)"
        ) from None
    return listening


def url_of(address: ListenAddress, listening: socket.socket) -> str:
    """What to type into a browser."""
    host = reachable_ip() if address.is_wildcard else address.host
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}/"


def reachable_ip() -> str:
    """This machine's address as its network sees it; 127.0.0.1 without a network. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documents (RFC 5737): only the way to it is looked up
            return str(probe.getsockname()[0])
        except OSError:
            return LOCAL
