"""Recipes: small TOML files with settings of a training, shipped or the user's own, checked as flags are."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from fcn_edge.errors import UsageError
from fcn_edge.settings_file import (
    SettingsFile,
    did_you_mean,
    parse_settings,
    read_settings,
    require_known,
    require_value,
)

SHIPPED = ("edge", "accurate", "finetune", "paper")
DEFAULT_RECIPE = "edge"


def read_recipe(name: str, options: Mapping[str, click.Option]) -> dict[str, Any]:
    """The settings of a shipped recipe or of a file, by the options' parameters; each is a value that its flag takes.

    `options` are all that may be set, by their flags without the dashes. Raises UsageError.
    """
    recipe = _read(name)
    require_known(recipe, options, "train")
    for key in recipe.values:
        require_value(recipe, key, options[key])
    return {str(options[key].name): value for key, value in recipe.values.items()}


def _read(name: str) -> SettingsFile:
    if name in SHIPPED:
        return parse_settings(name, files("fcn_edge.training").joinpath("recipes", f"{name}.toml").read_bytes())
    if Path(name).suffix != ".toml":
        raise UsageError(
            f"wanted a recipe, {', '.join(SHIPPED)} or a file FILE.toml, found {name!r}; "
            f"{did_you_mean(name, SHIPPED)}choose one of them"
        )
    return read_settings(Path(name), "recipe")
