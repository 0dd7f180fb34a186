"""A chart's SVG as pixels, for whoever cannot show SVG: the strokes of `svg.py` on white paper, and no other SVG.

OpenCV draws the strokes. Its letters are few and rough, so Pillow draws the words: it comes with tensorboard and
carries a font of its own for machines that have none.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

SCALE = 2  # pixels of the picture for each of the chart's
MARGIN = 16  # pixels of the chart
PAPER, INK = 255, "#222222"
FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial.ttf")  # the first that is found
FRACTION_BITS = 4  # of OpenCV's coordinates
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}  # of SVG, to Pillow's: left, middle, right; of the baseline

Element = ElementTree.Element
Canvas = NDArray[np.uint8]  # (H, W, 3) RGB
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def picture_of_chart(svg: str) -> NDArray[np.uint8]:
    """(H, W, 3) BGR."""
    root = ElementTree.fromstring(svg)
    size_hw = [round((_number(root, side) + 2 * MARGIN) * SCALE) for side in ("height", "width")]
    canvas = np.full((*size_hw, 3), PAPER, np.uint8)
    for element in root.iter():
        if element.tag in STROKES:
            STROKES[element.tag](canvas, element)
    image = Image.fromarray(canvas)
    for element in root.iter("text"):
        _write(image, element)
    return np.ascontiguousarray(np.asarray(image)[..., ::-1])


def _rectangle(canvas: Canvas, element: Element) -> None:
    left, top, wide, high = (_number(element, name) for name in ("x", "y", "width", "height"))
    corners = (round((side + MARGIN) * SCALE) for side in (left, top, left + wide, top + high))
    x1, y1, x2, y2 = corners
    if x2 > x1 and y2 > y1:
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), _colour(element, "fill"), cv2.FILLED)
        if element.get("stroke"):
            cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), _colour(element, "stroke"), 1)


def _line(canvas: Canvas, element: Element) -> None:
    _join(canvas, element, [(_number(element, f"x{end}"), _number(element, f"y{end}")) for end in (1, 2)], 1)


def _polyline(canvas: Canvas, element: Element) -> None:
    pairs = (pair.split(",") for pair in element.get("points", "").split())
    _join(canvas, element, [(float(x), float(y)) for x, y in pairs], SCALE)


def _join(canvas: Canvas, element: Element, points: list[tuple[float, float]], thickness: int) -> None:
    fixed = np.array([[_fixed(x), _fixed(y)] for x, y in points], np.int32).reshape(-1, 1, 2)
    if len(points) > 1:
        cv2.polylines(canvas, [fixed], False, _colour(element, "stroke"), thickness, cv2.LINE_AA, FRACTION_BITS)


def _circle(canvas: Canvas, element: Element) -> None:
    centre = _fixed(_number(element, "cx")), _fixed(_number(element, "cy"))
    radius = round(_number(element, "r") * SCALE * 2**FRACTION_BITS)
    cv2.circle(canvas, centre, radius, _colour(element, "fill"), cv2.FILLED, cv2.LINE_AA, FRACTION_BITS)


STROKES: dict[str, Callable[[Canvas, Element], None]] = {
    "rect": _rectangle,
    "line": _line,
    "polyline": _polyline,
    "circle": _circle,
}


def _write(image: Image.Image, element: Element) -> None:
    x, y = ((_number(element, axis) + MARGIN) * SCALE for axis in "xy")
    font = _font(round(_number(element, "font-size") * SCALE))
    words, anchor = element.text or "", ANCHORS[element.get("text-anchor", "start")]
    if "rotate" not in element.get("transform", ""):
        ImageDraw.Draw(image).text((x, y), words, INK, font, anchor)
        return
    reach = round(font.getbbox(words)[2]) + SCALE * MARGIN  # of the words, whichever end is held
    mask = Image.new("L", (2 * reach, 2 * reach))
    ImageDraw.Draw(mask).text((reach, reach), words, 255, font, anchor)
    corner = round(x) - reach, round(y) - reach
    image.paste(INK, (*corner, corner[0] + 2 * reach, corner[1] + 2 * reach), mask.transpose(Image.Transpose.ROTATE_90))


@lru_cache
def _font(size: int) -> Font:
    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def _number(element: Element, name: str) -> float:
    return float(element.get(name, "0"))


def _fixed(value: float) -> int:
    return round((value + MARGIN) * SCALE * (1 << FRACTION_BITS))


def _colour(element: Element, what: str) -> tuple[int, ...]:
    """RGB on the paper: what lies below a stroke that lets through is taken for paper."""
    name = element.get(what, "").replace("currentColor", INK)
    opacity = float(element.get(f"{what}-opacity", "1"))
    return tuple(round(opacity * part + (1 - opacity) * PAPER) for part in ImageColor.getrgb(name)[:3])
