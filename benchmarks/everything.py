"""Every figure that this machine can make, one script after the other, within half an hour: `make bench`.

.venv/bin/python -m benchmarks.everything [--data camvid:FOLDER] [--checkpoint FILE] [--bundle FOLDER] [--only NAME]

Without data streets are drawn, and without a checkpoint one is trained for a minute: enough for latencies, not for
accuracy. A script that fails or takes far longer than it should does not stop the others; the exit code is 1 then. What
each of them prints lies in runs/bench/logs, its figures in benchmarks/results, where they replace those of before.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import click

from benchmarks.promises import promises, table
from benchmarks.running.material import Material
from benchmarks.running.scripts import LATE, LEFT_OUT, SCRIPTS, Script
from benchmarks.running.timed import CUT_OFF, ROOT, SKIPPED, Outcome, timed
from benchmarks.told import facts
from fcn_edge.files import write_json

RESULT = Path(__file__).parent / "results" / "everything.json"
FOLDER = ROOT / "runs" / "bench"
MAKE_LIMIT_S = 600.0  # of a training or an export
NAMES = tuple(dict.fromkeys(script.name for script in SCRIPTS))


def _default_data() -> str:
    real = os.environ.get("FCN_EDGE_DATA")
    return f"camvid:{real}/camvid" if real else "synthetic:"


@click.command()
@click.option(
    "--data", default=_default_data, help="KIND:FOLDER; default: CamVid of FCN_EDGE_DATA, else drawn streets."
)
@click.option("--checkpoint", type=click.Path(path_type=Path, exists=True), help="Default: one is trained.")
@click.option("--bundle", type=click.Path(path_type=Path, exists=True), help="Default: the checkpoint is exported.")
@click.option("--minutes", default=29.0, show_default=True, help="Nothing is begun that would take longer.")
@click.option("--only", type=click.Choice(NAMES), multiple=True, help="Run these scripts alone; repeatable.")
def main(data: str, checkpoint: Path | None, bundle: Path | None, minutes: float, only: tuple[str, ...]) -> None:
    """Run every script, tell of each in a line, and end with 1 if one failed."""
    ends_s = monotonic() + 60 * minutes
    run, exported = checkpoint or FOLDER / "run" / "best.safetensors", bundle or FOLDER / "bundle"
    material = Material(data, run.absolute(), exported.absolute(), FOLDER / "drive")
    rows: list[dict[str, Any]] = []
    scripts = [script for script in SCRIPTS if not only or script.name in only]
    for name, command in material.missing({name for script in scripts for name in script.material}):
        rows.append(_row(f"make the {name}", timed(command, FOLDER / "logs" / f"{name}.log", MAKE_LIMIT_S)))
    for number, script in enumerate(scripts):
        log = FOLDER / "logs" / f"{number:02}.{script.name.replace('/', '.')}.log"
        rows.append(_row(script.command, outcome(script, material.known(), log, ends_s)))
    rows += [_row(name, Outcome(SKIPPED, why=why)) for name, why in LEFT_OUT.items() if not only]
    told = {**facts(), "data": data.split(":")[0], "scripts": rows}
    write_json(RESULT, told)
    print("", table(promises(RESULT.parent, told["machine"])), "", sep="\n")
    bad = [row for row in rows if row["is_bad"]]
    spent = minutes - (ends_s - monotonic()) / 60
    print(f"{spent:.1f} minutes, {len(bad)} failed or cut off; git diff benchmarks/results shows what moved")
    sys.exit(1 if bad else 0)


def _row(what: str, found: Outcome) -> dict[str, Any]:
    print(f"{what}: {found}", flush=True)
    return {"what": what, "status": found.status, "minutes": found.minutes, "why": found.why, "is_bad": found.is_bad}


def outcome(script: Script, known: dict[str, str], log: Path, ends_s: float) -> Outcome:
    """Run it, unless this machine cannot, its material is missing, or the time is too short."""
    left_s = ends_s - monotonic()
    if why := script.unfit() or script.lacks(known):
        return Outcome(SKIPPED, why=why)
    if left_s < 60 * script.minutes:
        return Outcome(SKIPPED, why=f"it takes {script.minutes:.1f} minutes, and {max(0.0, left_s / 60):.1f} are left")
    late_s = 60 * LATE * script.minutes
    found = timed([sys.executable, *script.words(known)], log, min(late_s, left_s))
    if found.status == CUT_OFF and left_s < late_s:
        return Outcome(SKIPPED, found.minutes, "the time was over in the midst of it")
    return found


if __name__ == "__main__":
    main()
