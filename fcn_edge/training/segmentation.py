"""One step of training and one of validation, for Lightning: loss, gradient, learning rate, confusion matrix."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import numpy as np
import torch
from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import DDPStrategy
from numpy.typing import NDArray
from torch import Tensor, nn

from fcn_edge.errors import ModelError, UsageError
from fcn_edge.metrics import ConfusionMatrix
from fcn_edge.training.checkpoint import Checkpoint
from fcn_edge.training.config import TrainingConfig
from fcn_edge.training.loss import SAMPLED, cross_entropy, labelled_weight, lovasz_softmax, sampled_pixels
from fcn_edge.training.network import channels_last
from fcn_edge.training.optimiser import optimiser_of, set_decay, set_learning_rate
from fcn_edge.training.ranks import Ranks, greatest, summed
from fcn_edge.training.schedule import learning_rate, training_progress

Crops = tuple[Tensor, Tensor]  # frames (N, H, W, 3) BGR uint8 and masks (N, H, W) int64: one micro-batch


class Segmentation(LightningModule):
    """The network under training.

    Lightning's batch is this process's share of a step: micro-batches, whose gradients are added up before the step.
    """

    def __init__(
        self, checkpoint: Checkpoint, config: TrainingConfig, weights: NDArray[np.float32], steps_per_epoch: int
    ) -> None:
        super().__init__()
        self.automatic_optimization = False  # for Lightning's own way knows one micro-batch at a time, not the whole
        self.ranks = Ranks.here()
        self.network = channels_last(checkpoint.network)
        self.preprocessing = checkpoint.preprocessing
        self.config = config
        self.names = checkpoint.labels.names
        self.steps_per_epoch = steps_per_epoch
        self.earlier_steps = 0  # a resumed run's, less those it would have made with batches of this size
        self.class_weights: Tensor
        self.register_buffer("class_weights", torch.from_numpy(weights), persistent=False)
        self.earlier_s = 0.0  # what the runs before this one took, when it is resumed
        self.started = time.monotonic()
        self.best_iou = -1.0
        self.epochs_done = 0
        self.confusion = ConfusionMatrix(self.names)
        for drop in (self.network.drop6, self.network.drop7):
            drop.p = config.dropout
        if config.compile:
            self.network.compile()
        self.train()

    def train(self, mode: bool = True) -> Segmentation:
        """As always; frozen batch norms stay as they serve, by the statistics that the network started with."""
        super().train(mode)
        if self.config.freeze_norm:
            for layer in self.network.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eval()
        return self

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return optimiser_of(self.network, self.config)

    @property
    def elapsed_s(self) -> float:
        """Seconds of training so far, over all the runs of a resumed one."""
        return self.earlier_s + time.monotonic() - self.started

    def on_fit_start(self) -> None:
        self.started = time.monotonic()

    def on_train_start(self) -> None:
        self.earlier_steps = self.global_step - self.current_epoch * self.steps_per_epoch
        set_decay(self.trainer.optimizers[0], self.config)  # the state of a resumed run has brought its own

    def progress_now(self) -> float:
        """From 0 to 1, by this process's clock where there is a time limit."""
        limit = self.config.max_minutes
        step, steps = self.global_step - self.earlier_steps, self.config.epochs * self.steps_per_epoch
        return training_progress(step, steps, self.elapsed_s, limit * 60 if limit else None)

    def on_train_batch_start(self, batch: list[Crops], batch_idx: int) -> None:
        # What is drawn depends on the step alone, so that a resumed run draws what an unbroken one would.
        draws = np.random.default_rng((self.config.seed, self.global_step))
        torch.manual_seed(int(draws.integers(2**63)) + self.ranks.rank)  # of dropout
        self.corners = draws.integers(SAMPLED, size=(self.config.accumulate, 2))
        progress = greatest(self.progress_now())  # one clock, or the rates of the processes would differ
        factor = learning_rate(self.config.schedule, progress)
        set_learning_rate(self.trainer.optimizers[0], self.config, factor)

    def training_step(self, batch: list[Crops], batch_idx: int) -> Tensor:
        """Gives the loss of the whole batch, over all processes."""
        optimiser = self.optimizers()
        assert isinstance(optimiser, LightningOptimizer)
        optimiser.zero_grad()
        loss = self._require_finite(self._losses(batch, learn=True))
        optimiser.step()
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=self.config.batch_size, logger=False)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: list[Crops], batch_idx: int) -> None:
        """What an epoch's last step did shows in the next loss alone: it is looked at before the weights are kept."""
        if self.trainer.is_last_batch:
            self.eval()  # changes no statistics and draws no dropout
            with torch.no_grad(), self.trainer.precision_plugin.forward_context():
                self._require_finite(self._losses(batch, learn=False))
            self.train()

    def _losses(self, batch: list[Crops], *, learn: bool) -> Tensor:
        """This process's share of the loss, after which each parameter holds its gradient, of all processes."""
        whole = self._whole([masks for _, masks in batch])
        total = torch.zeros((), device=self.device)
        for number, (frames, masks) in enumerate(batch, start=1):
            loss = self.share_of_loss(frames, masks, whole, self.corners[number - 1])
            if learn:
                with nullcontext() if number == len(batch) else self._apart():
                    self.manual_backward(loss * self.ranks.world)  # a share, and DDP takes the mean of all
            total += loss.detach()
        return total

    def _whole(self, masks: list[Tensor]) -> Tensor | float:
        return labelled_weight(masks, self.class_weights) if self.config.loss_reduction == "mean" else 1.0

    def share_of_loss(self, frames: Tensor, masks: Tensor, whole: Tensor | float, corner: Any) -> Tensor:
        """What a micro-batch adds to the loss of the whole batch."""
        scores = self.network(self.preprocessing.normalise(frames))
        # Contiguous first: softmax over the strided class axis of a channels-last map is several times slower.
        scores = scores.contiguous().float()
        loss = cross_entropy(scores, masks, self.class_weights, whole)
        if not self.config.iou_loss:
            return loss
        share = self.config.iou_loss / self.config.accumulate
        return loss + share * lovasz_softmax(*sampled_pixels(scores, masks, corner))

    def _apart(self) -> AbstractContextManager[None]:
        """Where gradients stay with their process: those of all are added up in the last micro-batch."""
        strategy = self.trainer.strategy
        return strategy.block_backward_sync() if isinstance(strategy, DDPStrategy) else nullcontext()

    def _require_finite(self, share: Tensor) -> Tensor:
        loss = summed(share)
        if not torch.isfinite(loss):
            raise ModelError(
                f"wanted a finite loss, found {loss.item()} in epoch {self.current_epoch + 1}; "
                f"lower --learning-rate and go on with --resume, from the end of epoch {self.epochs_done}"
            )
        return loss

    def on_validation_epoch_start(self) -> None:
        self.confusion = ConfusionMatrix(self.names)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The masks (N, H, W) uint8."""
        frames, masks = batch
        predicted: Tensor = self.network(self.preprocessing.normalise(frames)).argmax(1).to(torch.uint8)
        for truth, prediction in zip(masks.cpu().numpy(), predicted.cpu().numpy(), strict=True):
            self.confusion.update(truth, prediction)
        return predicted

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["elapsed_s"], checkpoint["best_iou"] = self.elapsed_s, self.best_iou
        checkpoint["epochs_done"] = self.epochs_done

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Runs of before there were micro-batches counted their steps at another place.
        steps = checkpoint["loops"]["fit_loop"]["epoch_loop.manual_optimization.optim_step_progress"]["total"]
        steps["ready"] = steps["completed"] = checkpoint["global_step"]
        self.earlier_s, self.best_iou = checkpoint["elapsed_s"], checkpoint["best_iou"]
        self.epochs_done = checkpoint["epochs_done"]


Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
NAMED: dict[str, Precision] = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def quick_precision(precision: str) -> Precision:
    """Lightning's name for 32, bf16, fp16 or auto: half precision only where the hardware multiplies it natively.

    Raises UsageError for fp16 without a GPU: its loss is scaled against underflow, which takes one.
    """
    if precision == "fp16" and not torch.cuda.is_available():
        raise UsageError("wanted a GPU for --precision fp16, found none; use bf16 or 32")
    if precision != "auto":
        return NAMED[precision]
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}  # torch >= 2.11
    native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16"))
    return "bf16-mixed" if native else "32-true"


def parameter_count(network: nn.Module) -> int:
    """Weights that training moves; the fixed bilinear kernel is none."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
