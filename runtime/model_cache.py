"""What a library made of a model file, kept in the user's cache for the next start: whole, or not there.

An entry is one file, KEY.SHA256: what it was made from, and what it holds. Nothing of the cache is ever an error: what
cannot be written is not kept, and what does not hold its digest is removed and made again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fcn_edge import __version__
from fcn_edge.files import cache_folder, json_text, part_of, sha256_of
from runtime.machine import machine

FOLDER = "models"
MOST_BYTES = 1 << 30  # of all entries; the paper's full FCN-8s takes half of it in float32
OF_A_PROCESSOR = ("processor", "features", "cores", "system")  # of `machine()`: what is made depends on it


def key_of(**made_from: Any) -> str:
    """A name for what is made from these things, by this version of ours, on this processor."""
    here = machine()
    made_by = {"fcn_edge": __version__, "machine": [here[fact] for fact in OF_A_PROCESSOR]}
    text = json_text({**made_from, **made_by}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def kept(key: str) -> Path | None:
    """The entry of this key, if it is there and whole; from now on it is the one used last."""
    with suppress(OSError):
        for entry in cache_folder(FOLDER).glob(f"{key}.*"):
            if sha256_of(entry) == entry.suffix[1:]:
                os.utime(entry)
                return entry
            drop(entry)
    return None


def drop(entry: Path) -> None:
    with suppress(OSError):
        entry.unlink()


@contextmanager
def being_kept(key: str) -> Iterator[Path]:
    """A path to write an entry to; it is kept if the block ends well. Entries not used for longest make room for it.

    What the block raises passes through, an OSError of its writing too.
    """
    folder = cache_folder(FOLDER)
    place = part_of(folder / key)
    try:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        yield place
        with suppress(OSError):
            if place.stat().st_size <= MOST_BYTES:
                os.replace(place, folder / f"{key}.{sha256_of(place)}")
                _make_room(folder)
    finally:
        drop(place)


def _make_room(folder: Path) -> None:
    """Also what a process that was killed left half written."""
    files = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: path.stat().st_mtime_ns)
    sizes = [path.stat().st_size for path in files]
    while sum(sizes) > MOST_BYTES:
        drop(files.pop(0))
        sizes.pop(0)
