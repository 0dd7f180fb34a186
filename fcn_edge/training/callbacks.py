"""What happens around the epochs: weight averaging, checkpoints, progress, Ctrl-C, the time limit."""

from __future__ import annotations

import math
import signal
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from fcn_edge.files import whole_file
from fcn_edge.interrupt import Interrupt
from fcn_edge.metrics import scores_of
from fcn_edge.progress import progress, say
from fcn_edge.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fcn_edge.training.checkpoint_io import InPlace
from fcn_edge.training.ranks import greatest, summed
from fcn_edge.training.segmentation import Segmentation

BEST, LAST = "best.safetensors", "last.ckpt"


class Stopped(Exception):
    """The user asked for an end; raised between two steps."""


def averaged_weights(decay: float) -> WeightAveraging:
    """An exponential moving average whose decay warms up, so that short trainings profit too."""

    def average(averaged: Tensor, current: Tensor, count: Any) -> Tensor:
        warmed = min(decay, (1 + int(count)) / (10 + int(count)))
        return averaged.lerp(current, 1 - warmed) if averaged.is_floating_point() else current

    return WeightAveraging(avg_fn=average)


class KeepBest(Callback):
    """Scores each validation and keeps the checkpoint of the best mean IoU.

    Stands before the weight averaging, whose hook of the same name takes the averaged weights away again.
    """

    def __init__(self, folder: Path, checkpoint: Checkpoint) -> None:
        self.folder, self.checkpoint = folder, checkpoint

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """A resumed run must beat what the folder holds, which may be newer than the run's last whole epoch."""
        assert isinstance(module, Segmentation)
        if (self.folder / BEST).exists():
            module.best_iou = max(module.best_iou, load_checkpoint(self.folder / BEST).scores["mean_iou"])

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, Segmentation)
        counts = summed(torch.from_numpy(module.confusion.counts)).numpy()  # of the pictures of all processes
        scores = scores_of(counts, module.names)
        module.log("mean_iou", scores.mean_iou)
        module.log("pixel_accuracy", scores.pixel_accuracy)
        if scores.mean_iou > module.best_iou or not (self.folder / BEST).exists():  # it may have been taken away
            module.best_iou = scores.mean_iou
            epochs = trainer.current_epoch + (trainer.state.fn == TrainerFn.FITTING)  # counted when an epoch has ended
            provenance = {**self.checkpoint.provenance, "epoch": epochs}
            checkpoint = replace(
                self.checkpoint, network=module.network, scores=scores.to_json(), provenance=provenance
            )
            if trainer.is_global_zero:
                save_checkpoint(self.folder / BEST, checkpoint)


class KeepLast(Callback):
    """Saves all that a resumed run needs, before the first step and after every epoch; stands last."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LAST

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        trainer.strategy.checkpoint_io = InPlace()

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.ckpt_path is None:  # it goes on from nothing
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, Segmentation)
        module.epochs_done = trainer.current_epoch + 1
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        """All processes take part; the first one writes."""
        with whole_file(self.path) if trainer.is_global_zero else nullcontext(self.path) as path:
            trainer.save_checkpoint(path)


class TimeLimit(Callback):
    """Ends the training after the last epoch that fits into the limit, for good: only a longer limit resumes it."""

    ended_minutes = 0.0  # the limit that ended it

    def state_dict(self) -> dict[str, Any]:
        return {"ended_minutes": self.ended_minutes}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.ended_minutes = state_dict["ended_minutes"]

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, Segmentation)
        if (module.config.max_minutes or math.inf) <= self.ended_minutes:
            trainer.should_stop = True
            say(f"the time was up after {trainer.current_epoch} epochs; raise --max-minutes to train on")
        else:
            self.ended_minutes = 0.0

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, Segmentation)
        self.elapsed_before = greatest(module.elapsed_s)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, Segmentation)
        limit, elapsed_s = module.config.max_minutes, greatest(module.elapsed_s)
        if limit and elapsed_s + (elapsed_s - self.elapsed_before) / 2 > limit * 60:
            trainer.should_stop, self.ended_minutes = True, limit
            say(f"the time is up after {trainer.current_epoch + 1} of {trainer.max_epochs} epochs")


class EpochFigures(Callback):
    """Logs an epoch's loss and its mean rate of the weights (biases may have another) before `KeepLast` saves its end.

    Lightning's own log comes after all callbacks: a run killed between the two would go on without them.
    """

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        module.log("learning_rate", rate, on_step=False, on_epoch=True, batch_size=1, logger=False)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        figures = {name: float(trainer.callback_metrics[name]) for name in ("loss", "learning_rate")}
        for logger in trainer.loggers:
            logger.log_metrics({**figures, "epoch": trainer.current_epoch}, step=trainer.global_step)
            logger.save()


class Told(Callback):
    """A bar within the epoch, a line after it."""

    def __init__(self) -> None:
        self.bar = ExitStack()

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        bar = progress(f"epoch {trainer.current_epoch + 1}", int(trainer.num_training_batches))
        self.step = self.bar.enter_context(bar)
        self.validated = False

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.step(f"loss {float(outputs['loss']):.3f}")

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, Segmentation)
        self.bar.close()
        metrics = trainer.callback_metrics
        parts = [f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", f"loss {float(metrics['loss']):.3f}"]
        if self.validated:
            parts.append(f"mean IoU {float(metrics['mean_iou']):.4f} (best {module.best_iou:.4f})")
        say(", ".join([*parts, _time_left(module)]))

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.validated = True

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        self.bar.close()


def _time_left(module: Segmentation) -> str:
    done = module.progress_now()
    left_s = module.elapsed_s * (1 - done) / done if done else 0.0
    return f"{left_s / 60:.1f} min left"


class StopBetweenSteps(Callback):
    """Raises `Stopped` after the step in which the user wished it, in all processes alike.

    They have validation pictures one by one, and the last ones of them not all: of `pictures` each has a share.
    """

    def __init__(self, interrupt: Interrupt, pictures: int) -> None:
        self.interrupt, self.pictures = interrupt, pictures

    def on_train_start(self, *args: Any) -> None:
        _take_back_sigterm()

    def on_validation_start(self, *args: Any) -> None:
        _take_back_sigterm()

    def _stop_if_wished(self) -> None:
        if greatest(self.interrupt.wished):
            raise Stopped

    def on_train_batch_end(self, *args: Any) -> None:
        self._stop_if_wished()

    def on_validation_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *more: Any
    ) -> None:
        if batch_idx < self.pictures // trainer.world_size:
            self._stop_if_wished()


def _take_back_sigterm() -> None:
    """As SIGINT is handled. Lightning has put a handler before it, which waits for what other processes never send."""
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
