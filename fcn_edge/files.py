"""Writing so that a final name always holds a whole file: a temporary neighbour first, then a rename."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fcn_edge.errors import OutputError

# What an OSError may say that no other place to write would cure.
NOT_OF_A_FILE = (errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE)


def part_of(path: Path) -> Path:
    """The temporary neighbour under which `path` is written."""
    if path.name in ("", ".."):
        raise OutputError(f"{path}: wanted a place with a name of its own, found a way to a folder; name what to write")
    return path.with_name(f".{path.name}.{os.getpid()}.part")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; renamed to it when the block ends well, removed when it does not.

    Any OSError of the block (disk full, no permission) becomes an OutputError.
    """
    partial = part_of(path)
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """As `whole_file`, for a folder; `path` must not exist yet, or be an empty folder."""
    partial = part_of(path)
    try:
        with writing(path):
            partial.mkdir(parents=True)
            yield partial
            os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the OSErrors of a block that writes to `path` into an OutputError of one line."""
    try:
        yield
    except OSError as error:
        if error.errno in NOT_OF_A_FILE:
            raise
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: wanted to write here, found: {reason}; free space or choose another place"
        ) from error


def require_writable(folder: Path) -> None:
    """Make a folder and try one small file in it, so that a long work does not end at its first save."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}"
        try:
            probe.write_bytes(b"\0" * 4096)
        finally:
            probe.unlink(missing_ok=True)


def cache_folder(kind: str) -> Path:
    """Where results of one kind are kept for next time, by the convention of XDG: XDG_CACHE_HOME, or .cache at home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fcn-edge" / kind


def write_json(path: Path, content: Any) -> None:
    """One JSON file, whole or not at all, as `json_text`."""
    with whole_file(path) as partial:
        partial.write_text(json_text(content, indent=1) + "\n", encoding="utf-8")


def json_text(content: Any, indent: int | None = None, *, sort_keys: bool = False) -> str:
    """JSON that every reader takes: a mean of nothing (NaN) is null."""
    return json.dumps(_finite(content), indent=indent, sort_keys=sort_keys)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
