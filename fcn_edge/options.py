"""Types of command-line values that several verbs share. The verbs themselves stand in each room's cli.py."""

from __future__ import annotations

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
