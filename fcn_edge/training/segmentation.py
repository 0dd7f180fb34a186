"""One step of training and one of validation, for Lightning: loss, learning rate, confusion matrix."""

from __future__ import annotations

import time
from typing import Any, Literal

import numpy as np
import torch
from lightning import LightningModule
from numpy.typing import NDArray
from torch import Tensor, nn

from fcn_edge.errors import ModelError
from fcn_edge.metrics import ConfusionMatrix
from fcn_edge.training.checkpoint import Checkpoint
from fcn_edge.training.config import TrainingConfig
from fcn_edge.training.loss import segmentation_loss
from fcn_edge.training.network import channels_last
from fcn_edge.training.optimiser import optimiser_of, set_learning_rate
from fcn_edge.training.schedule import learning_rate, training_progress


class Segmentation(LightningModule):
    """The network under training."""

    def __init__(
        self, checkpoint: Checkpoint, config: TrainingConfig, weights: NDArray[np.float32], total_steps: int
    ) -> None:
        super().__init__()
        self.network = channels_last(checkpoint.network)
        self.preprocessing = checkpoint.preprocessing
        self.config = config
        self.names = checkpoint.labels.names
        self.total_steps = total_steps
        self.class_weights: Tensor
        self.register_buffer("class_weights", torch.from_numpy(weights), persistent=False)
        self.earlier_s = 0.0  # what the runs before this one took, when it is resumed
        self.started = time.monotonic()
        self.best_iou = -1.0
        self.epochs_done = 0
        self.confusion = ConfusionMatrix(self.names)
        for drop in (self.network.drop6, self.network.drop7):
            drop.p = config.dropout
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

    def progress_now(self) -> float:
        limit = self.config.max_minutes
        return training_progress(self.global_step, self.total_steps, self.elapsed_s, limit * 60 if limit else None)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # Dropout depends on the step alone, so that a resumed run draws what an unbroken one would.
        torch.manual_seed(int(np.random.default_rng((self.config.seed, self.global_step)).integers(2**63)))
        factor = learning_rate(self.config.schedule, self.progress_now())
        set_learning_rate(self.trainer.optimizers[0], self.config, factor)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        frames, masks = batch
        scores = self.network(self.preprocessing.normalise(frames))
        config = self.config
        loss = segmentation_loss(scores, masks, self.class_weights, config.loss_reduction, config.iou_loss)
        self._require_finite(loss)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(frames))
        return loss

    def on_train_batch_end(self, outputs: Any, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """What an epoch's last step made of the weights shows in no loss; they are not kept before it is seen."""
        if self.trainer.is_last_batch:
            self.eval()  # changes no statistics
            with torch.no_grad(), self.trainer.precision_plugin.forward_context():
                scores = self.network(self.preprocessing.normalise(batch[0]))
            self._require_finite(scores.abs().amax())
            self.train()

    def _require_finite(self, value: Tensor) -> None:
        if not torch.isfinite(value):
            raise ModelError(
                f"wanted a finite loss, found {value.item()} in epoch {self.current_epoch + 1}; "
                f"lower --learning-rate and go on with --resume, from the end of epoch {self.epochs_done}"
            )

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
        self.earlier_s, self.best_iou = checkpoint["elapsed_s"], checkpoint["best_iou"]
        self.epochs_done = checkpoint["epochs_done"]


Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


def quick_precision(precision: str) -> Precision:
    """Lightning's name for 32, bf16 or auto: half precision only where the hardware multiplies it natively."""
    if precision != "auto":
        return "bf16-mixed" if precision == "bf16" else "32-true"
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}  # torch >= 2.11
    native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16"))
    return "bf16-mixed" if native else "32-true"


def parameter_count(network: nn.Module) -> int:
    """Weights that training moves; the fixed bilinear kernel is none."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
