"""Training from a dataset to a scored checkpoint. Lightning runs the loop; `segmentation.py` is a step of it."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from fcn_edge.datasets import Dataset
from fcn_edge.errors import ModelError, SourceError, UsageError, first_line
from fcn_edge.evaluation import Evaluation, evaluate
from fcn_edge.files import require_writable, writing
from fcn_edge.interrupt import Interrupt
from fcn_edge.progress import say
from fcn_edge.training.around_fit import determinism, one_line_errors, quiet_lightning
from fcn_edge.training.batches import Share, class_pixels, class_weights, training_batches, validation_batches
from fcn_edge.training.callbacks import (
    BEST,
    LAST,
    EpochFigures,
    KeepBest,
    KeepLast,
    StopBetweenSteps,
    Stopped,
    TimeLimit,
    Told,
    averaged_weights,
)
from fcn_edge.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fcn_edge.training.config import TrainingConfig
from fcn_edge.training.evaluate import CheckpointSession
from fcn_edge.training.gallery import Gallery
from fcn_edge.training.log_thread import quiet_log_thread
from fcn_edge.training.network import DEEPEST_STRIDE, FCN, NetworkConfig
from fcn_edge.training.pasting import Pasting, rare_classes
from fcn_edge.training.ranks import Ranks, greatest
from fcn_edge.training.run_report import save_run_report
from fcn_edge.training.segmentation import Segmentation, parameter_count, quick_precision
from fcn_edge.training.synced_norm import SyncedOnCpu


def untrained(network: NetworkConfig, seed: int) -> FCN:
    """A new network, whose random weights depend on the seed alone."""
    torch.manual_seed(seed)
    return FCN.from_config(network)


def train(
    fresh: Checkpoint,
    config: TrainingConfig,
    data: tuple[Dataset, Dataset],
    folder: Path,
    begins: Callable[[], object] = lambda: None,
) -> Checkpoint | None:
    """Train on the first dataset, validate on the second; `folder` gets best.safetensors, last.ckpt, logs/, a report.

    The best checkpoint, scored in float32; None when the user stopped the training, and in all processes but the first.

    `fresh` is what it starts with: its network is trained in place, its provenance (the data's names and digests) is
    kept. Goes on from `folder/last.ckpt` where there is one. `begins` is called where nothing can be refused any more,
    before anything of the run is written.
    Raises SourceError for unusable data, OutputError for an unwritable folder, ModelError when the loss is not finite.
    """
    training, validation = data
    ranks = Ranks.here()
    share = _share(config, data, ranks)
    if not ranks.rank:
        require_writable(folder)
    _require_batch_statistics(fresh.network.config, config, training, share)
    pixels = class_pixels(training, "training", fewest=2)
    class_pixels(validation, "validation")
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    fresh = replace(fresh, provenance={**fresh.provenance, "config": asdict(config)})
    module = _module(fresh, config, pixels, len(training) // share.batch_size)
    variant, weights = fresh.network.config.variant, parameter_count(fresh.network)
    say(f"training {variant}, {weights:,} weights, on {len(training)} pictures{_by(ranks)}")
    pasting = Pasting(rare_classes(pixels), config.paste)
    if not _fit(module, fresh, data, share, pasting, folder, begins) or ranks.rank:
        return None
    best, evaluation = _scored_in_float32(folder / BEST, validation)
    save_run_report(folder, best, evaluation, validation)
    return best


def _by(ranks: Ranks) -> str:
    """Who trains, where it is worth a word."""
    if ranks.world > 1:
        return f", in {ranks.world} processes"
    gpus = torch.cuda.device_count()
    return f", on one of {gpus} GPUs; torchrun --nproc-per-node {gpus} -m fcn_edge train uses all" if gpus > 1 else ""


def _share(config: TrainingConfig, data: tuple[Dataset, Dataset], ranks: Ranks) -> Share:
    training, validation = data
    if len(validation) < ranks.world:
        raise UsageError(
            f"wanted a validation picture for each of {ranks.world} processes, found {len(validation)}; start fewer"
        )
    parts = config.accumulate * ranks.world
    if len(training) < parts <= config.batch_size:
        raise UsageError(
            f"wanted {parts} training pictures, one for each of {ranks.world} processes in --accumulate "
            f"{config.accumulate}, found {len(training)}; lower --accumulate or start fewer processes"
        )
    fits = len(training) // parts * parts or config.batch_size  # larger than the data, it is cut to what can be shared
    return Share(min(config.batch_size, fits), config.accumulate, ranks)


def _require_batch_statistics(network: NetworkConfig, config: TrainingConfig, training: Dataset, share: Share) -> None:
    """Batch norm needs two values a channel even in the deepest map, one value per 32x32 pixels."""
    if network.norm != "batch" or config.freeze_norm:
        return
    size_hw = config.crop_hw or training.mask(0).shape
    deepest = share.batch_size // share.accumulate * math.prod(-(-side // DEEPEST_STRIDE) for side in size_hw)
    if deepest < 2:
        raise UsageError(
            "wanted a batch that batch norm can average, found one crop of 32x32; raise --crop or --batch-size"
        )


def _module(fresh: Checkpoint, config: TrainingConfig, pixels: Any, steps_per_epoch: int) -> Segmentation:
    weights = class_weights(pixels) if config.class_weights else np.ones(len(pixels), np.float32)
    return Segmentation(fresh, config, weights, steps_per_epoch)


def _fit(
    module: Segmentation,
    fresh: Checkpoint,
    data: tuple[Dataset, Dataset],
    share: Share,
    pasting: Pasting,
    folder: Path,
    begins: Callable[[], object],
) -> bool:
    """Runs Lightning; false when the user stopped it."""
    interrupt, config = Interrupt("step"), module.config
    callbacks = [
        StopBetweenSteps(interrupt, len(data[1])),
        LambdaCallback(on_train_start=lambda *_: begins()),
        KeepBest(folder, fresh),
        *([averaged_weights(config.averaging)] if config.averaging else []),
        TimeLimit(),
        EpochFigures(),
        *([] if share.ranks.rank else [Gallery(fresh.labels), Told()]),
        KeepLast(folder),
    ]
    last, epochs_done = _resumable(folder / LAST, config)
    batches = training_batches(
        data[0],
        config.crop_hw,
        share,
        config.seed,
        config.workers,
        augment=config.augment,
        pasting=pasting,
        first_epoch=epochs_done,
    )
    pictures = validation_batches(data[1], config.workers, share.ranks)
    try:
        with (
            determinism(),
            quiet_lightning(),
            quiet_log_thread(),
            writing(folder),
            interrupt.listening(),
            one_line_errors(),
        ):
            trainer = _trainer(config, callbacks, folder, share.ranks)
            trainer.fit(module, batches, pictures, ckpt_path=last)
            missing = not share.ranks.rank and not (folder / BEST).exists()
            if trainer.current_epoch % config.validate_every or greatest(missing):
                trainer.validate(module, pictures, verbose=False)  # the last epoch is often the best
    except Stopped:
        return False
    except SourceError as error:
        raise _with_way_back(error, module.epochs_done) from None
    return True


def _with_way_back(error: SourceError, epochs_done: int) -> SourceError:
    """A picture or a mask that was there at the start and cannot be read now costs no epoch that was done."""
    if not epochs_done:
        return error
    return SourceError(f"{error}; with the files as they were at the start, --resume goes on after epoch {epochs_done}")


def _resumable(last: Path, config: TrainingConfig) -> tuple[Path | None, int]:
    """The state to go on from, if any, and the epochs that are done.

    Raises ModelError if it is damaged, UsageError if fewer epochs are wanted.
    """
    if not last.exists():
        return None, 0
    try:
        done = int(torch.load(last, map_location="cpu", weights_only=False, mmap=True)["epochs_done"])
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise ModelError(f"{last}: wanted a run to resume, found: {first_line(error)}; start a new run") from None
    if config.epochs < done:
        raise UsageError(
            f"wanted more than the {done} epochs done in {last.parent}, found {config.epochs}; raise --epochs"
        )
    say(f"going on after epoch {done} of {config.epochs}")
    return last, done


def _trainer(config: TrainingConfig, callbacks: list[Any], folder: Path, ranks: Ranks) -> Trainer:
    synced = ranks.world > 1 and not config.freeze_norm
    return Trainer(
        max_epochs=config.epochs,
        devices=ranks.local_world,
        num_nodes=ranks.nodes,
        # Buffers need no copying from the first process: they are those of batch norm, which is synced or frozen.
        strategy=DDPStrategy(broadcast_buffers=False) if ranks.world > 1 else "auto",
        precision=quick_precision(config.precision),
        callbacks=callbacks,
        logger=_loggers(folder) if ranks.rank == 0 else False,
        check_val_every_n_epoch=config.validate_every,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # the sampler is ours
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,  # ours are KeepBest and KeepLast
        log_every_n_steps=1,
        deterministic=True if config.deterministic else "warn" if torch.cuda.is_available() else False,
        sync_batchnorm=synced and torch.cuda.is_available(),
        plugins=[SyncedOnCpu()] if synced and not torch.cuda.is_available() else [],
    )


def _loggers(folder: Path) -> list[Logger]:
    csv = CSVLogger(folder, name="logs")
    return [csv, TensorBoardLogger(folder, name="logs", version=csv.version)]


def _scored_in_float32(path: Path, validation: Dataset) -> tuple[Checkpoint, Evaluation]:
    """The best checkpoint with the scores that `eval` gives too; training may have validated in half precision."""
    checkpoint = load_checkpoint(path)
    evaluation = evaluate(CheckpointSession(checkpoint).segment, validation, "scoring the best checkpoint")
    scored = replace(checkpoint, scores=evaluation.scores().to_json())
    save_checkpoint(path, scored)
    return scored, evaluation
