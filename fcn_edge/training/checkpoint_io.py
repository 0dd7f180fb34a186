"""How Lightning's state of a run gets into its file: in place, not by way of the system's temporary folder."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO


class InPlace(TorchCheckpointIO):
    """Lightning's own writes into TMPDIR and moves: that may be a small disk, and after a kill the file stays there."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Raises OSError."""
        state = BytesIO()  # torch.save on a full disk raises what does not say so
        torch.save(checkpoint, state)
        Path(path).write_bytes(state.getbuffer())
