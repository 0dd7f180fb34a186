"""Says on stderr how a stream goes: on a terminal one line that is kept up to date, in a log as few as will do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from rich.console import Console
from rich.live import Live
from rich.text import Text

from fcn_edge.progress import say
from runtime.stream.log_lines import Condition, carried, conditions, headline, line_for, said
from runtime.stream.status import Status

FIRST_S, MOST_S = 10.0, 600.0  # between two lines that tell how it goes: twice as long each time while nothing changes
AT_ONCE, ONE_MORE_S = 10, 60.0  # lines of one source or sink that changes all the time: so many, then one a minute


@contextmanager
def telling() -> Iterator[Callable[[Status], None]]:
    """What to call once a second while the block runs."""
    if not sys.stderr.isatty():
        yield Log()
        return
    console = Console(stderr=True)
    # Standard output belongs to results; what others say on stderr meanwhile goes above the line.
    with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live:
        changes = Changes(lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True))

        def tell(status: Status) -> None:
            changes(status)
            live.update(Text(headline(status), no_wrap=True, overflow="ellipsis"), refresh=True)

        yield tell


class Log:
    """Every change at once, and now and then how it goes."""

    def __init__(self, write: Callable[[str], object] = say, clock: Callable[[], float] = monotonic) -> None:
        self._write, self._clock = write, clock
        self._changes = Changes(write, clock)
        self._every_s, self._told_s = FIRST_S, clock()

    def __call__(self, status: Status) -> None:
        if self._changes(status):
            self._every_s, self._told_s = FIRST_S, self._clock()
        elif self._clock() - self._told_s >= self._every_s:
            self._every_s, self._told_s = min(2 * self._every_s, MOST_S), self._clock()
            self._write(headline(status))


@dataclass
class _Subject:
    """A source, a sink or the stream, as the log knows it."""

    told: Condition
    seen: Condition
    refilled_s: float
    untold: int = 0  # changes since the last line
    lines: float = AT_ONCE  # that it may have now

    def may_speak(self, now_s: float) -> bool:
        self.lines = min(AT_ONCE, self.lines + (now_s - self.refilled_s) / ONE_MORE_S)
        self.refilled_s = now_s
        return self.lines >= 1


class Changes:
    """Writes a line for what changed, but not without end for what changes without end: then it counts."""

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float] = monotonic) -> None:
        self._write, self._clock = write, clock
        self._subjects: dict[str, _Subject] = {}

    def __call__(self, status: Status) -> bool:
        """Whether it wrote any."""
        lines = [self._line(name, condition) for name, condition in conditions(status).items()]
        for line in filter(None, lines):
            self._write(line)
        return any(lines)

    def _line(self, name: str, condition: Condition) -> str | None:
        subject = self._subjects.get(name)
        if subject is None:
            self._subjects[name] = _Subject(condition, condition, self._clock())
            return line_for(name, None, condition)
        subject.untold += line_for(name, subject.seen, condition) is not None
        subject.seen = carried(subject.seen, condition)
        if not subject.untold or not subject.may_speak(self._clock()):
            return None
        line = line_for(name, subject.told, subject.seen) or said(name, subject.seen.state, subject.seen.reasons)
        between = f" ({subject.untold} changes since it was last told)" if subject.untold > 1 else ""
        subject.told, subject.untold, subject.lines = subject.seen, 0, subject.lines - 1
        return line + between
