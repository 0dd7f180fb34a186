"""The 21 classes of PASCAL VOC's segmentation and its colour map, which SBD shares."""

from __future__ import annotations

from fcn_edge.labels import RGB, VOID, LabelSet

NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def voc_colour(number: int) -> RGB:
    """The colour of a number 0..255 (VOCdevkit's VOClabelcolormap.m): its bits dealt out in turn, highest first."""
    red = green = blue = 0
    for shift in range(8):
        bits = number >> 3 * shift
        red |= (bits & 1) << 7 - shift
        green |= (bits >> 1 & 1) << 7 - shift
        blue |= (bits >> 2 & 1) << 7 - shift
    return red, green, blue


VOC_21 = LabelSet(NAMES, tuple(voc_colour(number) for number in range(len(NAMES))))
VOC_VOID_RGB = voc_colour(VOID)  # (224, 224, 192): the line around every object
