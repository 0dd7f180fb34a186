"""Masks that were saved in the colours of their classes: back to ids by exact match, so nothing is guessed.

They are read and not refused because the class list beside them holds every colour already: all that a user could do
with a refusal is to write this file. A colour of no class (a JPEG's, or an edge that a painting program smoothed) is.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import SourceError
from fcn_edge.labels import RGB, VOID, LabelSet


def ids_from_colours(path: Path, colours_bgr: NDArray[np.uint8], labels: LabelSet, void_rgb: RGB) -> NDArray[np.uint8]:
    """(H, W) uint8 class ids, VOID where `void_rgb` is painted, of a (H, W, 3) picture read from `path`."""
    codes, ids = _table(path, labels, void_rgb)
    painted = _codes(colours_bgr[..., ::-1])
    nearest = np.searchsorted(codes, painted).clip(max=len(codes) - 1)
    strange = painted[codes[nearest] != painted]
    if strange.size:
        code = int(strange.min())
        count = np.count_nonzero(strange == code)
        raise SourceError(
            f"{path}: wanted class ids, or the colours of the class list, found RGB {_rgb(code)} in {count} pixels "
            f"({strange.size} of no class's colour); save 8-bit class ids, or mend the colours or the list"
        )
    return np.asarray(ids[nearest], np.uint8)


def require_own_colours(path: Path, ids: NDArray[np.uint8], palette: NDArray[np.uint8], labels: LabelSet) -> None:
    """Raises SourceError where a palette PNG shows its class ids (H, W) in colours of the list, but of other classes.

    A program that made the palette anew, from a mask in colours, numbers them in an order of its own. A palette of
    other colours says nothing.
    """
    used = np.flatnonzero(np.bincount(ids.ravel())[: min(len(labels), len(palette))])  # void is not among them
    shown = {int(i): tuple(map(int, palette[i])) for i in used}
    strange = [i for i, colour in shown.items() if labels.palette[i] != colour]
    if len(used) < 2 or not strange or any(colour not in labels.palette for colour in shown.values()):
        return
    other = labels.names[labels.palette.index(shown[strange[0]])]
    raise SourceError(
        f"{path}: wanted a palette that shows each class in its own colour, found {strange[0]} in that of {other}; "
        "save it in colours without a palette, or with the ids of the class list"
    )


def _table(path: Path, labels: LabelSet, void_rgb: RGB) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    twins = _twins(labels)
    if twins:
        raise SourceError(
            f"{path}: wanted class ids, for {' and '.join(twins)} have one colour, found a mask in colours; "
            "save 8-bit class ids"
        )
    return _sorted_table(labels, void_rgb)


def _twins(labels: LabelSet) -> tuple[str, ...]:
    """The first classes that share a colour."""
    by_colour: dict[RGB, list[str]] = {}
    for name, colour in zip(labels.names, labels.palette, strict=True):
        by_colour.setdefault(colour, []).append(name)
    return next((tuple(names) for names in by_colour.values() if len(names) > 1), ())


@lru_cache(maxsize=8)
def _sorted_table(labels: LabelSet, void_rgb: RGB) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Every colour as one number, in order, and the id of each; where void looks like a class, the class counts."""
    by_colour = {void_rgb: VOID, **{colour: i for i, colour in enumerate(labels.palette)}}
    codes = _codes(np.array(list(by_colour), np.uint8))
    order = np.argsort(codes)
    return codes[order], np.array(list(by_colour.values()), np.uint8)[order]


def _codes(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    red, green, blue = np.moveaxis(rgb.astype(np.int32), -1, 0)
    return np.asarray(red << 16 | green << 8 | blue, np.int32)


def _rgb(code: int) -> RGB:
    return code >> 16, code >> 8 & 255, code & 255
