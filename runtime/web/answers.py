"""Answers of few words, and the headers that every answer carries."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

# What a browser may do with the page: run its own scripts, show its own pictures, talk to where it came from.
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; connect-src 'self'{sockets}; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY.format(sockets=""),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "fcn-edge",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def policy_for(host: str) -> str:
    """Some browsers do not count WebSockets of the page's own host under 'self'. `host` has passed the guard."""
    return POLICY.format(sockets=f" ws://{host} wss://{host}")


def plain(status: int, text: str, *, headers: Mapping[str, str] | None = None) -> web.Response:
    """One line of text."""
    return web.Response(status=status, text=text + "\n", headers={**HEADERS, **(headers or {})})


def binary(body: bytes, content_type: str, *, headers: Mapping[str, str] | None = None) -> web.Response:
    """`content_type` with its charset, if it has one."""
    return web.Response(body=body, headers={**HEADERS, "Content-Type": content_type, **(headers or {})})
