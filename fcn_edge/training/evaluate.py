"""A checkpoint as a session: frames in, masks out, in float32, as the exported graph must give them too."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from fcn_edge.images import fit_frame, restore_mask
from fcn_edge.training.checkpoint import Checkpoint
from fcn_edge.training.network import channels_last


class CheckpointSession:
    """The network itself behind the runtime's seam; takes frames of any size, or stretches them to `size_hw`."""

    def __init__(self, checkpoint: Checkpoint, size_hw: tuple[int, int] | None = None) -> None:
        self.checkpoint, self.size_hw = checkpoint, size_hw
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = channels_last(checkpoint.network.to(self.device))

    @torch.inference_mode()
    def infer(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) BGR uint8 to (H, W) uint8 class ids."""
        frames = torch.from_numpy(np.ascontiguousarray(frame)).to(self.device)[None]
        scores = self.network(self.checkpoint.preprocessing.normalise(frames))
        return np.asarray(scores.argmax(1)[0].to(torch.uint8).cpu())

    def segment(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The mask at the frame's own size."""
        fitted = frame if self.size_hw is None else fit_frame(frame, self.size_hw)
        return restore_mask(self.infer(fitted), frame.shape[:2])

    def close(self) -> None:
        """Nothing to give back."""
