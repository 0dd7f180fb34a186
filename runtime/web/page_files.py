"""The page's own files, read when the server opens: no request ever names a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "page"
FRONT = "index.html"  # is the page's "/"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


@dataclass(frozen=True)
class PageFile:
    """One answer."""

    body: bytes
    content_type: str


def read_page(folder: Path = FOLDER) -> Mapping[str, PageFile]:
    """path -> file, such as /page.js."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in TYPES)
    return {
        "/" if path.name == FRONT else f"/{path.name}": PageFile(path.read_bytes(), TYPES[path.suffix])
        for path in paths
    }
