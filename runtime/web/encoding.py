"""A segmented frame as viewers get it: encoded when first wanted, and once, however many watch.

A live message is four bytes (little endian) with the length of a JSON header, the header, the JPEG of the camera's
frame and the palette PNG of the model's mask: the browser lays one over the other as its viewer likes.
"""

from __future__ import annotations

import threading
from collections import Counter
from enum import Enum
from time import monotonic_ns
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.files import json_text
from fcn_edge.images import restore_mask
from fcn_edge.palette_png import encode_palette_png
from runtime.latency import Stopwatch
from runtime.sinks.sink import Segmented, SinkContext
from runtime.web.options import WebOptions

Image = NDArray[np.uint8]


class Form(str, Enum):
    """How a viewer wants its frames."""

    LIVE = "live"  # frame and mask apart, for the page
    STREAM = "stream"  # a JPEG of both together


class Encoder:
    """Encodes for any thread; `counts` tells how often it did."""

    def __init__(self, context: SinkContext, options: WebOptions) -> None:
        self._labels, self._view, self._overlay = context.labels, context.view, context.overlay()
        self._options = options
        self.lock = threading.Lock()  # of the overlay, which keeps a legend, and of each frame's bytes
        self.counts: Counter[Form] = Counter()

    def encode(self, segmented: Segmented, form: Form, watch: Stopwatch) -> bytes:
        self.counts[form] += 1
        return self._live(segmented, watch) if form is Form.LIVE else self._jpeg_of_both(segmented, watch)

    def _jpeg_of_both(self, segmented: Segmented, watch: Stopwatch) -> bytes:
        with watch("overlay"):
            image = self._shrunk(segmented.frame.image)
            mask = restore_mask(segmented.mask, (image.shape[0], image.shape[1]))
            picture = self._overlay.draw(image, mask, self._view)
        with watch("encode"):
            return self._jpeg(picture)

    def _live(self, segmented: Segmented, watch: Stopwatch) -> bytes:
        with watch("encode"):
            jpeg = self._jpeg(self._shrunk(segmented.frame.image))
            mask = segmented.mask if segmented.model_mask is None else segmented.model_mask
            png = encode_palette_png(mask, self._labels.colours_bgr())
            header = {**self._header(segmented), "jpeg_bytes": len(jpeg), "png_bytes": len(png)}
            words = json_text(header).encode()
            return b"".join((len(words).to_bytes(4, "little"), words, jpeg, png))

    def _header(self, segmented: Segmented) -> dict[str, Any]:
        frame, shares = segmented.frame, segmented.pixels / segmented.mask.size
        return {
            "source": frame.source,
            "index": frame.index,
            "size_hw": list(frame.image.shape[:2]),
            "age_ms": round(segmented.age_ms, 3),
            "received_ns": frame.received_ns,
            "masked_ns": segmented.masked_ns,
            "encoded_ns": monotonic_ns(),
            "times_ms": {stage: round(value, 3) for stage, value in segmented.times_ms.items()},
            "class_shares": dict(zip(self._labels.names, shares.round(5).tolist(), strict=False)),
        }

    def _shrunk(self, image: Image) -> Image:
        """The image, or a smaller one: of a camera's 4K a browser shows a part of the pixels anyway."""
        height, width = image.shape[:2]
        factor = self._options.longest_side / max(height, width)
        if factor >= 1:
            return image
        size_wh = max(1, round(width * factor)), max(1, round(height * factor))
        return np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)

    def _jpeg(self, image: Image) -> bytes:
        encoded, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self._options.jpeg_quality])
        if not encoded:
            raise ValueError(f"OpenCV cannot encode a picture of shape {image.shape} as JPEG")
        return jpeg.tobytes()


class Shown:
    """A frame on its way to viewers."""

    def __init__(self, segmented: Segmented, encoder: Encoder) -> None:
        self.segmented, self._encoder = segmented, encoder
        self._encoded: dict[Form, bytes] = {}

    @property
    def source(self) -> str:
        return self.segmented.frame.source

    @property
    def age_ms(self) -> float:
        """Now."""
        return 1e-6 * (monotonic_ns() - self.segmented.frame.received_ns)

    def encoded(self, form: Form) -> bytes | None:
        """What was encoded already."""
        return self._encoded.get(form)

    def encode(self, form: Form, watch: Stopwatch | None = None) -> bytes:
        """Takes milliseconds the first time: not for an event loop."""
        with self._encoder.lock:
            if form not in self._encoded:
                self._encoded[form] = self._encoder.encode(self.segmented, form, watch or Stopwatch())
            return self._encoded[form]
