"""A gallery in TensorBoard: frame, truth and mask of a few validation pictures, the same after each validation."""

from __future__ import annotations

from typing import Any

import numpy as np
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray

from fcn_edge.contact_sheet import sheet, spread
from fcn_edge.images import colourise
from fcn_edge.labels import LabelSet

PICTURES = 4
ROW_HEIGHT = 120  # pixels; a gallery takes some 100 kB of the log


class Gallery(Callback):
    """Shows what validation computes anyway."""

    def __init__(self, labels: LabelSet) -> None:
        self.labels = labels
        self.rows: list[list[NDArray[np.uint8]]] = []

    def on_validation_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.rows = []
        self.chosen = spread(int(trainer.num_val_batches[0]), PICTURES)

    def on_validation_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *more: Any
    ) -> None:
        if batch_idx in self.chosen:
            frame, truth, mask = (part[0].cpu().numpy() for part in (*batch, outputs))
            self.rows.append([frame, colourise(truth, self.labels), colourise(mask, self.labels)])

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        picture = np.ascontiguousarray(sheet(["frame", "truth", "mask"], self.rows, ROW_HEIGHT)[..., ::-1])  # RGB
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("validation", picture, trainer.global_step, dataformats="HWC")
