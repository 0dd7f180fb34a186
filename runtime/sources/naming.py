"""What each of several sources is called: in counters, on the page, in the names of files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fcn_edge.errors import UsageError
from runtime.sources.address import Address, Kind, read_address

# `gate=rtsp://...`: only before what can be no path, for a file may be called a=b.mp4.
_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=(\d+$|/dev/|[a-zA-Z][a-zA-Z0-9+.-]*://)")


@dataclass(frozen=True)
class NamedSource:
    """A source and its name, which is its own among the sources of a run."""

    name: str
    address: Address


def name_sources(uris: Sequence[str]) -> list[NamedSource]:
    """`NAME=URI`, or a name from the address itself; raises UsageError for a name that two have."""
    named = [_named(uri) for uri in uris]
    names = [one.name for one in named]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UsageError(
            f"wanted a name for each source, found {twice} twice; write NAME=SOURCE, as in gate=rtsp://..."
        )
    return named


def _named(uri: str) -> NamedSource:
    match = _NAMED.match(uri)
    if match:
        return NamedSource(match[1], read_address(uri[match.end(1) + 1 :]))
    address = read_address(uri)
    return NamedSource(re.sub(r"[^A-Za-z0-9_.-]+", "-", _own_name(address)).strip("-.") or "source", address)


def _own_name(address: Address) -> str:
    if address.kind is Kind.PATH:
        return Path(address.target).name
    if address.kind is Kind.CSI:
        return f"csi{address.target}"
    if address.kind is Kind.TEST:
        return "test"
    if address.kind is Kind.V4L2:
        return Path(address.target).name
    return urlsplit(address.shown).hostname or "camera"
