"""How to train: every number that a training depends on, beside its network and its data."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from fcn_edge.errors import UsageError


@dataclass(frozen=True)
class TrainingConfig:
    """How to train; stored in every checkpoint. The recipe `edge` has the same values."""

    epochs: int = 50
    batch_size: int = 4  # pictures of a step, over all processes
    accumulate: int = 1  # micro-batches, one after another, that make the batch: less memory, the same step
    crop_hw: tuple[int, int] | None = (352, 480)  # multiples of 32 waste nothing on padding; None: whole pictures
    augment: bool = True
    paste: float = 0.5  # share of the crops into which things of rare classes are pasted from another
    optimizer: str = "adamw"  # or sgd
    learning_rate: float = 1.5e-3
    bias_rate_factor: float = 1.0  # of biases and batch norm, on the learning rate; they are never decayed
    weight_decay: float = 1e-2
    momentum: float = 0.9  # of sgd
    schedule: str = "one-cycle"  # or cosine or fixed
    loss_reduction: str = "mean"  # over a batch's labelled pixels; or sum, the paper's unnormalised loss
    iou_loss: float = 1.0  # weight of the Lovasz-softmax loss, which stands for mean IoU, beside cross entropy's 1
    dropout: float = 0.1  # after fc6 and fc7; the paper's 0.5 starves a narrow fc_dim
    freeze_norm: bool = False  # batch norm keeps the statistics that it starts with
    averaging: float = 0.995  # decay of the averaged weights that are validated and kept; 0 keeps the last ones
    class_weights: bool = True
    seed: int = 0
    deterministic: bool = False  # only operators that give the same to the bit each time
    workers: int = 1
    precision: str = "auto"  # 32, bf16, fp16, or what the machine is quick at
    compile: bool = False  # by torch.compile
    validate_every: int = 2  # epochs; the last one is validated always
    max_minutes: float | None = None  # anneals the schedule to end in this time, whole epochs

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise UsageError(f"wanted a finite {field.name.replace('_', ' ')}, found {value}; change it")
        if not self.learning_rate > 0 or not self.weight_decay >= 0:
            raise UsageError(
                f"wanted a positive learning rate and a weight decay that is not negative, "
                f"found {self.learning_rate} and {self.weight_decay}; change them"
            )
        if self.deterministic and self.max_minutes is not None:
            raise UsageError(
                "wanted a deterministic training, found --max-minutes, which follows the clock; leave one of them out"
            )
