"""runtime.capture.network_reader and http_reader: videos on web servers, and what a web server may do to us."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from runtime.capture.failure import CaptureFailure
from runtime.capture.limits import Limits
from runtime.capture.network_reader import FFmpegReader
from runtime.capture.reader import Picture, Reader, Spoiled, open_reader
from runtime.sources.address import read_address
from tests.runtime.cameras.http_camera import HttpCamera
from tests.runtime.cameras.pictures import clock_jpeg, zeroed
from tests.runtime.capture.test_jpeg import WHOLE

SHORT = Limits(connect_s=5.0, stall_s=3.0)
Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def web(answers: dict[str, Answer], certificate: Path | None = None) -> Iterator[str]:
    """A web server with these pages, at the address given."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers.get(self.path.split("?")[0], (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Clients that hang up are what is tested."""

    with Quiet(("127.0.0.1", 0), Page) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(10)


def opened(uri: str) -> Reader:
    return open_reader(read_address(uri), SHORT)


def refused(uri: str) -> CaptureFailure:
    with pytest.raises(CaptureFailure) as failure:
        opened(uri).close()
    return failure.value


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Half a second of 20 pictures a second."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for level in range(10):
            image = np.full((96, 128, 3), 20 * level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path.read_bytes()


def test_a_film_on_a_server_is_shown_as_fast_as_it_was_filmed_and_ends(film: bytes) -> None:
    with web({"/film.mp4": (200, {"Content-Type": "video/mp4"}, film)}) as address:
        reader = opened(f"{address}/film.mp4")
        start = time.monotonic()
        came = list(reader)
        lasted = time.monotonic() - start
        reader.close()
    assert reader.finite and reader.rate == 20.0
    assert len(came) == 10 and all(isinstance(one, Picture) for one in came)
    assert 0.44 < lasted < 3.0


@pytest.mark.parametrize("kind", ["text/html", "image/jpeg", "application/json"])
def test_a_page_that_is_no_video_is_told_by_its_kind(kind: str) -> None:
    with web({"/": (200, {"Content-Type": kind}, b"x")}) as address:
        failure = refused(f"{address}/")
    assert failure.code == "NO_VIDEO" and kind in failure.text


@pytest.mark.parametrize("kind", ["application/octet-stream", "video/mp4", "application/vnd.apple.mpegurl"])
def test_a_video_that_is_none_is_told(kind: str) -> None:
    with web({"/": (200, {"Content-Type": kind}, b"no video at all " * 100)}) as address:
        assert refused(f"{address}/").code == "NO_VIDEO"


def test_a_playlist_does_not_lead_to_files_of_this_machine(tmp_path: Path, film: bytes) -> None:
    (tmp_path / "secret.mp4").write_bytes(film)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{tmp_path}/secret.mp4\n#EXT-X-ENDLIST\n"
    with web({"/a.m3u8": (200, {"Content-Type": "application/vnd.apple.mpegurl"}, playlist.encode())}) as address:
        assert refused(f"{address}/a.m3u8").code == "NO_VIDEO"


def test_a_server_may_send_us_on() -> None:
    with HttpCamera() as camera, web({"/old": (302, {"Location": camera.uri}, b"")}) as address:
        reader = opened(f"{address}/old")
        assert isinstance(next(iter(reader)), Picture)
        reader.close()


def test_a_server_may_not_send_us_to_a_file(tmp_path: Path) -> None:
    with web({"/old": (302, {"Location": f"file://{tmp_path}"}, b"")}) as address:
        failure = refused(f"{address}/old")
    assert failure.code == "REDIRECTED" and "none to follow (it answers 302)" in failure.text
    assert "address of the stream itself" in failure.cure


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/a", "rtsp://127.0.0.1/a", "", None])
def test_a_server_that_sends_us_nowhere_is_told(location: str | None) -> None:
    headers = {} if location is None else {"Location": location}
    with web({"/old": (301, headers, b"")}) as address:
        assert refused(f"{address}/old").code == "REDIRECTED"


def test_a_server_that_sends_us_in_a_circle_is_told() -> None:
    with web({"/a": (302, {"Location": "/b"}, b""), "/b": (307, {"Location": "/a"}, b"")}) as address:
        failure = refused(f"{address}/a")
    assert failure.code == "REDIRECTED" and "it sends us on and on (it answers 30" in failure.text


def test_a_password_does_not_follow_to_another_server() -> None:
    """The other one would let it in."""
    with (
        HttpCamera(credentials=("admin", "secret")) as other,
        web({"/": (302, {"Location": other.uri}, b"")}) as address,
    ):
        assert refused(address.replace("//", "//admin:secret@") + "/").code == "AUTH_FAILED"


def test_odd_letters_in_a_path_are_escaped() -> None:
    with web({"/caf%C3%A9%7B1%7D": (200, {"Content-Type": "text/html"}, b"")}) as address:
        assert "text/html" in refused(f"{address}/café{{1}}").text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, trusted by nobody."""
    path = tmp_path_factory.mktemp("tls") / "camera.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=camera -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*command.split(), "-keyout", path, "-out", path], check=True, capture_output=True, timeout=60)
    return path


def jpegs(count: int) -> Answer:
    part = f"--cut\r\nContent-Length: {len(WHOLE)}\r\n\r\n".encode() + WHOLE + b"\r\n"
    return 200, {"Content-Type": "multipart/x-mixed-replace; boundary=cut"}, part * count


@pytest.mark.parametrize("scheme", ["https", "rtsps"])
def test_a_certificate_that_nobody_trusts_is_refused(certificate: Path, scheme: str) -> None:
    with web({"/": jpegs(1)}, certificate) as address:
        failure = refused(f"{address.replace('https', scheme)}/")
    assert failure.code == "TLS_FAILED" and "SSL_CERT_FILE" in failure.cure


def test_a_certificate_named_by_the_environment_is_trusted(
    certificate: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with web({"/": jpegs(1), "/film.mp4": (200, {"Content-Type": "video/mp4"}, film)}, certificate) as address:
        stream = opened(f"{address}/")
        pictures = iter(stream)
        assert isinstance(next(pictures), Picture)
        with pytest.raises(CaptureFailure, match="ended its stream"):
            next(pictures)
        stream.close()
        reader = opened(f"{address}/film.mp4")
        assert isinstance(next(iter(reader)), Picture)
        reader.close()


def test_a_server_that_says_nothing_does_not_keep_us() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        start = time.monotonic()
        for scheme in ("http", "rtsp"):
            address = read_address(f"{scheme}://127.0.0.1:{server.getsockname()[1]}/x")
            with pytest.raises(CaptureFailure) as failure:
                open_reader(address, Limits(connect_s=0.5, stall_s=0.5))
            assert failure.value.code == "TIMEOUT"
        assert time.monotonic() - start < 5


def test_ffmpeg_reads_jpegs_by_the_same_judgement(tmp_path: Path) -> None:
    """As webcams and RTSP cameras send them too: what FFmpeg would decode, damaged, is told."""
    with av.open(str(tmp_path / "camera.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuvj420p"
        for index in range(4):
            jpeg = clock_jpeg((240, 320), index)
            packet = av.Packet(zeroed(jpeg) if index == 2 else jpeg)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, index, index, Fraction(1, 10)
            container.mux(packet)
    reader = FFmpegReader(read_address("http://camera/film.avi"), av.open(str(tmp_path / "camera.avi")))
    assert [type(came) for came in reader] == [Picture, Picture, Spoiled, Picture]
    reader.close()
