"""`fcn-edge train`."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from fcn_edge.datasets import KINDS, Dataset, open_dataset, require_masks
from fcn_edge.errors import UsageError
from fcn_edge.files import require_writable, sha256_of, write_json
from fcn_edge.labels import LabelSet
from fcn_edge.metrics import Scores
from fcn_edge.progress import say
from fcn_edge.report import print_scores
from fcn_edge.training.callbacks import BEST, LAST
from fcn_edge.training.checkpoint import Checkpoint, Preprocessing
from fcn_edge.training.config import TrainingConfig
from fcn_edge.training.network import FCN, NetworkConfig
from fcn_edge.training.options import GROUPS, NETWORK, TRAINING, GroupedCommand
from fcn_edge.training.provenance import software
from fcn_edge.training.ranks import Ranks, require_alike
from fcn_edge.training.recipe import DEFAULT_RECIPE
from fcn_edge.training.run_lock import run_lock
from fcn_edge.training.start import started_from
from fcn_edge.training.together import has_begun, mark_begun, together
from fcn_edge.training.trainer import train, untrained
from fcn_edge.training.weights import read_weights

CONFIG_FILE = "config.json"


@click.command(
    "train",
    cls=GroupedCommand,
    params=[click.Argument(["data"], metavar="KIND:FOLDER"), *chain(*GROUPS.values())],
    epilog=f"KIND:FOLDER is one of {KINDS}.\n\nExample: fcn-edge train camvid:data/camvid -o runs/camvid --epochs 60",
)
@click.pass_context
@together()
def train_command(
    ctx: click.Context,
    /,
    data: str,
    folder: Path,
    split: str,
    validation_split: str,
    resume: bool,
    recipe: str,
    init: str | None,
    **settings: Any,
) -> None:
    """Train an FCN on labelled pictures: best.safetensors, last.ckpt and logs/ in the run's folder."""
    training = require_masks(open_dataset(data, split), data)
    validation = require_masks(open_dataset(data, validation_split), data)
    _require_same_labels(training, validation)
    settings["recipe"] = recipe
    ranks = Ranks.here()
    resume = resume or (has_begun(ranks) and (folder / LAST).exists())
    if resume:  # what can be refused is, before every picture is read for the digests
        _require_run(folder)
    else:
        fresh = _started(ctx, init, settings, training.labels)
    if not ranks.rank:
        ctx.with_resource(run_lock(folder))
    if not resume:
        _require_no_run(folder)
    identity = {
        "classes": list(training.labels.names),
        "data_sha256": {"training": training.digest(), "validation": validation.digest()},
    }
    if resume:
        settings = _resumed(ctx, folder, settings, identity)
        fresh = _restarted(init, settings, training.labels)
    config = TrainingConfig(**{key: settings[key] for key in TRAINING})
    last = sha256_of(folder / LAST) if resume and ranks.world > 1 else None
    network = asdict(fresh.network.config)
    require_alike(ranks, **identity, **asdict(config), **network, resume=resume, last_checkpoint=last)
    if not ranks.rank:
        require_writable(folder)
    start = {"init": fresh.provenance.get("init"), "preprocessing": asdict(fresh.preprocessing)}
    means = {"recipe": settings["recipe"], "processes": ranks.world, **software()}

    def begins() -> None:
        if not ranks.rank:
            write_json(folder / CONFIG_FILE, {"data": data, **identity, **means, **start, **network, **asdict(config)})
            mark_begun(ranks)

    origin = {"data": data, "split": split, "validation_split": validation_split, **identity, **means}
    fresh = replace(fresh, provenance={**origin, **fresh.provenance})
    checkpoint = train(fresh, config, (training, validation), folder, begins)
    if checkpoint is None:
        say(f"stopped; {folder / LAST} holds the last whole epoch, go on with the same command and --resume")
        return
    print_scores({validation_split: Scores(**checkpoint.scores)}, f"{folder / BEST}, {len(validation)} pictures")


def _started(ctx: click.Context, init: str | None, settings: dict[str, Any], labels: LabelSet) -> Checkpoint:
    """What a new run starts with: a network as asked for, with the weights and the normalisation of `init`."""
    if init is None:
        _require_no_frozen_norm(settings)
        return Checkpoint(_untrained(settings, labels), labels)
    weights = read_weights(init)
    given = _given(ctx, settings)
    followed = {key: value for key, value in weights.settings.items() if key not in given}
    return started_from(weights, Checkpoint(_untrained({**settings, **followed}, labels), labels))


def _require_no_frozen_norm(settings: dict[str, Any]) -> None:
    if settings["freeze_norm"] and settings["norm"] == "batch":
        raise UsageError("wanted weights whose batch norm can be frozen, found none; add --init or --no-freeze-norm")


def _restarted(init: str | None, settings: dict[str, Any], labels: LabelSet) -> Checkpoint:
    """What the run that is resumed started with, without its weights, which are in the run's last checkpoint."""
    origin, preprocessing = settings["init"], settings["preprocessing"]
    if init is not None and (not origin or Path(init).name != origin["name"]):
        raise UsageError(
            f"wanted the run's own start, {origin['name'] if origin else 'which had no --init'}, found --init {init}; "
            "leave it out, or choose another -o"
        )
    provenance = {"init": origin} if origin else {}
    return Checkpoint(_untrained(settings, labels), labels, preprocessing, provenance=provenance)


def _untrained(settings: dict[str, Any], labels: LabelSet) -> FCN:
    config = NetworkConfig(num_classes=len(labels), **{key: settings[key] for key in NETWORK})
    return untrained(config, settings["seed"])


def _require_no_run(folder: Path) -> None:
    if (folder / LAST).exists() or (folder / BEST).exists():
        raise UsageError(
            f"wanted a new run, found one in {folder}; add --resume to go on with it, or choose another -o"
        )


def _require_run(folder: Path) -> None:
    if not (folder / LAST).is_file():
        raise UsageError(f"wanted a run to resume, found no {LAST} in {folder}; leave --resume out to start one")


def _resumed(ctx: click.Context, folder: Path, settings: dict[str, Any], identity: dict[str, Any]) -> dict[str, Any]:
    """The run's own settings, changed by what stands on the command line; the network and the data cannot change."""
    stored = _stored_settings(folder / CONFIG_FILE)
    if stored["classes"] != identity["classes"]:
        raise UsageError(
            f"wanted data of the run's classes {', '.join(stored['classes'])}, found others; use its own data"
        )
    if stored["data_sha256"] != identity["data_sha256"]:
        raise UsageError(
            f"wanted the data of the run in {folder}, found other pictures or masks; use its own, or a new -o"
        )
    given = _given(ctx, settings)
    if "recipe" in given and settings["recipe"] != stored["recipe"]:
        raise UsageError(
            f"wanted the run's own recipe, {stored['recipe']}, found --recipe {settings['recipe']}; "
            "leave it out, or choose another -o"
        )
    changed = sorted(key for key in given & (NETWORK | {"optimizer"}) if settings[key] != stored[key])
    if "averaging" in given and bool(settings["averaging"]) != bool(stored["averaging"]):
        changed.append("averaging")  # the state of a run with it holds the averages as its weights
    if changed:
        raise UsageError(
            f"wanted the network and the optimizer of {folder}, found another {', '.join(changed)}; "
            "leave them out, or choose another -o"
        )
    return {**stored, **{key: settings[key] for key in given}}


def _given(ctx: click.Context, settings: dict[str, Any]) -> set[str]:
    return {key for key in settings if ctx.get_parameter_source(key) is ParameterSource.COMMANDLINE}


def _stored_settings(path: Path) -> dict[str, Any]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        stored = {**asdict(TrainingConfig()), "recipe": DEFAULT_RECIPE, **stored}  # it may be of before there were some
        stored["crop_hw"] = stored["crop_hw"] and tuple(stored["crop_hw"])
        init = stored.get("init")
        start = {
            "init": {**init, "name": str(init["name"])} if init else None,
            "preprocessing": Preprocessing.from_json(stored.get("preprocessing", {})),
        }
        return {**start, **{key: stored[key] for key in NETWORK | TRAINING | {"recipe", "classes", "data_sha256"}}}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"wanted the settings of the run in {path}, found: {error!r}; start a new run") from None


def _require_same_labels(training: Dataset, validation: Dataset) -> None:
    if training.labels != validation.labels:
        raise UsageError("wanted one class list for training and validation, found two; use one dataset")
