"""What a training starts with: a new network and the weights it can take. Reading the weights is `weights.py`."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from fcn_edge.errors import UsageError
from fcn_edge.labels import LabelSet
from fcn_edge.progress import say
from fcn_edge.training.checkpoint import Checkpoint
from fcn_edge.training.network import FINAL_NAMES, VGG16_BLOCKS, NetworkConfig
from fcn_edge.training.surgery import staged, without_scores
from fcn_edge.training.weights import MUST_AGREE, Weights


def started_from(weights: Weights, fresh: Checkpoint) -> Checkpoint:
    """`fresh` with all weights that its network and classes can take, and their normalisation; tells which, in a line.

    `fresh` holds a new network, which is changed. Raises UsageError when the weights are of another network.
    """
    config = fresh.network.config
    _require_agreement(weights, config)
    state, told = _taken(weights, config, fresh.labels)
    loaded = fresh.network.load_state_dict(state, strict=False)
    assert not loaded.unexpected_keys
    settings = ", ".join(f"{name} {getattr(config, name)}" for name in MUST_AGREE)
    say(f"starting from {weights.name}, {weights.kind}, {settings}: {told}")
    provenance = {**fresh.provenance, "init": weights.provenance()}
    return replace(fresh, preprocessing=weights.preprocessing, provenance=provenance)


def _require_agreement(weights: Weights, config: NetworkConfig) -> None:
    blocks = range(1, len(VGG16_BLOCKS) + 1)  # widths may differ in digits that make no channel
    same_channels = all(config.channels(block) == weights.config.channels(block) for block in blocks)
    agrees = {name: getattr(config, name) == getattr(weights.config, name) for name in MUST_AGREE}
    agrees["width"] = same_channels
    differing = [name for name in MUST_AGREE if not agrees[name]]
    if differing:
        raise UsageError(
            f"the weights of {weights.name} do not fit: wanted a network of {_options(weights.config, differing)} "
            f"for them, found {_options(config, differing)}; leave these options out, or train without --init"
        )


def _options(config: NetworkConfig, names: list[str]) -> str:
    return " ".join(f"--{name.replace('_', '-')} {getattr(config, name)}" for name in names)


def _taken(weights: Weights, config: NetworkConfig, labels: LabelSet) -> tuple[dict[str, Tensor], str]:
    """What a network can use of the weights, and what that is in words."""
    theirs = weights.config
    if not weights.has_scores:
        return dict(weights.state), "the base net, fc6 and fc7; scores start at zero"
    if theirs.num_classes != config.num_classes:
        found = f"{theirs.num_classes} classes, not {config.num_classes}"
        return without_scores(weights.state), f"all but the scores, which are of {found}"
    if weights.labels is not None and weights.labels.names != labels.names:
        return without_scores(weights.state), "all but the scores, which are of other classes"
    _require_stage(weights, config)
    if theirs.variant == config.variant:
        return dict(weights.state), f"all weights of {theirs.variant}{_scaled(weights, config)}"
    told = f"all weights of {theirs.variant}; the skips that only {config.variant} has start at zero"
    return staged(weights.state, theirs.variant, config.variant), told


def _scaled(weights: Weights, config: NetworkConfig) -> str:
    """How a published network's skips are taken: its file does not tell how it was trained."""
    if weights.labels is not None or weights.config.variant == "fcn32s":
        return ""
    return ", its skips scaled" if config.at_once else ", its skips unscaled (add --at-once if it was trained at once)"


def _require_stage(weights: Weights, config: NetworkConfig) -> None:
    """Weights go from a coarser network to a finer one; the paper's names of variants fall from 32 to 8."""
    variants = list(FINAL_NAMES)
    theirs = weights.config
    if variants.index(theirs.variant) > variants.index(config.variant):
        raise UsageError(
            f"wanted weights of {config.variant} or coarser, found {theirs.variant} in {weights.name}; "
            f"give --variant {theirs.variant}"
        )
    if weights.labels is not None and theirs.variant != "fcn32s" and theirs.at_once != config.at_once:
        wanted = "leave --at-once out" if config.at_once else "add --at-once"
        raise UsageError(f"wanted skips scaled as those of {weights.name}, found them otherwise; {wanted}")
