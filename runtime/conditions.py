"""One thing that must hold before an engine is served: what is asked for, what is here, and what that comes to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fcn_edge.errors import ModelError, printable

OK = "ok"
REFUSED = "refused"
TRUSTED = "trusted"  # would be refused, but for --trust-engine
OTHER = "other"  # not the same, and not refused
UNKNOWN = "unknown"  # one of the two cannot be told


@dataclass(frozen=True)
class Condition:
    """One row of what `fcn-edge check` shows of an engine. Its words may be printed as they are."""

    what: str
    wanted: str
    found: str
    verdict: str
    error: ModelError | None = None  # where the verdict is `refused`: one line, with what mends it

    def trusted(self) -> Condition:
        return replace(self, verdict=TRUSTED, error=None) if self.error else self

    def to_json(self) -> dict[str, Any]:
        told = {"what": self.what, "wanted": self.wanted, "found": self.found, "verdict": self.verdict}
        return {**told, "refusal": str(self.error) if self.error else None}


def judged(what: str, wanted: str, found: str, error: ModelError | None) -> Condition:
    """Refused with `error` if there is one."""
    return Condition(what, wanted, found, REFUSED if error else OK, error)


def told(value: str | None) -> str:
    """Words of a sidecar or a driver for a row; "not told" where there are none."""
    return printable(value) if value else "not told"
