"""Settings of a verb in a TOML file, checked as its flags are: a mistake is told with file, line, key and a cure."""

from __future__ import annotations

import difflib
import math
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from fcn_edge.errors import UsageError, first_line

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Key = tuple[str, ...]  # ("sources", "gate") is `gate` in the table [sources]

MOST_BYTES = 1 << 20  # a thousand times what anybody writes

# What a value must be in TOML, by the option's type; anything else is written as text.
Wanted = tuple[tuple[type, ...], str]
TEXT: Wanted = ((str,), "text in quotes")
TYPES: tuple[tuple[type[click.ParamType[Any]], Wanted], ...] = (
    (click.types.BoolParamType, ((bool,), "true or false")),
    (click.types.IntParamType, ((int,), "a whole number")),
    (click.types.FloatParamType, ((int, float), "a number")),
)


@dataclass(frozen=True)
class SettingsFile:
    """What a file sets."""

    name: str  # as messages call it
    values: Mapping[str, Any]
    text: str = field(repr=False)

    def where(self, *key: str) -> str:
        """The place of a key, as a message begins: "run.toml, line 3"."""
        lines = _lines_of(self.text)
        found = next((lines[key[:depth]] for depth in range(len(key), 0, -1) if key[:depth] in lines), None)
        return f"{self.name}, line {found}" if found else self.name

    @contextmanager
    def naming(self, *key: str) -> Iterator[None]:
        """What is refused within is told with its place and its key."""
        try:
            yield
        except UsageError as error:
            raise UsageError(f"{self.where(*key)}: {'.'.join(key)}: {error}") from None


def read_settings(path: Path, kind: str) -> SettingsFile:
    """A file of the user's; `kind` is what messages call it: "recipe". Raises UsageError."""
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a device may never end, and a pipe never begin
            raise UsageError(f"wanted the {kind} {path}, found no regular file; check the path")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"wanted the {kind} {path}, found: {error.strerror}; check the path") from None
    if len(content) > MOST_BYTES:
        raise UsageError(f"wanted the {kind} {path}, found a file of more than 1 MiB; check the path")
    return parse_settings(str(path), content)


def parse_settings(name: str, content: bytes) -> SettingsFile:
    """The settings in what a file holds; raises UsageError."""
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
        return SettingsFile(name, tomllib.loads(text), text)
    except UnicodeDecodeError:
        raise UsageError(f"{name}: wanted TOML, which is UTF-8, found other bytes; save it as UTF-8") from None
    except (ValueError, RecursionError) as error:  # tomllib's own error among them, which tells the line
        raise UsageError(f"{name}: wanted TOML, found: {first_line(error)}; mend it there") from None


def require_known(file: SettingsFile, known: Iterable[str], verb: str) -> None:
    """Every key is one of `known`, the options of a verb."""
    choices = sorted(known)
    for key in file.values:
        if key not in choices:
            raise UsageError(
                f"{file.where(key)}: wanted options of `fcn-edge {verb}`, found {key!r}; {did_you_mean(key, choices)}"
                f"it may hold {', '.join(choices)}"
            )


def require_value(file: SettingsFile, key: str, option: click.Option) -> None:
    """TOML tells numbers, truth and text apart, so none is taken for another; limits are the flag's own.

    An option that may be given several times is a list.
    """
    wanted = next((wanted for kind, wanted in TYPES if isinstance(option.type, kind)), TEXT)
    if option.multiple:
        require_type(file, (key,), file.values[key], ((list,), "a list"))
    for value in file.values[key] if option.multiple else [file.values[key]]:
        require_type(file, (key,), value, wanted)
        _require_finite(file, key, value)
        _require_taken(file, key, value, option)


def require_type(file: SettingsFile, key: Key, value: Any, wanted: Wanted) -> None:
    types, words = wanted
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise UsageError(f"{file.where(*key)}: wanted {words} for {'.'.join(key)}, found {value!r}; change it")


def _require_finite(file: SettingsFile, key: str, value: Any) -> None:
    """TOML has nan and inf, and no limit of a flag refuses nan."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{file.where(key)}: wanted a finite number for {key}, found {value}; change it")


def _require_taken(file: SettingsFile, key: str, value: Any, option: click.Option) -> None:
    try:
        option.type.convert(value, option, None)
    except (click.BadParameter, OverflowError) as error:
        raise UsageError(
            f"{file.where(key)}: wanted a value that --{key} takes, found: {_reason(error)}; change it"
        ) from None


def _reason(error: click.BadParameter | OverflowError) -> str:
    return error.message.rstrip(".") if isinstance(error, click.BadParameter) else first_line(error)


def key_of(option: click.Option) -> str:
    """What a file calls an option: its long flag without the dashes."""
    return next(flag for flag in option.opts if flag.startswith("--")).removeprefix("--")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]}? " if near else ""


def _lines_of(text: str) -> dict[Key, int]:
    """The line in which each key of text that is TOML begins, counted from 1.

    The parser tells no lines, but it shows where a statement ends: at the first line with which it can be parsed.
    """
    lines: dict[Key, int] = {}
    table: Key = ()
    statement, begins = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        statement, begins = (f"{statement}\n{line}", begins) if statement else (line, number)
        try:
            parsed = tomllib.loads(statement)
        except ValueError:  # it goes on in the next line
            continue
        is_header = statement.lstrip().startswith("[")
        keys = list(_keys(parsed, () if is_header else table))
        table = keys[-1] if is_header else table
        for key in keys:
            lines.setdefault(key, begins)
        statement = ""
    return lines


def _keys(parsed: Mapping[str, Any], above: Key) -> Iterator[Key]:
    """All keys of a statement, outer ones first; tables in a list have none of their own."""
    for name, value in parsed.items():
        yield (*above, name)
        if isinstance(value, Mapping):
            yield from _keys(value, (*above, name))
