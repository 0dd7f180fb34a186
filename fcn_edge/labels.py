"""The classes of a dataset: their names, their colours, and what the number 255 means. Not the masks themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import SourceError

RGB = tuple[int, int, int]

# Pixels without a label, everywhere in fcn-edge, whatever number a dataset's own files use (PASCAL VOC's convention).
VOID = 255
BLACK: RGB = (0, 0, 0)  # what void looks like, unless a dataset has a colour for it


@dataclass(frozen=True)
class LabelSet:
    """Class names and their RGB colours; a class id is its position."""

    names: tuple[str, ...]
    palette: tuple[RGB, ...]

    def __post_init__(self) -> None:
        if not self.names or len(self.names) != len(self.palette):
            raise ValueError(f"{len(self.names)} class names and {len(self.palette)} colours do not make a label set")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"class names must differ, found {', '.join(self.names)}")
        if len(self.names) > VOID:
            raise ValueError(f"a uint8 mask holds at most {VOID} classes, not {len(self.names)}")

    def __len__(self) -> int:
        return len(self.names)

    def colours_bgr(self) -> NDArray[np.uint8]:
        """(256, 3) BGR: the colour of every possible mask value; black where there is no class."""
        table = np.zeros((256, 3), np.uint8)
        table[: len(self)] = np.array(self.palette, np.uint8)[:, ::-1]
        return table

    def to_json(self) -> list[dict[str, Any]]:
        rows = zip(self.names, self.palette, strict=True)
        return [{"id": i, "name": name, "rgb": list(rgb)} for i, (name, rgb) in enumerate(rows)]

    @classmethod
    def from_json(cls, rows: Any) -> LabelSet:
        """From `[{"id": 0, "name": "sky", "rgb": [r, g, b]}, ...]` in any order; raises ValueError."""
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise ValueError("classes must be a list of objects")
        try:
            by_id = sorted((int(row["id"]), str(row["name"]), tuple(int(v) for v in row["rgb"])) for row in rows)
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"a class needs id, name and rgb ({error!r})") from None
        if [row[0] for row in by_id] != list(range(len(by_id))):
            raise ValueError(f"class ids must count 0, 1, 2 ..., found {[row[0] for row in by_id]}")
        if any(len(rgb) != 3 or not all(0 <= value <= 255 for value in rgb) for _, _, rgb in by_id):
            raise ValueError("rgb must be three numbers from 0 to 255")
        return cls(tuple(row[1] for row in by_id), tuple((r, g, b) for _, _, (r, g, b) in by_id))


@dataclass(frozen=True)
class ClassList:
    """What a class list says: the label set, and how the masks beside it mark void."""

    labels: LabelSet
    ignore_index: int = VOID
    void_rgb: RGB = BLACK  # in masks that were saved in colours


def read_classes(path: Path) -> ClassList:
    """A `classes.json` or `labels.json`.

    The file is `{"classes": [{"id", "name", "rgb"}, ...], "ignore_index": 11}`; `ignore_index` may be missing.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        labels = LabelSet.from_json(content["classes"])
        ignore_index = content.get("ignore_index")
        ignore_index = VOID if ignore_index is None else int(ignore_index)
        if ignore_index == len(labels) - 1:  # listed for its colour; void is no class to learn
            return ClassList(LabelSet(labels.names[:-1], labels.palette[:-1]), ignore_index, labels.palette[-1])
        return ClassList(labels, ignore_index)
    except FileNotFoundError:
        raise SourceError(
            f"wanted the class list {path}, found no such file; write one, or name another folder"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise SourceError(f"{path} is not a class list: {error}; see the README for its form") from None
