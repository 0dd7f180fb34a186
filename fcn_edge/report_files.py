"""A page as files: alone, or in a folder with its pictures and its numbers beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.files import require_writable, whole_file, write_json
from fcn_edge.progress import say
from fcn_edge.report import Section, html_page

PAGE, NUMBERS = "report.html", "report.json"


def require_place(target: Path) -> None:
    """Raises OutputError where `save_report` could not write, before the long work."""
    require_writable(target.absolute().parent if _is_page(target) else target)


def save_report(target: Path, title: str, sections: Sequence[Section], numbers: Mapping[str, Any]) -> None:
    """FILE.html alone, or into a folder: the page, a PNG of each section that names a file, and a JSON of `numbers`."""
    page = html_page(title, sections)
    if _is_page(target):
        _write(target, page.encode())
        return
    write_json(target / NUMBERS, numbers)
    for name, picture in _pictures(sections).items():
        _write(target / f"{name}.png", cv2.imencode(".png", picture)[1].tobytes())
    _write(target / PAGE, page.encode())


def _is_page(target: Path) -> bool:
    return target.suffix.lower() in (".html", ".htm") and not target.is_dir()


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as partial:
        partial.write_bytes(content)


def _pictures(sections: Sequence[Section]) -> dict[str, NDArray[np.uint8]]:
    """Charts are left out where Pillow is not installed: a device need not have it, and the page holds them."""
    pictures = {section.file: section.picture for section in sections if section.file and section.picture is not None}
    charts = {section.file: section.svg for section in sections if section.file and section.picture is None}
    try:
        from fcn_edge.chart_png import picture_of_chart
    except ImportError:
        say(f"charts stand in {PAGE} only; pip install pillow draws them as PNG too")
        return pictures
    return {**pictures, **{name: picture_of_chart(svg) for name, svg in charts.items()}}
