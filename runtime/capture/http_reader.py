"""Cameras read over HTTP: MJPEG by ourselves, which gives the moment of each last byte and shows what is damaged; any
other video by FFmpeg."""

from __future__ import annotations

import os
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit, urlunsplit

from fcn_edge.credentials import Credentials, split_credentials
from runtime.capture.failure import failure, failure_of, http_failure
from runtime.capture.jpeg import picture_of_jpeg
from runtime.capture.limits import Limits
from runtime.capture.multipart import MalformedStream, Parts
from runtime.capture.read_ahead import Arrived, ReadAhead
from runtime.capture.reader import Picture, Reader, Spoiled
from runtime.sources.address import Address

CLOSE_S = 0.5  # for the thread that reads to notice
MULTIPART = ("multipart/x-mixed-replace", "multipart/mixed")


def open_http(address: Address, limits: Limits) -> Reader:
    """Ask once, and see what comes; raises CaptureFailure."""
    response = _answer(address, limits)
    kind = response.headers.get_content_type()
    if kind in MULTIPART:
        return MjpegReader(address, response)
    response.close()
    if kind in ("text/html", "text/plain", "application/json", "image/jpeg", "image/png"):
        raise failure("NO_VIDEO", address, f"what it sends is {kind}, no video")
    from runtime.capture.network_reader import open_network

    return open_network(address, limits)


class MjpegReader:
    """Pictures of a multipart answer; only the newest is decoded of those that are here."""

    rate: float | None = None
    finite = False

    def __init__(self, address: Address, response: Any) -> None:
        self._address, self._response = address, response
        self._ahead = ReadAhead(self._arriving())

    def __iter__(self) -> Iterator[Picture | Spoiled]:
        for arrived in self._ahead:
            came = picture_of_jpeg(arrived.content, arrived.received_ns)
            yield replace(came, skipped=self._ahead.take_skipped()) if isinstance(came, Picture) else came

    def _arriving(self) -> Iterator[Arrived[bytes]]:
        try:
            for data, received_ns in Parts(self._response.read1):
                yield Arrived(data, received_ns)
        except MalformedStream as error:
            raise failure("NO_VIDEO", self._address, f"its stream is no MJPEG: {error}") from None
        except (OSError, HTTPException) as error:
            raise failure_of(error, self._address, opening=False) from None
        raise failure("CLOSED", self._address)

    def close(self) -> None:
        if self._ahead.stop(0.0):
            self._response.close()
            return
        with socket.socket(fileno=os.dup(self._response.fileno())) as waited_for, suppress(OSError):
            waited_for.shutdown(socket.SHUT_RDWR)  # wakes whoever reads
        if self._ahead.stop(CLOSE_S):
            self._response.close()


def _answer(address: Address, limits: Limits) -> Any:
    """The open answer to a GET, every wait for a byte of it limited."""
    url, credentials = split_credentials(address.target)
    request = urllib.request.Request(_escaped(url), headers={"User-Agent": "fcn-edge", "Accept": "*/*"})
    opener = _opener(url, credentials)
    try:
        return opener.open(request, timeout=min(limits.connect_s, limits.stall_s))
    except HTTPError as error:
        error.close()
        if urllib.request.HTTPRedirectHandler.inf_msg in error.msg:
            raise failure("REDIRECTED", address, f"it sends us on and on (it answers {error.code})") from None
        raise http_failure(error.code, address) from None
    except URLError as error:
        cause = error.reason if isinstance(error.reason, BaseException) else error
        raise failure_of(cause, address, opening=True) from None
    except (OSError, HTTPException, UnicodeError) as error:
        raise failure_of(error, address, opening=True) from None
    except ValueError:  # urllib's word for a scheme that is neither Basic nor Digest
        raise failure("AUTH_FAILED", address, "it wants a log-in that is neither Basic nor Digest") from None


def _opener(url: str, credentials: Credentials | None) -> urllib.request.OpenerDirector:
    """Without proxies, files and FTP: a camera is asked directly, and does not send us elsewhere than over HTTP."""
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.HTTPHandler())
    opener.add_handler(urllib.request.HTTPSHandler(context=ssl.create_default_context()))
    opener.add_handler(urllib.request.HTTPRedirectHandler())
    opener.add_handler(urllib.request.HTTPDefaultErrorHandler())
    opener.add_handler(urllib.request.HTTPErrorProcessor())
    if credentials:
        keys = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        keys.add_password(None, url, credentials.user, credentials.password)  # of any realm
        opener.add_handler(urllib.request.HTTPDigestAuthHandler(keys))
        opener.add_handler(urllib.request.HTTPBasicAuthHandler(keys))
    return opener


def _escaped(url: str) -> str:
    """With every letter that HTTP does not allow as %XX."""
    parts = urlsplit(url)
    path, query = (quote(part, safe="/%:@!$&'()*+,;=~?-._[]") for part in (parts.path, parts.query))
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))
