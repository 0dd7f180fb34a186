"""The names of recordings: NAME, NAME-0001, ... or names that hold the time. None is ever given twice.

Whoever writes a file holds a lock on it while it has its temporary name, so a temporary file without one is a leftover.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import BinaryIO

from fcn_edge.errors import UsageError
from fcn_edge.files import part_of

# The fields of strftime that sort as they are written, and what each becomes.
FIELDS = {"Y": "[0-9]{4}", "y": "[0-9]{2}", "j": "[0-9]{3}", **dict.fromkeys("mdHMS", "[0-9]{2}")}
_FIELD = re.compile(f"%([{''.join(FIELDS)}%])")
_COUNTER = re.compile(r"%0?\d+d")
_PART = re.compile(r"\.(?P<name>.+)\.(?P<pid>[0-9]+)\.part", re.DOTALL)  # as `part_of` names it


@dataclass(frozen=True)
class Series:
    """All recordings of one sink. `pattern` is what the user typed: `out.mkv`, `rec/%Y%m%d-%H%M%S.mkv`."""

    pattern: str

    def __post_init__(self) -> None:
        if counter := _COUNTER.search(self.pattern):
            raise UsageError(
                f"{self.pattern}: wanted the name of a video, which holds all frames, found {counter[0]} for their "
                "numbers; leave it out"
            )
        # Without the time in it, a name is taken as it is: 100%.mkv. A letter after the sign was meant for a field.
        stray = re.compile("%.?" if self.is_timed else "%[A-Za-z]", re.DOTALL)
        if unknown := stray.search(_FIELD.sub("", self.pattern)):
            raise UsageError(
                f"{self.pattern}: wanted the time as %{', %'.join(FIELDS)} or %% for a percent sign, "
                f"found {unknown[0]}; leave it out"
            )

    @cached_property
    def is_timed(self) -> bool:
        """Its names hold the time, so it has many files."""
        return any(field[1] != "%" for field in _FIELD.finditer(self.pattern))

    @property
    def mark(self) -> str:
        """What is written into each of its files, so that no other file is ever taken for one."""
        return f"fcn-edge recording {Path(self.pattern).name}"

    @cached_property
    def root(self) -> Path:
        """The folder that holds all of them."""
        return Path(*self._parts[: self._fixed])

    @cached_property
    def _parts(self) -> tuple[str, ...]:
        return Path(self.pattern).parts

    @cached_property
    def _fixed(self) -> int:
        """How many parts of the path are the same for every file."""
        varies = (place for place, part in enumerate(self._parts) if self.is_timed and _FIELD.search(part))
        return min(next(varies, len(self._parts)), len(self._parts) - 1)

    def name_at(self, wall_s: float) -> Path:
        """The name of a recording that begins at this time of the wall clock."""
        if not self.is_timed:
            return Path(self.pattern)
        local = time.localtime(wall_s)
        return Path(_FIELD.sub(lambda field: time.strftime(field[0], local), self.pattern))

    def files(self) -> list[Path]:
        """What has its final name, by name alone."""
        return list(self._matching(self._file_pattern))

    def leftovers(self) -> list[tuple[Path, Path]]:
        """(temporary file, the name that it was to get) of recordings that nobody writes any more."""
        found = self._matching(rf"\.{self._file_pattern}\.[0-9]+\.part")
        return [(part, part.with_name(named["name"])) for part in found if (named := _PART.fullmatch(part.name))
                and part.stat().st_size and not is_written(part)]  # fmt: skip

    @cached_property
    def _file_pattern(self) -> str:
        name = Path(self._parts[-1])
        return rf"{self._expression(name.stem)}(-[0-9]{{4,}})?{self._expression(name.suffix)}"

    def _expression(self, part: str) -> str:
        """A regular expression for what a part of the pattern may become."""
        if not self.is_timed:
            return re.escape(part)
        texts = _FIELD.split(part)  # text, field, text, field, ..., text
        fields = [FIELDS.get(field, field) for field in texts[1::2]] + [""]
        return "".join(re.escape(text) + field for text, field in zip(texts[::2], fields, strict=True))

    def _matching(self, file_pattern: str) -> Iterator[Path]:
        folders = (self._expression(part) for part in self._parts[self._fixed : -1])
        return entries_like(self.root, [*folders, file_pattern])


def entries_like(folder: Path, expressions: Sequence[str]) -> Iterator[Path]:
    """Files below a folder of which each part of the path matches its regular expression, in the order of their names.

    A folder that is not there or may not be read holds nothing for us, and a link leads to what is not ours.
    """
    with suppress(OSError):
        for name in sorted(os.listdir(folder)) if expressions else ():
            path = folder / name
            if not re.fullmatch(expressions[0], name) or path.is_symlink():
                continue
            if expressions[1:]:
                yield from entries_like(path, expressions[1:])
            elif path.is_file():
                yield path


def free_names(wanted: Path) -> Iterator[Path]:
    """`wanted`, then NAME-0001, NAME-0002, ...: those that neither exist nor are the aim of a temporary file."""
    names = set(os.listdir(wanted.parent)) if wanted.parent.is_dir() else set()
    taken = names | {part["name"] for name in names if (part := _PART.fullmatch(name))}
    yield from (path for path in _numbered(wanted) if path.name not in taken)


def _numbered(wanted: Path) -> Iterator[Path]:
    yield wanted
    yield from (wanted.with_name(f"{wanted.stem}-{number:04d}{wanted.suffix}") for number in count(1))


def begin_file(wanted: Path) -> tuple[Path, Path, BinaryIO]:
    """(the name it shall get, its temporary name, the temporary file, open and locked); overwrites nothing."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    for path in free_names(wanted):
        part = part_of(path)
        with suppress(FileExistsError):
            file = part.open("x+b", buffering=0)
            lock(file)
            return path, part, file
    raise AssertionError("numbers do not end")


def keep_as(part: Path, wanted: Path) -> Path:
    """Give a temporary file its name, or the next free one; overwrites nothing."""
    for path in _numbered(wanted):
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))  # claims the name on any file system,
            try:
                os.replace(part, path)  # so that this overwrites nothing but the claim
            except BaseException:
                path.unlink()
                raise
            return path
    raise AssertionError("numbers do not end")


def lock(file: BinaryIO) -> bool:
    """Tell other processes that this file is being written; it is told as long as it is open. False: they tell us."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True


def is_written(part: Path) -> bool:
    """Whether a process has this temporary file open for writing. Unlike its number, a lock dies with the process."""
    try:
        with part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # not ours to read, or a file system without locks: then the number must do
        return _is_alive(part)
    return False


def _is_alive(part: Path) -> bool:
    named = _PART.fullmatch(part.name)
    return named is None or Path("/proc", named["pid"]).exists()
