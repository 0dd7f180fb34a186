"""runtime.capture.failure: what libraries and systems say becomes a code with a cure, and none of their words."""

from __future__ import annotations

import errno
import http.client
import os
import pickle
import socket
import ssl

import av
import pytest

from runtime.capture.failure import CODES, CaptureFailure, failure, failure_of, http_failure
from runtime.sources.address import read_address

NETWORK, DEVICE = read_address("rtsp://admin:secret@camera/live"), read_address("/dev/video0")
FFMPEG = {name: getattr(av.error, name) for name in dir(av.error) if name.endswith("Error")}


def system(number: int) -> OSError:
    return OSError(number, os.strerror(number), "rtsp://admin:secret@camera/live")


def ffmpeg(name: str, words: str = "Failed") -> BaseException:
    error = FFMPEG[name](5, words, "rtsp://admin:secret@camera/live")
    assert isinstance(error, BaseException)
    return error


@pytest.mark.parametrize(
    ("error", "opening", "code"),
    [
        (system(errno.ECONNREFUSED), True, "CONNECTION_FAILED"),
        (system(errno.EHOSTUNREACH), True, "CONNECTION_FAILED"),
        (system(errno.ECONNRESET), False, "CONNECTION_LOST"),
        (system(errno.EIO), False, "CONNECTION_LOST"),
        (BrokenPipeError(), False, "CONNECTION_LOST"),
        (TimeoutError(), True, "TIMEOUT"),
        (system(errno.ETIMEDOUT), False, "TIMEOUT"),
        (socket.gaierror(-2, "Name or service not known"), True, "HOST_UNKNOWN"),
        (UnicodeError("label too long"), True, "HOST_UNKNOWN"),
        (ssl.SSLCertVerificationError("self-signed"), True, "TLS_FAILED"),
        (http.client.RemoteDisconnected(), True, "CLOSED"),
        (http.client.BadStatusLine("\x00"), True, "NO_VIDEO"),
        (ffmpeg("ExitError"), False, "TIMEOUT"),
        (ffmpeg("EOFError"), False, "CLOSED"),
        (ffmpeg("InvalidDataError"), True, "NO_VIDEO"),
        (ffmpeg("DecoderNotFoundError"), True, "CODEC_UNSUPPORTED"),
        (
            ffmpeg("HTTPUnauthorizedError", "Server returned 401 Unauthorized (authorization failed)"),
            True,
            "AUTH_FAILED",
        ),
        (ffmpeg("HTTPNotFoundError", "Server returned 404 Not Found"), True, "NOT_FOUND"),
        (ffmpeg("HTTPServerError", "Server returned 5XX Server Error reply"), True, "REFUSED"),
        (ffmpeg("OSError"), False, "CONNECTION_LOST"),
        (RuntimeError(), True, "READ_FAILED"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_a_network_cameras_fault_has_its_code(error: BaseException, opening: bool, code: str) -> None:
    assert failure_of(error, NETWORK, opening=opening).code == code


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOENT, "NO_DEVICE"),
        (errno.ENODEV, "NO_DEVICE"),
        (errno.ENXIO, "NO_DEVICE"),
        (errno.EIO, "NO_DEVICE"),
        (errno.EACCES, "NO_PERMISSION"),
        (errno.EBUSY, "BUSY"),
        (errno.EINVAL, "MODE_UNSUPPORTED"),
    ],
)
def test_a_devices_fault_has_its_code(number: int, code: str) -> None:
    assert failure_of(system(number), DEVICE, opening=True).code == code


def test_a_camera_that_was_unplugged_is_said_to_be_gone() -> None:
    assert "gone" in failure_of(system(errno.ENODEV), DEVICE, opening=False).text


@pytest.mark.parametrize("name", sorted(FFMPEG))
@pytest.mark.parametrize("opening", [True, False])
def test_no_words_of_ffmpeg_are_repeated(name: str, opening: bool) -> None:
    told = failure_of(ffmpeg(name, "bad secret"), NETWORK, opening=opening)
    assert "secret" not in told.text + told.cure + str(told)
    assert told.code in CODES


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 429, 454, 500, 503])
def test_a_status_is_told(status: int) -> None:
    assert f"(it answers {status})" in http_failure(status, NETWORK).text


def test_where_a_camera_sends_us_on_it_is_not_said_to_serve_too_many() -> None:
    told = http_failure(302, NETWORK)
    assert told.code == "REDIRECTED" and "too many" not in told.cure


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("address", [NETWORK, DEVICE], ids=["network", "device"])
def test_every_code_has_one_line_and_a_cure(code: str, address) -> None:
    told = failure(code, address)
    assert told.text.startswith(f"{address.shown}: ") and told.cure
    assert "\n" not in told.text + told.cure and "{" not in told.cure
    assert (told.reason.code, told.reason.text, told.reason.cure) == (code, told.text, told.cure)


def test_whether_credentials_are_missing_or_wrong_is_told() -> None:
    assert "refuses this user and password" in http_failure(401, NETWORK).text
    missing = http_failure(401, read_address("rtsp://camera/live"))
    assert "wants a user and password" in missing.text and "rtsp://USER:PASSWORD@" in missing.cure


def test_a_failure_travels_between_processes() -> None:
    sent = failure("BUSY", DEVICE)
    came = pickle.loads(pickle.dumps(sent))
    assert isinstance(came, CaptureFailure) and came.reason == sent.reason
