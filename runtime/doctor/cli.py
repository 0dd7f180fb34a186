"""`fcn-edge doctor`: what is here, what will be used, what is missing and the command that mends it.

It works where most of our packages are missing, and names them.
"""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from fcn_edge.errors import ModelError
from fcn_edge.files import json_text
from runtime.doctor.choice_findings import choice_findings
from runtime.doctor.engine_findings import ENGINES, engine_findings
from runtime.doctor.examination import examine
from runtime.doctor.finding import OK, Finding
from runtime.doctor.machine_findings import machine_findings
from runtime.doctor.package_findings import package_findings
from runtime.doctor.report import Report, print_report


@click.command("doctor", epilog="Example: fcn-edge doctor bundle")
@click.argument("model", type=click.Path(path_type=Path), required=False)
@click.option("--engine", type=click.Choice(list(ENGINES)), help="End with exit code 4 unless it can be used here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor_command(model: Path | None, engine: str | None, as_json: bool) -> None:
    """Tell what is here, what will be used (for MODEL, if given), what is missing and the command that mends it."""
    seen = examine(model, engine or "auto")
    engines, choice = engine_findings(seen), choice_findings(seen)
    report = Report(
        {
            "machine": machine_findings(seen),
            "packages": package_findings(seen),
            "engines": engines,
            "will be used": choice,
        }
    )
    if as_json:
        click.echo(json_text(report.to_json()))
    else:
        print_report(report, Console(markup=False, emoji=False, highlight=False))
    _require_usable(engines, engine)
    if model and choice[0].verdict != OK:
        raise ModelError(choice[0].found)


def _require_usable(engines: list[Finding], engine: str | None) -> None:
    """Raises ModelError unless the engine asked for, or else any, can be used."""
    usable = [finding for finding in engines if finding.verdict == OK]
    asked = next((finding for finding in engines if finding.topic == engine), None)
    if asked and asked.verdict != OK:
        others = f"choose another --engine: {', '.join(finding.topic for finding in usable)}"
        raise ModelError(f"wanted the engine {engine}, found {asked.found}; {asked.cure or others}")
    if not usable:
        cure = next((finding.cure for finding in engines if finding.cure), "install one")
        raise ModelError(f"wanted an engine to run models with, found none; {cure}")
