"""Which options of `fcn-edge bench` go together: it measures one model, or compares several, or one with its card."""

from __future__ import annotations

import click
from click.core import ParameterSource

from fcn_edge.errors import UsageError

COMPARE, AGAINST, ALONE = "--compare", "--against", ""
SERVING = {"engine", "precision", "threads", "trust_engine", "cuda_graph"}

# What the first two take beside models and --json, by the parameters' names; a card says how its model is served.
TAKES = {
    COMPARE: {"compare", "data", "split", "frame_hw", "seconds", "plot", *SERVING},
    AGAINST: {"against", "allow_other_model", "fail_if_slower", "trust_engine"},
}
ALWAYS = {"models", "json_path"}
APART = (
    ("card", "pictures", "a card is of a frame that any machine can draw"),
    ("card", "rate", "a card tells how fast it can go, which is measured again in the same way"),
    ("frames", "seconds", "so many frames are measured however long they take"),
)


def mode_of(context: click.Context) -> str:
    """COMPARE, AGAINST or ALONE; raises UsageError for an option that does nothing beside the others."""
    options = {option.name or "": option for option in context.command.params}
    given = [name for name in options if is_given(context, name)]
    mode = COMPARE if "compare" in given else AGAINST if "against" in given else ALONE
    for name in given:
        if name not in ALWAYS and not _takes(mode, name):
            raise UsageError(
                f"wanted options that go together, found {options[name].opts[0]} {_beside(mode)}; leave it out"
            )
    for one, other, why in APART:
        if {one, other} <= set(given):
            raise UsageError(f"wanted --{one} or --{other}, found both; {why}")
    if "split" in given and "data" not in given:
        raise UsageError("wanted --data with --split, found --split alone; leave it out")
    _require_models(context.params["models"], mode)
    return mode


def is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _takes(mode: str, name: str) -> bool:
    """Alone, it takes what is not the others' own."""
    if mode != ALONE:
        return name in TAKES[mode]
    return name not in {"data", "split", "allow_other_model", "fail_if_slower"}


def _beside(mode: str) -> str:
    return f"with {mode}" if mode else f"without {COMPARE} or {AGAINST}"


def _require_models(models: tuple[str, ...], mode: str) -> None:
    if mode == COMPARE and len(models) < 2:
        raise UsageError(f"wanted two models or more to compare, found {len(models)}; name another, or the same again")
    if mode != COMPARE and len(models) > 1:
        raise UsageError(f"wanted one model, found {' and '.join(models)}; measure several in turns with {COMPARE}")
