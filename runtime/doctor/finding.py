"""One thing that the doctor found, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass

OK, MISSING, BAD, INFO = "ok", "missing", "bad", "info"


@dataclass(frozen=True)
class Finding:
    """`verdict` is ok, missing, bad, or info where there is nothing to judge; `cure` is a command, words, or empty."""

    topic: str
    found: str
    verdict: str = INFO
    cure: str = ""

    @property
    def ails(self) -> bool:
        return self.verdict in (MISSING, BAD)
