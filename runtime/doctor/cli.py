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
from runtime.doctor.finding import BAD, Finding
from runtime.doctor.machine_findings import machine_findings
from runtime.doctor.package_findings import package_findings
from runtime.doctor.report import CHOICE, Report, print_report


@click.command("doctor", epilog="Example: fcn-edge doctor bundle")
@click.argument("model", type=click.Path(path_type=Path), required=False)
@click.option("--engine", type=click.Choice(list(ENGINES)), help="End with exit code 4 unless it can be used here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor_command(model: Path | None, engine: str | None, as_json: bool) -> None:
    """Tell what is here, what will be used (for MODEL, if given), what is missing and the command that mends it."""
    seen = examine(model, engine or "auto")
    engines, choice = engine_findings(seen), choice_findings(seen, engine or "auto")
    report = Report(
        {
            "machine": machine_findings(seen),
            "packages": package_findings(seen),
            "engines": engines,
            CHOICE: choice,
        }
    )
    if as_json:
        click.echo(json_text(report.to_json()))
    else:
        print_report(report, Console(markup=False, emoji=False, highlight=False))
    if choice[0].verdict == BAD:
        raise _refusal(choice[0])


def _refusal(finding: Finding) -> ModelError:
    """The error to end with where what was asked for cannot be had."""
    found = finding.found
    if finding.topic == "auto":
        found = "wanted an engine to run models with, found none"
    elif finding.topic in ENGINES:
        found = f"wanted the engine {finding.topic}, found {finding.found}"
    return ModelError("; ".join(filter(None, (found, finding.cure))))
