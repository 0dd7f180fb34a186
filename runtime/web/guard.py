"""Who may ask: known hosts, our own page, those with the token, and in a form that we answer.

A page of another site that a viewer's browser has open is the enemy here: it can send requests to any address of the
viewer's network (cross-site), even under its own name (DNS rebinding: hence the list of hosts).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import re
from collections import Counter

from aiohttp import web

from runtime.web.address import ListenAddress
from runtime.web.answers import HEADERS, plain

METHODS = ("GET", "HEAD")
HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::[0-9]{1,5})?", re.ASCII)
OPEN_PATH = "/healthz"  # tells nothing, so watchdogs need no token
MOST_WRONG = 4  # tries of one address that may wait at once: as many a second, for a wrong token waits about one


class Guard:
    """`await guard(request)` is the refusal, or None."""

    def __init__(
        self, address: ListenAddress, allowed_hosts: tuple[str, ...], token: str | None, wrong_token_s: float
    ) -> None:
        names = {"localhost", *(name.lower() for name in allowed_hosts)}
        self._names = names | ({address.host.lower()} if address.has_name else set())
        self._address = address
        self._tokens = TokenCheck(token, wrong_token_s) if token else None

    async def __call__(self, request: web.BaseRequest) -> web.Response | None:
        return self._form(request) or self._host(request) or self._site(request) or await self._token(request)

    def _form(self, request: web.BaseRequest) -> web.Response | None:
        if request.method not in METHODS:
            return plain(405, "Only GET and HEAD.", headers={"Allow": ", ".join(METHODS)})
        if not request.raw_path.startswith("/"):
            return plain(400, "Wanted a path.")
        if request.headers.get("Content-Length", "0").strip() != "0" or "Transfer-Encoding" in request.headers:
            return plain(413, "No body is taken.")
        return None

    def _host(self, request: web.BaseRequest) -> web.Response | None:
        hosts = request.headers.getall("Host", [])
        found = HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if found is None:
            return plain(400, "Wanted one Host.")
        if self._knows(found[1] or found[2]):
            return None
        return plain(403, "This name is not known here: open the page by its address, or allow the name at the start.")

    def _knows(self, host: str) -> bool:
        if host.lower() in self._names:
            return True
        try:
            literal = ipaddress.ip_address(host)
        except ValueError:
            return False
        # No site can come under an address that is not its own: where every address is bound, each will do.
        return self._address.is_wildcard or literal == ipaddress.ip_address(self._address.ip)

    def _site(self, request: web.BaseRequest) -> web.Response | None:
        origins, host = request.headers.getall("Origin", []), request.headers["Host"].lower()
        ours = {f"http://{host}", f"https://{host}"}  # the latter behind a proxy
        from_elsewhere = request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        if any(origin.lower() not in ours for origin in origins) or (from_elsewhere and not _is_link(request)):
            return plain(403, "Requests of other sites are refused.")
        return None

    async def _token(self, request: web.BaseRequest) -> web.Response | None:
        if self._tokens is None or request.rel_url.raw_path == OPEN_PATH:
            return None
        return await self._tokens(request)


def _is_link(request: web.BaseRequest) -> bool:
    """A viewer who followed a link to the page: nothing of it reaches the site where the link was."""
    asked = request.headers.get("Sec-Fetch-Mode"), request.headers.get("Sec-Fetch-Dest")
    return asked == ("navigate", "document") and request.rel_url.raw_path == "/"


class TokenCheck:
    """By `Authorization: Bearer TOKEN`, by `?token=TOKEN`, or by the cookie that the page's address with it sets."""

    def __init__(self, token: str, wrong_token_s: float) -> None:
        self._token = token.encode()
        self._cookie = hashlib.sha256(b"fcn-edge cookie " + self._token).hexdigest().encode()
        self._wrong_token_s = wrong_token_s
        self._wrong: Counter[str] = Counter()  # tries that wait for their answer, by address

    async def __call__(self, request: web.BaseRequest) -> web.Response | None:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        query, cookie = request.query.get("token"), request.cookies.get(_cookie_name(request))
        offered = [
            (query, self._token),
            (bearer.strip() if scheme.lower() == "bearer" else None, self._token),
            (cookie, self._cookie),
        ]
        if all(text is None for text, _ in offered):
            return _unknown()
        address = _address_of(request)
        if self._wrong[address] >= MOST_WRONG:
            return plain(429, "Too many wrong tokens.", headers={"Retry-After": "2"})
        if not any(_equal(text, wanted) for text, wanted in offered):
            return await self._refuse(address)
        if request.rel_url.raw_path == "/" and _equal(query, self._token):
            return self._welcome(request)
        return None

    async def _refuse(self, address: str) -> web.Response:
        self._wrong[address] += 1
        try:
            await asyncio.sleep(self._wrong_token_s)
        finally:
            self._wrong[address] -= 1
            self._wrong += Counter()  # forgets who has none left
        return _unknown()

    def _welcome(self, request: web.BaseRequest) -> web.Response:
        """The token leaves the address bar, and the browser knows it from now on."""
        answer = web.Response(status=303, headers={**HEADERS, "Location": "/"})
        name, value = _cookie_name(request), self._cookie.decode()
        answer.set_cookie(name, value, path="/", httponly=True, samesite="Strict")
        return answer


def _equal(offered: str | None, wanted: bytes) -> bool:
    return offered is not None and hmac.compare_digest(offered.encode("utf-8", "surrogateescape"), wanted)


def _unknown() -> web.Response:
    text = (
        "A token is wanted: open /?token=TOKEN, or send Authorization: Bearer TOKEN. It was told when the page began."
    )
    return plain(401, text, headers={"WWW-Authenticate": "Bearer"})


def _cookie_name(request: web.BaseRequest) -> str:
    """With the port, for browsers do not tell the cookies of one host's ports apart."""
    found = re.search(r":([0-9]+)$", request.headers["Host"])
    return f"fcn_edge_{found[1] if found else 80}"


def _address_of(request: web.BaseRequest) -> str:
    """The peer; of IPv6 its network, for one machine has as many addresses as it likes."""
    try:
        literal = ipaddress.ip_address((request.remote or "").partition("%")[0])
    except ValueError:
        return ""
    if literal.version == 4:
        return str(literal)
    mapped = literal.ipv4_mapped
    return str(mapped or ipaddress.ip_network((literal, 64), strict=False))
