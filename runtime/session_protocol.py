"""What every session is: the seam between a stream and whatever computes masks. `session.open_session` makes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcn_edge.labels import LabelSet
from fcn_edge.manifest import ModelFacts


class Session(Protocol):
    """An opened model. One thread uses it at a time."""

    facts: ModelFacts
    device: str  # what computes, for reports: library, version, processor, threads
    parts_ms: Mapping[str, float]  # of the last infer, by the device's own clock; empty where the engine tells none

    def infer(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A frame (H, W, 3) BGR uint8 of `facts.size_hw` to its mask (H, W) uint8, which the caller owns."""

    def close(self) -> None: ...

    def __enter__(self) -> Session: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FakeSession:
    """A session that is any function, for tests and for measuring everything but the model."""

    device = "a function"
    parts_ms: Mapping[str, float] = {}

    def __init__(
        self, infer: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], labels: LabelSet, size_hw: tuple[int, int]
    ) -> None:
        self.infer = infer
        self.facts = ModelFacts(labels, size_hw, "none")

    def close(self) -> None:
        """Nothing to give back."""

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
