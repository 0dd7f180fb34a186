"""deploy/: systemd takes the unit and finds it well guarded; whatever is started there, fcn-edge has."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import tomllib

from fcn_edge.errors import DeviceError, UsageError
from runtime.cli import run_command
from runtime.run_config import RunConfig, options_of, read_run_config

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "runtime" / "deploy"
UNIT = DEPLOY / "fcn-edge.service"
CONTAINERS = sorted(DEPLOY.glob("Dockerfile.*"))


def config(path: Path = DEPLOY / "run.toml") -> RunConfig:
    return read_run_config(path, options_of(run_command), {"GATE_PASSWORD": "p@ss"})


# -- run.toml -----------------------------------------------------------------------------------------------------


def test_run_accepts_every_key_of_the_example() -> None:
    example = config()
    assert [source.name for source in example.sources] == ["gate"]
    assert example.sources[0].address.uri == "rtsp://viewer:p%40ss@192.0.2.7/stream1"
    assert example.sinks[0] == "http://127.0.0.1:8080" and {"model", "segment", "keep_gib"} <= example.options.keys()


def test_run_accepts_what_the_example_has_as_a_comment(tmp_path: Path) -> None:
    text = (DEPLOY / "run.toml").read_text(encoding="utf-8")
    (tmp_path / "run.toml").write_text(re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE))
    assert [source.name for source in config(tmp_path / "run.toml").sources] == ["gate", "desk", "mast"]


# -- the unit -----------------------------------------------------------------------------------------------------


def settings(name: str) -> list[str]:
    """The values of a directive, in their order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)


def require_words_of_run(words: list[str]) -> None:
    """Parses them as `fcn-edge` would, short of looking into the configuration."""
    assert words[0] == "run"
    parser = run_command.make_parser(click.Context(run_command))
    given, rest, _ = parser.parse_args(words[1:])
    assert given["config"] == "/etc/fcn-edge/run.toml" and rest == []


def test_the_unit_starts_a_command_that_there_is() -> None:
    (start,) = settings("ExecStart")
    program, *words = shlex.split(start)
    assert program == "/opt/fcn-edge/bin/fcn-edge"
    require_words_of_run(words)


def test_the_unit_restarts_on_the_codes_that_a_restart_cures() -> None:
    assert settings("Restart") == ["always"]
    assert settings("RestartForceExitStatus") == [str(DeviceError.exit_code)]
    assert settings("RestartPreventExitStatus") == [str(UsageError.exit_code)]


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """A copy that starts a program of this machine, where fcn-edge is not installed in /opt."""
    text = UNIT.read_text(encoding="utf-8").replace("/opt/fcn-edge/bin/fcn-edge", "/bin/true")
    copy = tmp_path / UNIT.name
    copy.write_text(text, encoding="utf-8")
    return copy


def analyzed(verb: str, *words: object) -> subprocess.CompletedProcess[str]:
    if not (program := shutil.which("systemd-analyze")):
        pytest.skip("no systemd-analyze: the unit cannot be checked")
    command = [program, verb, "--no-pager", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_systemd_finds_nothing_to_say_of_the_unit(unit: Path) -> None:
    done = analyzed("verify", unit)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_systemd_finds_a_slip_in_a_unit(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchDogSec="))
    assert "Unknown key 'WatchDogSec'" in analyzed("verify", unit).stderr


def test_systemd_finds_the_unit_well_guarded(unit: Path) -> None:
    done = analyzed("security", "--offline=yes", "--threshold=25", "--json=short", unit)
    assert done.returncode == 0, "its exposure is above 2.5 of 10"
    assert len(json.loads(done.stdout)) > 50


# -- containers ---------------------------------------------------------------------------------------------------


def instructions(container: Path) -> Iterator[tuple[str, str]]:
    """`COPY`, `a b` and so on, each on a line of its own."""
    text = re.sub(r"^#.*\n", "", container.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(None, text.split("\n")):
        word, _, rest = line.partition(" ")
        yield word, rest


def test_there_is_a_container_for_each_kind_of_machine() -> None:
    assert [path.suffix for path in CONTAINERS] == [".jetpack6", ".jetpack7", ".x86"]


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda path: path.suffix)
def test_a_container_takes_what_there_is(container: Path) -> None:
    copied = [name for word, rest in instructions(container) if word == "COPY" for name in rest.split()[:-1]]
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    assert all((ROOT / name).exists() for name in copied)
    assert {package.split(".")[0] for package in packages} | {"pyproject.toml"} <= set(copied)


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda path: path.suffix)
def test_a_container_installs_extras_that_there_are(container: Path) -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = re.findall(r"'\.\[([a-z,]+)\]'", container.read_text(encoding="utf-8"))
    assert named and {extra for names in named for extra in names.split(",")} <= known.keys()


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda path: path.suffix)
def test_a_container_starts_a_command_that_there_is_and_not_as_root(container: Path) -> None:
    found = dict(instructions(container))
    assert found["USER"] == "fcn-edge"
    assert json.loads(found["ENTRYPOINT"])[0].endswith("fcn-edge")
    require_words_of_run(json.loads(found["CMD"]))


@pytest.mark.parametrize("container", CONTAINERS, ids=lambda path: path.suffix)
def test_a_container_asks_the_page_that_the_example_has(container: Path) -> None:
    check = dict(instructions(container))["HEALTHCHECK"]
    assert f"{config().sinks[0]}/healthz" in check
    compile(json.loads(check[check.index("[") :])[2], "HEALTHCHECK", "exec")
