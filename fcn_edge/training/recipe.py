"""Recipes: small TOML files with settings of a training, shipped or the user's own, checked as flags are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import tomllib

from fcn_edge.errors import UsageError, first_line

SHIPPED = ("edge", "finetune", "paper")
DEFAULT_RECIPE = "edge"

# What a value must be in TOML, by the option's type; anything else is written as text.
TYPES: tuple[tuple[type[click.ParamType[Any]], tuple[type, ...], str], ...] = (
    (click.types.BoolParamType, (bool,), "true or false"),
    (click.types.IntParamType, (int,), "a whole number"),
    (click.types.FloatParamType, (int, float), "a number"),
)


def read_recipe(name: str, options: Mapping[str, click.Option]) -> dict[str, Any]:
    """The settings of a shipped recipe or of a file, by the options' parameters; each is a value that its flag takes.

    `options` are all that may be set, by their flags without the dashes. Raises UsageError.
    """
    settings = _parsed(name, _text(name))
    for key in settings:
        if key not in options:
            raise UsageError(
                f"{name}: wanted options of `fcn-edge train`, found {key!r}; {_did_you_mean(key, options)}"
                f"it may hold {', '.join(sorted(options))}"
            )
        _require_value(name, key, settings[key], options[key])
    return {str(options[key].name): value for key, value in settings.items()}


def _text(name: str) -> bytes:
    if name in SHIPPED:
        return files("fcn_edge.training").joinpath("recipes", f"{name}.toml").read_bytes()
    if Path(name).suffix != ".toml":
        raise UsageError(
            f"wanted a recipe, {', '.join(SHIPPED)} or a file FILE.toml, found {name!r}; "
            f"{_did_you_mean(name, SHIPPED)}choose one of them"
        )
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"wanted the recipe {name}, found: {error.strerror}; check the path") from None


def _parsed(name: str, content: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError(f"{name}: wanted TOML, which is UTF-8, found other bytes; save it as UTF-8") from None
    except (ValueError, RecursionError) as error:  # tomllib's own error among them, which tells the line
        raise UsageError(f"{name}: wanted TOML, found: {first_line(error)}; mend it there") from None


def _require_value(name: str, key: str, value: Any, option: click.Option) -> None:
    """TOML tells numbers, truth and text apart, so none is taken for another; limits are the flag's own."""
    types, wanted = next(
        ((types, wanted) for kind, types, wanted in TYPES if isinstance(option.type, kind)), ((str,), "text in quotes")
    )
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise UsageError(f"{name}: wanted {wanted} for {key}, found {value!r}; change it")
    try:
        option.type.convert(value, option, None)
    except (click.BadParameter, OverflowError) as error:
        raise UsageError(f"{name}: wanted a value that --{key} takes, found: {_reason(error)}; change it") from None


def _reason(error: click.BadParameter | OverflowError) -> str:
    return error.message.rstrip(".") if isinstance(error, click.BadParameter) else first_line(error)


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}? " if near else ""
