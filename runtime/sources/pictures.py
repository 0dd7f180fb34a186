"""Pictures as a source: one file, or a folder's in the order of their names."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import SourceError
from fcn_edge.images import read_image
from fcn_edge.progress import say
from runtime.sources.frame import Frame


class PictureSource:
    """Picture files in order. One alone must be readable; of many, bad ones are told, counted and left out."""

    rate: Fraction | None = None

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.count: int | None = len(paths)
        self.bad = 0

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for path in self.paths:
            image = self._read(path)
            if image is not None:
                yield Frame(image, index, path.name)
                index += 1
        if not index:
            raise SourceError(f"wanted at least one readable picture, found none among {len(self.paths)}; convert them")

    def _read(self, path: Path) -> NDArray[np.uint8] | None:
        try:
            return read_image(path)
        except SourceError as error:
            if len(self.paths) == 1:
                raise
            say(f"left out: {error}")
            self.bad += 1
            return None

    def close(self) -> None:
        """Nothing is open between two pictures."""
