"""What the doctor found, for a terminal and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from fcn_edge import __version__
from fcn_edge.errors import printable
from runtime.doctor.finding import BAD, INFO, MISSING, OK, Finding

STYLES = {OK: "green", MISSING: "yellow", BAD: "bold red", INFO: "dim"}
LOG_WIDTH = 120  # of what is no terminal
CHOICE = "will be used"  # the section


@dataclass(frozen=True)
class Report:
    """Findings by section."""

    sections: Mapping[str, list[Finding]]

    @property
    def ailing(self) -> list[Finding]:
        return [finding for findings in self.sections.values() for finding in findings if finding.ails]

    @property
    def cures(self) -> dict[str, list[str]]:
        """Each command once, with what it mends: all that ails, and what was left out of the choice."""
        cures: dict[str, list[str]] = {}
        left_out = [finding for finding in self.sections.get(CHOICE, ()) if not finding.ails]
        for finding in (*self.ailing, *left_out):
            if finding.cure:
                cures.setdefault(finding.cure, []).append(finding.topic)
        return cures

    def to_json(self) -> dict[str, Any]:
        sections = {title.replace(" ", "_"): list(map(asdict, findings)) for title, findings in self.sections.items()}
        cures = [{"cure": cure, "topics": topics} for cure, topics in self.cures.items()]
        return {"fcn_edge": __version__, **sections, "cures": cures}


def print_report(report: Report, out: Console) -> None:
    """A line per finding, wrapped to the terminal's width; commands are not, so that they can be copied."""
    width = out.width if out.is_terminal else LOG_WIDTH
    indent = 4 + max(len(finding.topic) for findings in report.sections.values() for finding in findings)
    for title, findings in report.sections.items():
        _print(out, Text(title, "bold"))
        for finding in findings:
            _print(out, _line(finding, indent, width))
        _print(out, Text())
    if report.cures or not report.ailing:
        _print(out, Text("to mend" if report.cures else "nothing to mend", "bold"))
    for cure, topics in report.cures.items():
        _print(out, Text(f"  # {', '.join(topics)}", "dim"))
        _print(out, Text(f"  {cure}"))


def _line(finding: Finding, indent: int, width: int) -> Text:
    verdict = "" if finding.verdict == INFO else finding.verdict
    head = Text(f"  {finding.topic}".ljust(indent))
    head.append(verdict.ljust(len(MISSING) + 2), STYLES[finding.verdict])
    lines = textwrap.wrap(printable(finding.found, most=2000), max(width - len(head), 20), break_on_hyphens=False)
    return head.append(f"\n{' ' * len(head)}".join(lines), STYLES[INFO] if finding.verdict == INFO else "")


def _print(out: Console, line: Text) -> None:
    """In letters that the terminal has."""
    line.plain = line.plain.encode(out.encoding, "replace").decode(out.encoding)
    out.print(line, soft_wrap=True)
