"""A real MJPEG camera on 127.0.0.1, whose faults a test switches while it runs; its pictures tell the time."""

from __future__ import annotations

import hashlib
import socket
import threading
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from types import TracebackType
from urllib.request import parse_http_list, parse_keqv_list

from tests.runtime.cameras.pictures import clock_jpeg, cut_out, truncated, zeroed

BOUNDARY = "picture"
PATIENCE_S = 30.0  # no connection outlives this by much, whatever a test forgets
REALM, NONCE = "camera", "d2f1"


class Fault(Enum):
    NONE = "none"
    CLOSE = "close"  # every connection ends after its next picture
    SILENCE = "silence"  # connections stay open, and nothing comes any more
    NO_ANSWER = "no answer"  # connections are taken, and requests not answered
    LOST = "lost"  # the same, and these connections stay dead for ever, as after a power cut
    TRUNCATED = "truncated"
    ZEROED = "zeroed"
    CUT_OUT = "cut out"
    FROZEN = "frozen"
    GARBAGE = "garbage"  # an answer that is no HTTP
    ENDLESS = "endless"  # one header line without end
    HTML = "html"


Damage = Callable[[bytes], bytes]
DAMAGES: dict[Fault, Damage] = {Fault.TRUNCATED: truncated, Fault.ZEROED: zeroed, Fault.CUT_OUT: cut_out}


class HttpCamera:
    """`with HttpCamera() as camera:` serves at `camera.uri`; set `fault`, `status` and `size_hw` at any time."""

    def __init__(
        self,
        *,
        size_hw: tuple[int, int] = (240, 320),
        rate: float = 20.0,
        credentials: tuple[str, str] | None = None,
        digest: bool = False,
        with_lengths: bool = True,
    ) -> None:
        self.size_hw, self.rate, self.fault, self.status = size_hw, rate, Fault.NONE, 200
        self.connections = self.pictures = 0
        self._credentials, self._digest, self._with_lengths = credentials, digest, with_lengths
        self._stopped, self._threads = threading.Event(), list[threading.Thread]()
        self._open, self._lock = set[socket.socket](), threading.Lock()
        self._last_jpeg = b""
        self._listener: socket.socket | None = None
        self.port = 0

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}/video"

    def __enter__(self) -> HttpCamera:
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self.refuse()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def listen(self) -> None:
        """On any port the first time, on the same one ever after."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port, self._listener = listener.getsockname()[1], listener
        self._start(self._accept, listener)

    def refuse(self) -> None:
        """As if its plug were pulled: every connection breaks, and no new one is taken."""
        listener, self._listener = self._listener, None
        if listener:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes whoever waits in accept
            listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Every connection breaks, and new ones are taken."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _start(self, run: Callable[[socket.socket], None], served: socket.socket) -> None:
        thread = threading.Thread(target=run, args=(served,), name="http camera", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with self._lock:
                    self._open.add(connection)
                self.connections += 1
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(PATIENCE_S)
            self._answer(connection)
        with self._lock:
            self._open.discard(connection)

    def _answer(self, connection: socket.socket) -> None:
        request = _request(connection)
        if self.fault in (Fault.NO_ANSWER, Fault.LOST):
            self._wait_while(self.fault)
        elif self.fault is Fault.GARBAGE:
            connection.sendall(bytes(range(256)) * 8)
        elif self.fault is Fault.ENDLESS:
            _send(connection, "200 OK", f"Content-Type: multipart/x-mixed-replace; boundary={BOUNDARY}")
            connection.sendall(b"X-Padding: " + bytes(200_000))
        elif self.fault is Fault.HTML:
            _send(connection, "200 OK", "Content-Type: text/html", "<h1>Camera</h1>")
        elif self.status != 200:
            _send(connection, f"{self.status} Fault")
        elif not self._may_enter(request):
            kind = f'Digest realm="{REALM}", nonce="{NONCE}", qop="auth"' if self._digest else f'Basic realm="{REALM}"'
            _send(connection, "401 Unauthorized", f"WWW-Authenticate: {kind}")
        else:
            self._stream(connection)

    def _may_enter(self, request: str) -> bool:
        if self._credentials is None:
            return True
        lines = (line.partition(": ") for line in request.splitlines())
        scheme, _, value = next((value for name, _, value in lines if name.lower() == "authorization"), "").partition(
            " "
        )
        if self._digest:
            return scheme == "Digest" and _digest_fits(parse_keqv_list(parse_http_list(value)), self._credentials)
        return scheme == "Basic" and b64decode(value).decode() == ":".join(self._credentials)

    def _stream(self, connection: socket.socket) -> None:
        _send(connection, "200 OK", f"Content-Type: multipart/x-mixed-replace; boundary={BOUNDARY}")
        while not self._stopped.wait(1 / self.rate):
            if self.fault in (Fault.SILENCE, Fault.NO_ANSWER, Fault.LOST):
                self._wait_while(self.fault)
            jpeg = self._jpeg()
            length = f"Content-Length: {len(jpeg)}\r\n" if self._with_lengths else ""
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n{length}\r\n"
            connection.sendall(head.encode() + jpeg + b"\r\n")
            self.pictures += 1
            if self.fault is Fault.CLOSE:
                return

    def _jpeg(self) -> bytes:
        if self.fault is not Fault.FROZEN or not self._last_jpeg:
            self._last_jpeg = clock_jpeg(self.size_hw)
        damage = DAMAGES.get(self.fault)
        return damage(self._last_jpeg) if damage else self._last_jpeg

    def _wait_while(self, fault: Fault) -> None:
        """A connection in silence, even when it is left alone."""
        while (fault is Fault.LOST or self.fault is fault) and not self._stopped.wait(0.02):
            pass


def _request(connection: socket.socket) -> str:
    request = b""
    while b"\r\n\r\n" not in request and len(request) < 65536:
        chunk = connection.recv(4096)
        if not chunk:
            raise OSError("gone")
        request += chunk
    return request.decode("latin-1")


def _send(connection: socket.socket, status: str, header: str = "", body: str = "") -> None:
    lines = [f"HTTP/1.1 {status}", "Connection: close", *filter(None, [header])]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())


def _digest_fits(told: dict[str, str], credentials: tuple[str, str]) -> bool:
    """RFC 7616, with MD5."""

    def md5(*parts: str) -> str:
        return hashlib.md5(":".join(parts).encode()).hexdigest()

    secret, asked = md5(credentials[0], REALM, credentials[1]), md5("GET", told.get("uri", ""))
    parts = (told.get("nonce", ""), told.get("nc", ""), told.get("cnonce", ""), told.get("qop", ""))
    return told.get("nonce") == NONCE and told.get("response") == md5(secret, *parts, asked)
