"""A session on onnxruntime's CPU provider."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from fcn_edge.errors import ModelError, first_line
from fcn_edge.manifest import ModelFacts

ERRORS_ONLY = 3  # of onnxruntime's log: what matters to the user comes as an exception


class OrtSession:
    """One of our ONNX files, opened; the file's own metadata tells classes and size."""

    parts_ms: Mapping[str, float] = {}

    def __init__(self, path: Path, threads: int | None = None) -> None:
        """`threads` None: as many as there are cores. Raises ModelError if the file is not such a graph."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = ERRORS_ONLY
        options.intra_op_num_threads = threads or 0
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            raise ModelError(
                f"{path}: wanted an ONNX file that onnxruntime opens, found: {first_line(error)}; export it again"
            ) from None
        self.facts = ModelFacts.from_metadata(self._session.get_modelmeta().custom_metadata_map, path)
        self._require_contract(path)
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name
        self.device = f"onnxruntime {onnxruntime.__version__}, CPU, {f'{threads} threads' if threads else 'all cores'}"

    def _require_contract(self, path: Path) -> None:
        """A uint8 frame (1, H, W, 3) in, a uint8 mask (1, H, W) out."""
        height, width = self.facts.size_hw
        wanted = [("tensor(uint8)", [1, height, width, 3]), ("tensor(uint8)", [1, height, width])]
        ends = [*self._session.get_inputs(), *self._session.get_outputs()[:1]]
        found = [(end.type, end.shape) for end in ends]
        if found != wanted:
            raise ModelError(f"{path}: wanted a graph from {wanted[0]} to {wanted[1]}, found {found}; export it again")

    def infer(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A frame (H, W, 3) BGR uint8 to its mask (H, W) uint8, a fresh array."""
        if self._session is None:
            raise RuntimeError("this session is closed")
        mask: NDArray[np.uint8] = self._session.run([self._output], {self._input: frame[None]})[0][0]
        return mask

    def close(self) -> None:
        self._session = None

    def __enter__(self) -> OrtSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
