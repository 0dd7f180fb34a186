"""Results for people: tables on the terminal, and the one renderer of HTML pages that need nothing from outside."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from fcn_edge.metrics import Scores

HEADLINES = (
    ("pixel_accuracy", "pixel accuracy"),
    ("mean_accuracy", "mean accuracy"),
    ("mean_iou", "mean IoU"),
    ("frequency_weighted_iou", "frequency-weighted IoU"),
)

WORDS = 4  # what is longer is prose, and starts at the left

STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem; border-bottom: 1px solid #8884; text-align: right; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; image-rendering: crisp-edges; }
svg { display: block; max-width: 100%; height: auto; margin: .8rem 0; }
"""


def console(*, stderr: bool = False) -> Console:
    """Where results go: standard output, as wide as it is; a log gets 120 columns."""
    plain = Console(stderr=stderr, markup=False, emoji=False)
    return plain if plain.is_terminal else Console(stderr=stderr, width=120, markup=False, emoji=False)


def percent(fraction: float | None) -> str:
    return "-" if fraction is None or fraction != fraction else f"{100 * fraction:.2f}"


def score_rows(columns: Mapping[str, Scores]) -> list[list[str]]:
    """A row of percents for each of the paper's four scores and for the IoU of each class; a column per artifact."""
    rows = [[name, *(percent(getattr(scores, key)) for scores in columns.values())] for key, name in HEADLINES]
    classes = next(iter(columns.values())).per_class_iou
    return rows + [[name, *(percent(scores.per_class_iou[name]) for scores in columns.values())] for name in classes]


def print_scores(columns: Mapping[str, Scores], title: str) -> None:
    """`score_rows` on standard output."""
    print_table(title, [["%", *columns], *score_rows(columns)], section_after=len(HEADLINES))


def print_table(title: str, rows: Sequence[Sequence[str]], *, section_after: int = 0, stderr: bool = False) -> None:
    """A title and a table, its first row the header, numbers to the right; a line below row `section_after`."""
    table = Table(*rows[0])
    table.columns[0].overflow = "fold"  # a name cut short may be another's
    for number, row in enumerate(rows[1:], start=1):
        table.add_row(*row, end_section=number == section_after)
    for index, column in enumerate(table.columns[1:], start=1):
        if not any(len(row[index].split()) > WORDS for row in rows[1:]):
            column.justify = "right"
    out = console(stderr=stderr)
    out.print(title, style="bold", highlight=False, soft_wrap=True)
    out.print(table)


@dataclass(frozen=True)
class Section:
    """A part of a page: a heading, then any of words, a table (first row: header), a chart as SVG and a picture
    (H, W, 3) BGR.
    """

    heading: str
    text: str = ""
    rows: Sequence[Sequence[str]] = ()
    picture: NDArray[np.uint8] | None = None
    svg: str = ""
    file: str = ""  # the name, without .png, of what it shows, where a page is saved with its pictures beside it

    def html(self) -> str:
        parts = [f"<h2>{escape(self.heading)}</h2>"]
        if self.text:
            parts.append(f"<p>{escape(self.text)}</p>")
        if self.rows:
            parts.append(_table(self.rows))
        if self.svg:
            parts.append(self.svg)
        if self.picture is not None:
            png = base64.b64encode(cv2.imencode(".png", self.picture)[1].tobytes()).decode()
            parts.append(f'<img alt="{escape(self.heading)}" src="data:image/png;base64,{png}">')
        return "\n".join(parts)


def html_page(title: str, sections: Sequence[Section]) -> str:
    """One self-contained page."""
    body = "\n".join(section.html() for section in sections)
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    heading = f"<h1>{escape(title)}</h1>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{heading}\n{body}\n</body></html>\n'


def _table(rows: Sequence[Sequence[str]]) -> str:
    header = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows[1:])
    return f"<table><tr>{header}</tr>\n{body}</table>"
