"""Pictures and masks in files and in memory: reading, stretching to a model's size and back, colouring. Not videos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_edge import MAX_PIXELS as MAX_PIXELS
from fcn_edge.errors import SourceError, UsageError, first_line
from fcn_edge.labels import LabelSet

try:
    import cv2
except ImportError as error:
    raise UsageError(
        f"wanted OpenCV, found: {first_line(error)}; pip install 'fcn-edge[desktop]' brings it (a Jetson has JetPack's)"
    ) from None

from fcn_edge.palette_png import decode_palette_png

IMAGE_SUFFIXES = frozenset(".jpg .jpeg .png .bmp .webp .tif .tiff .ppm .pgm .gif .avif .jp2".split())


def list_images(folder: Path) -> list[Path]:
    """The picture files right in a folder, sorted by name; raises SourceError if there is no such folder."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    except OSError as error:
        raise SourceError(f"wanted a folder of pictures, found {folder}: {error.strerror}; check the path") from None


def read_image(path: Path) -> NDArray[np.uint8]:
    """One picture as (H, W, 3) BGR uint8, exactly what `cv2.imread(path, IMREAD_COLOR)` gives, up to 50 megapixels."""
    return _decoded(path, cv2.IMREAD_COLOR)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """One mask as (H, W) uint8, the numbers in the file: 8-bit grey values, or the indices of a palette PNG."""
    mask = read_ids_or_colours(path)
    if mask.ndim != 2:
        raise _no_mask(path, f"{mask.shape[2]} channels")
    return mask


def read_ids_or_colours(path: Path) -> NDArray[np.uint8]:
    """A mask file's numbers as (H, W) uint8, or its colours, (H, W, 3) BGR uint8, where it was saved in colours."""
    try:
        indices = decode_palette_png(read_bytes(path))
    except cv2.error:
        indices = None  # `_decoded` will say why
    if indices is not None:
        _require_size(path, indices)
    mask = _decoded(path, cv2.IMREAD_UNCHANGED) if indices is None else indices
    if mask.dtype != np.uint8:
        raise _no_mask(path, f"{mask.dtype} values", "save it with 8 bits a pixel")
    if mask.ndim == 3 and mask.shape[2] == 4 and (mask[..., 3] == 255).all():
        mask = mask[..., :3]  # painted with a program that always saves transparency
    if mask.ndim == 3 and mask.shape[2] != 3:
        raise _no_mask(path, f"{mask.shape[2]} channels, not all opaque")
    return mask


def _no_mask(path: Path, found: str, remedy: str = "save class ids, not colours") -> SourceError:
    return SourceError(f"{path}: wanted a mask of one 8-bit class id a pixel, found {found}; {remedy}")


def _decoded(path: Path, flags: int) -> NDArray[np.uint8]:
    # imread and not imdecode: they differ on cut files, and a picture is what imread gives.
    empty = not read_bytes(path, 1)
    try:
        image = None if empty else cv2.imread(str(path), flags)
    except cv2.error:
        image = None  # over the limit of pixels
    if image is None:
        what = "an empty file" if empty else "none that OpenCV can decode (damaged, unknown, or over 50 megapixels)"
        raise SourceError(f"{path}: wanted a picture, found {what}; convert it or leave it out")
    _require_size(path, image)
    return np.asarray(image)


def _require_size(path: Path, image: NDArray[Any]) -> None:
    if image.shape[0] * image.shape[1] > MAX_PIXELS:
        raise SourceError(
            f"{path}: wanted at most 50 megapixels, found {image.shape[1]}x{image.shape[0]}; scale it down"
        )


def read_bytes(path: Path, count: int = -1) -> bytes:
    """The first `count` bytes of a file, or all; raises SourceError."""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise SourceError(f"{path}: wanted a readable file, found: {error.strerror}; check the path") from None


def fit_frame(frame: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """A frame (H, W, 3) stretched bilinearly to a model's size; the frame itself where the size is right already.

    The one way in for evaluation, calibration and runtime alike, so that all three see the same pixels.
    """
    if frame.shape[:2] == size_hw:
        return frame
    return np.asarray(cv2.resize(frame, size_hw[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def restore_mask(mask: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """The way back: a mask (h, w) brought to the frame's size by nearest neighbour, pixel centres aligned."""
    if mask.shape == size_hw:
        return mask
    return np.asarray(cv2.resize(mask, size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)


def colourise(mask: NDArray[np.uint8], labels: LabelSet) -> NDArray[np.uint8]:
    """A new (H, W, 3) BGR picture of a (H, W) mask in its palette; void is black."""
    table = labels.colours_bgr()[:, None]  # (256, 1, 3), as OpenCV wants it, which is ten times faster than numpy
    return np.asarray(cv2.applyColorMap(mask, table), np.uint8)
