"""`make bench`: what fails is told and stops nothing; what cannot run here is left out with the reason."""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import everything
from benchmarks.running.scripts import LEFT_OUT, SCRIPTS, Script
from benchmarks.running.timed import CUT_OFF, FAILED, RAN, timed

PROGRAMS = {
    "good": "print('fine')",
    "bad": "print('wanted a table, found none'); raise SystemExit(3)",
    "unwell": "raise SystemExit('never begun')",
}


def test_the_others_run_after_a_failure_and_the_exit_code_tells(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scripts = [Script(str(tmp_path / name), "{bundle}", 0.1) for name in ("bad", "good")]
    scripts += [
        Script(str(tmp_path / "unwell"), "", 0.1, lambda: "no GPU"),
        Script(str(tmp_path / "unwell"), "{gold}", 0.1),
        Script(str(tmp_path / "unwell"), "", 1e6),
    ]
    for name, text in PROGRAMS.items():
        (tmp_path / f"{name}.py").write_text(text)
    for name, value in (("SCRIPTS", scripts), ("FOLDER", tmp_path / "bench"), ("RESULT", tmp_path / "everything.json")):
        monkeypatch.setattr(everything, name, value)
    words = ["--data", "synthetic:", "--checkpoint", str(tmp_path / "good.py"), "--bundle", str(tmp_path)]

    done = CliRunner().invoke(everything.main, words)

    rows = json.loads((tmp_path / "everything.json").read_text())["scripts"]
    assert [row["status"] for row in rows] == ["failed", "ran", *["skipped"] * (3 + len(LEFT_OUT))]
    assert "exit code 3, wanted a table, found none" in rows[0]["why"]
    assert [row["why"] for row in rows[2:4]] == ["no GPU", "no gold"]
    assert "it takes 1000000.0 minutes" in rows[4]["why"]
    assert done.exit_code == 1
    assert (tmp_path / "bench" / "logs" / f"01.{str(tmp_path / 'good').replace('/', '.')}.log").read_text() == "fine\n"


def test_what_takes_too_long_ends_with_its_children(tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    child = f"import time; time.sleep(4); open({str(sign)!r}, 'w')"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    assert timed([sys.executable, "-c", parent], tmp_path / "log", 1.5).status == CUT_OFF
    time.sleep(4)
    assert not sign.exists()


def test_an_outcome_tells_whether_it_is_bad(tmp_path: Path) -> None:
    good, bad = (timed([sys.executable, "-c", PROGRAMS[name]], tmp_path / name, 60) for name in ("good", "bad"))
    assert (good.status, good.is_bad) == (RAN, False)
    assert (bad.status, bad.is_bad) == (FAILED, True)


@pytest.mark.parametrize(
    "script", [script for script in SCRIPTS if "/" not in script.name], ids=lambda one: one.command
)
def test_every_script_takes_its_arguments(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FCN_EDGE_DATA", str(tmp_path))
    known = dict.fromkeys(("checkpoint", "bundle", "drive"), str(tmp_path)) | {"data": "synthetic:"}
    path, *words = script.words(known)
    assert Path(path).is_file()
    importlib.import_module(f"benchmarks.{script.name}").main.make_context(script.name, words)
