"""User names and passwords inside a source's address: taken out for whoever connects, and hidden from whoever reads."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

HIDDEN = "***"

# Up to the last @ of the word, for a password may hold @ / ? # itself. One slash: pathlib folds two into one.
# And rtsp//, which is a slip. Our own test:// has none, but an @ in its faults.
_USER_INFO = re.compile(
    r"(?<![a-zA-Z0-9+.-])((?!test:)[a-zA-Z][a-zA-Z0-9+.-]*:/{1,2}|(?:rtsps?|https?)(?:\+udp)?//)\S*@"
)

# admin:secret@host, where the scheme was forgotten.
_FORGOTTEN_SCHEME = re.compile(r"(?<![\w/@.:])([^\s:/@'\"=,;]{1,64}:)[^\s@/][^\s@]*@(?=[\w\[])")

# user=admin&password=secret, and user=admin_password=secret_channel=1 as some cameras spell it.
_NAMED = re.compile(
    r"(?i)(?<=[?&;/_#])((?:user|usr|login|pass|pwd|psw|pw|pin|code|token|secret|auth|sig|session|credential|access|api_?key|key)"
    r"[a-z_]*=)[^&\s]*?(?=_[a-z]+=|[&\s]|$)"
)

_HOST_AND_PORT = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d+)?")


@dataclass(frozen=True)
class Credentials:
    """What a camera is told to let us in."""

    user: str
    password: str = field(repr=False)


def redact(text: str) -> str:
    """Any text without the credentials of the addresses in it. Rather hides too much than too little."""
    bare = _FORGOTTEN_SCHEME.sub(rf"\1{HIDDEN}@", _USER_INFO.sub(rf"\1{HIDDEN}@", text))
    return _NAMED.sub(rf"\1{HIDDEN}", bare)


def split_credentials(url: str) -> tuple[str, Credentials | None]:
    """A URL without its user and password, and these, decoded.

    They end at the last @ before the path, as RFC 3986 has it. Where there is none and what stands there is no host
    with a port, a raw / ? or # of the password is what ended it, and they end at the last @ of all.
    """
    scheme, rest = url.split("://", 1)
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        end = authority.rindex("@")
    elif "@" in rest and not _HOST_AND_PORT.fullmatch(authority):
        end = rest.rindex("@")
    else:
        return url, None
    user, _, password = rest[:end].partition(":")
    return f"{scheme}://{rest[end + 1 :]}", Credentials(unquote(user), unquote(password))
