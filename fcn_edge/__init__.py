"""The ground of fcn-edge: what every stage shares, the command-line door and the training stage."""

import os

__version__ = "0.1.0"

# OpenCV reads these once, when it is first imported, by whichever module does: so they are set before any of ours is.
MAX_PIXELS = 50_000_000  # a 17 kB PNG may otherwise unpack to gigabytes
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # what cannot be decoded is told once, by us
