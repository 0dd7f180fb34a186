"""The token of a page that others can reach: what the user gave, or one made here and kept in a private file."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from fcn_edge.errors import UsageError
from fcn_edge.files import writing
from runtime.web.options import WebOptions, require_token


@dataclass(frozen=True)
class Token:
    """What a viewer must know."""

    text: str = field(repr=False)
    path: Path | None = None  # where it stands
    is_new: bool = False  # nobody has been told yet


def token_of(options: WebOptions, *, is_local: bool) -> Token | None:
    """None where everybody who reaches the page may watch. Raises UsageError and OutputError."""
    if options.token is not None:
        return Token(options.token)
    if options.token_file is not None:
        return _kept(options.token_file)
    if is_local or options.allow_no_token:
        return None
    return _kept(state_folder() / "live-page-token")


def state_folder() -> Path:
    """By the convention of XDG: XDG_STATE_HOME, or .local/state at home."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "fcn-edge"


def _kept(path: Path) -> Token:
    try:
        token = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return _made(path)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no ASCII text"
        raise UsageError(f"{path}: wanted the live page's token, found: {reason}; check the file") from None
    require_token(token, str(path))
    return Token(token, path)


def _made(path: Path) -> Token:
    token = secrets.token_urlsafe(24)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Private from its first moment, and never through a link that somebody laid.
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w", encoding="ascii") as opened:
            opened.write(token + "\n")
    return Token(token, path, is_new=True)
