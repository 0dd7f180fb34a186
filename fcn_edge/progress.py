"""One progress for every long work: a moving bar on a terminal, now and then a plain line in a log. Both on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from fcn_edge.credentials import redact

LOG_EVERY_S = 10.0  # a log wants a sign of life, not a line a frame

T = TypeVar("T")


class Step(Protocol):
    """Called once per finished item, with a few words to show beside the bar."""

    def __call__(self, note: str = "") -> None: ...


def say(text: str, *, is_secret: bool = False) -> None:
    """One plain line of news on stderr; results go to stdout. Credentials are hidden, unless they are the news."""
    print(text if is_secret else redact(text), file=sys.stderr, flush=True)


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Step]:
    """A bar of `total` items (None: nobody knows how many) while the block runs."""
    if sys.stderr.isatty():
        with _bar() as bar:
            task = bar.add_task(title, total=total, note="")
            yield lambda note="": bar.update(task, advance=1, note=note)
    else:
        yield _plain(title, total)


def tracked(items: Iterable[T], title: str, total: int) -> Iterator[T]:
    """The items of an iterable, with progress."""
    with progress(title, total) as step:
        for item in items:
            yield item
            step()


def _bar() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # standard output belongs to results, even while the bar runs
    )


def _plain(title: str, total: int | None) -> Step:
    done, told_at = 0, time.monotonic()

    def step(note: str = "") -> None:
        nonlocal done, told_at
        done += 1
        if done == total or time.monotonic() - told_at >= LOG_EVERY_S:
            told_at = time.monotonic()
            say(f"{title}: {done}{f'/{total}' if total else ''} {note}".rstrip())

    return step
