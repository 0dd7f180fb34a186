"""Charts as a file of the user's choice: a page with words and tables, or a picture of the charts alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import UsageError
from fcn_edge.files import require_writable, whole_file
from fcn_edge.report import Section, html_page

PAGES, PICTURES = (".html", ".htm"), (".png",)


def require_plot(path: Path) -> None:
    """Before the long work: raises UsageError for a file of another kind, or a PNG without Pillow; OutputError."""
    if path.suffix.lower() in PICTURES:
        _drawer()
    elif path.suffix.lower() not in PAGES:
        raise UsageError(f"wanted --plot FILE.html or FILE.png, found {path}; choose one of them")
    require_writable(path.absolute().parent)


def save_plot(path: Path, title: str, sections: Sequence[Section]) -> None:
    """One page, or the sections' charts one below the other; raises OutputError."""
    if path.suffix.lower() in PICTURES:
        draw = _drawer()
        content = cv2.imencode(".png", _stacked([draw(one.svg) for one in sections if one.svg]))[1].tobytes()
    else:
        content = html_page(title, sections).encode()
    with whole_file(path) as partial:
        partial.write_bytes(content)


def _stacked(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """(H, W, 3) each, on white where one is narrower than the widest."""
    widest = max(picture.shape[1] for picture in pictures)
    padded = [np.pad(one, ((0, 0), (0, widest - one.shape[1]), (0, 0)), constant_values=255) for one in pictures]
    return np.concatenate(padded)


def _drawer() -> Callable[[str], NDArray[np.uint8]]:
    try:
        from fcn_edge.chart_png import picture_of_chart
    except ImportError:
        raise UsageError(
            "--plot wanted the package pillow for a PNG, found none; pip install pillow, or name FILE.html"
        ) from None
    return picture_of_chart
