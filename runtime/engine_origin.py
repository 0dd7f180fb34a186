"""Whose an engine is, and whether it is the one that was built: an engine is code, and TensorRT runs what is in it.

A sidecar proves nothing against who may write it too, so the owner and the mode of both files come before any digest.
"""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from fcn_edge.errors import ModelError, printable
from fcn_edge.files import sha256_of
from runtime.conditions import TRUSTED, Condition, judged
from runtime.engine_facts import (
    WRITABLE_BY_OTHERS,
    EngineFacts,
    Sidecar,
    build_command,
    edited,
    sidecar_of,
)


def require_plan(engine: Path) -> None:
    """A regular file that holds something; raises ModelError."""
    try:
        status = engine.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"wanted a model, found nothing at {engine}; check the path") from None
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        found = "0 bytes" if stat.S_ISREG(status.st_mode) else "no regular file"
        raise ModelError(f"{engine}: wanted an engine, found {found}; build it with `{build_command(engine)}`")


def origin(engine: Path, sidecar: Sidecar, *, trust: bool) -> Iterator[Condition]:
    """Who wrote plan and sidecar, and whether they are as they were built. With `trust` nothing of it is refused."""
    for condition in _written_by(engine, sidecar):
        yield condition.trusted() if trust else condition
    if trust:
        yield Condition("size and sha256", "as it was built", "not looked at", TRUSTED)
    else:
        yield from _as_built(engine, sidecar.facts)


def _written_by(engine: Path, sidecar: Sidecar) -> Iterator[Condition]:
    for path in (engine, sidecar_of(engine)):
        yield _owner(path, engine)
        yield _mode(path, engine)
    for folder in dict.fromkeys((engine.parent, engine.resolve().parent)):
        yield _folder(folder)
    found, error = ("as it was built", None) if sidecar.is_intact else ("edited", edited(engine))
    yield judged("sidecar", "as it was built", found, error)


def _owner(path: Path, engine: Path) -> Condition:
    owner, me = path.stat().st_uid, os.geteuid()
    wanted = _user(me) if me == 0 else f"{_user(me)} or root"
    error = ModelError(
        f"{path}: wanted a file of {wanted}, found one of {_user(owner)}, and an engine is code; {_rebuild(engine)}"
    )
    return judged(f"owner of {printable(path.name)}", wanted, _user(owner), None if owner in (me, 0) else error)


def _mode(path: Path, engine: Path) -> Condition:
    """Who could write it until now may have written it: to take the right away from them would not be enough."""
    mode = stat.S_IMODE(path.stat().st_mode)
    error = ModelError(
        f"{path}: wanted a file that only its owner may write, found mode {mode:04o}, and an engine is code; "
        f"{_rebuild(engine)}"
    )
    is_open = mode & WRITABLE_BY_OTHERS
    return judged(
        f"mode of {printable(path.name)}", "only its owner may write", f"{mode:04o}", error if is_open else None
    )


def _folder(folder: Path) -> Condition:
    """Who may rename files in a folder may put others in their place; the sticky bit keeps each to their own."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    close = f"chmod o-w {shlex.quote(str(folder))}"
    error = ModelError(
        f"{folder}: wanted a folder in which not everybody may replace an engine, found mode {mode:04o}; close it with "
        f"`{close}`, or take the engine as it is with --trust-engine"
    )
    is_open = mode & stat.S_IWOTH and not mode & stat.S_ISVTX
    return judged("mode of its folder", "not everybody may write", f"{mode:04o}", error if is_open else None)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _as_built(engine: Path, facts: EngineFacts) -> Iterator[Condition]:
    size = engine.stat().st_size
    is_whole = size == facts.engine_bytes
    wanted = f"{engine}: wanted the engine that {sidecar_of(engine).name} names"
    cut = f"{wanted}, of {facts.engine_bytes} bytes, found {size} bytes: cut, or another; {_rebuild(engine)}"
    yield judged("size", f"{facts.engine_bytes} bytes", f"{size} bytes", None if is_whole else ModelError(cut))
    digest = sha256_of(engine) if is_whole else "not looked at"
    other = f"{wanted} by its sha256, found another; {_rebuild(engine)}"
    is_named = digest == facts.engine_sha256
    yield judged("sha256", printable(facts.engine_sha256), digest, None if is_named else ModelError(other))


def _rebuild(engine: Path) -> str:
    return f"build it again with `{build_command(engine)}`, or take it as it is with --trust-engine"
