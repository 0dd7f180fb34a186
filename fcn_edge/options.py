"""Types of command-line values that several verbs share. The verbs themselves stand in each room's cli.py."""

from __future__ import annotations

import math
import re
from typing import Any

import click


class Size(click.ParamType[tuple[int, int]]):
    """HxW, for instance 360x480; the value is (height, width)."""

    name = "HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", str(value).strip())
        if not match or not all(1 <= int(side) <= 16384 for side in match.groups()):
            self.fail(f"wanted a size as HEIGHTxWIDTH such as 360x480, found {value!r}", param, ctx)
        return int(match.group(1)), int(match.group(2))


SIZE = Size()


class NumberRange(click.FloatRange):
    """A number in a range; click's own takes nan, and infinity where the range is open."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"wanted a number, found {value}", param, ctx)
        return number


class Names(click.ParamType[tuple[str, ...]]):
    """Some of a few names, with commas between; the value keeps the order of `choices`."""

    name = "NAME,..."

    def __init__(self, choices: tuple[str, ...]) -> None:
        self.choices = choices

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        given = [name.strip() for name in str(value).split(",")]
        stray = [name for name in given if name not in self.choices]
        if stray:
            self.fail(f"wanted some of {','.join(self.choices)}, found {stray[0]!r}", param, ctx)
        return tuple(name for name in self.choices if name in given)
