"""`${NAME}` in a configuration: what the environment or systemd's credentials hold for it, so that the file holds no
password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from fcn_edge.errors import UsageError, printable

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)  # no way out of the credentials' folder
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://(?P<user>[^/?#]*@)?[^/?#]*[^?#]*(?P<query>\?.*)?", re.DOTALL)


def expand(text: str, environment: Mapping[str, str]) -> str:
    """The text with every placeholder filled; raises UsageError, whose message is but its second half.

    What stands for user, password or query of an address is percent-encoded, for it is the password itself.
    """
    encoded = _spans_to_encode(text)

    def filled(found: re.Match[str]) -> str:
        value = _value(found, environment)
        return quote(value, safe="") if any(start <= found.start() < end for start, end in encoded) else value

    return _PLACEHOLDER.sub(filled, text)


def _spans_to_encode(text: str) -> list[tuple[int, int]]:
    address = _ADDRESS.fullmatch(text)
    return [address.span(part) for part in ("user", "query")] if address else []


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    """A credential that systemd loaded for this service goes before the environment."""
    name = found[1]
    if not (found[0].endswith("}") and _NAME.fullmatch(name)):
        raise UsageError(f"wanted ${{NAME}}, found {printable(found[0])!r}; write letters, digits and _ in braces")
    folder = environment.get("CREDENTIALS_DIRECTORY")
    credential = _content(Path(folder) / name) if folder else None
    value = environment.get(name) if credential is None else credential
    if value is None:
        raise UsageError(
            f"wanted a value for ${{{name}}}, found none in the environment nor among systemd's credentials; set {name}"
        )
    return value


def _content(path: Path) -> str | None:
    """Without the line's end that editors leave."""
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "bytes that are not UTF-8"
        raise UsageError(f"wanted the credential {path.name}, found: {why}; check its file") from None
