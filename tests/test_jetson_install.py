"""scripts/jetson-install: its plan for each JetPack, and that it does one, with programs that only note their words."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import tomllib

from tests.runtime.jetson_samples import ORIN, THOR, l4t_files, write_files

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts" / "jetson-install"

# What NVIDIA's own image holds, by the files that show it.
IMAGE = {
    "usr/include/python3.10/Python.h": "",
    "usr/bin/g++": "",
    "usr/local/cuda/bin/nvcc": "",
    "usr/local/cuda/include/curand.h": "",
    "usr/lib/python3.10/dist-packages/tensorrt/__init__.py": "",
    "usr/lib/python3.10/dist-packages/cv2/__init__.py": "",
}
PIP = '--only-binary=numpy,onnxruntime,av "numpy>=1.26,<2" "onnxruntime>=1.17" "av>=15"'
ALL_OF_APT = "python3-venv python3-dev build-essential nvidia-cuda-dev python3-libnvinfer python3-opencv"

# Every program that a step may start notes its words; `fail` holds the words of those that shall fail.
RECORDER = """#!/bin/sh
echo "$(basename "$0") $*" >> "$LOG"
case "$0" in */python) mkdir -p "$4/bin"; cp "$0" "$4/bin/pip"; cp "$0" "$4/bin/fcn-edge";
    echo "include-system-site-packages = true" > "$4/pyvenv.cfg";; esac
case "$(basename "$0") $*" in *"$FAIL"*) exit 3;; esac
"""


def install(root: Path, *words: object, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--root", str(root), *map(str, words)]
    settings = {"env": {**os.environ, **(env or {})}, "cwd": root, "timeout": 60}
    return subprocess.run(command, capture_output=True, text=True, check=False, **settings)  # type: ignore[call-overload, no-any-return]


def commands(shown: str) -> list[list[str]]:
    """The commands of a plan, as a shell reads them; `sudo`, which root needs not, left out."""
    lines = [line for line in shown.splitlines() if line and line[0] not in "#" and " " in line]
    found = [shlex.split(line) for line in lines if re.match(r"(sudo |apt-get|PATH=|/|'/)", line)]
    return [words[words[0] == "sudo" :] for words in found]


@pytest.mark.parametrize(
    ("release", "revision", "jetpack", "python"),
    [
        ("36", "3.0", "6.0", "python3.10"),
        ("36", "4.0", "6.1", "python3.10"),
        ("36", "4.3", "6.2", "python3.10"),
        ("36", "9.0", "6.x", "python3.10"),
        ("38", "2.0", "7.0", "python3.12"),
        ("38", "4.0", "7.1", "python3.12"),
        ("39", "2.0", "7.2", "python3.12"),
        ("39", "5.0", "7.x", "python3.12"),
    ],
)
def test_each_jetpack_has_its_plan(tmp_path: Path, release: str, revision: str, jetpack: str, python: str) -> None:
    venv = tmp_path / "venv"
    done = install(write_files(tmp_path, l4t_files(release, revision)), "--venv", venv)
    assert done.returncode == 0, done.stderr
    assert f"JetPack {jetpack} (L4T {release}.{revision})" in done.stdout and "unverified" in done.stdout
    assert commands(done.stdout) == [
        ["apt-get", "update"],
        ["apt-get", "install", "--yes", *ALL_OF_APT.split()],
        [f"/usr/bin/{python}", "-m", "venv", "--system-site-packages", str(venv)],
        [str(venv / "bin/pip"), "install", *shlex.split(PIP), f"{ROOT}[web]"],
        ["PATH=/usr/local/cuda/bin:$PATH", str(venv / "bin/pip"), "install", "numpy>=1.26,<2", "pycuda>=2024.1"],
        [str(venv / "bin/fcn-edge"), "doctor", "--engine", "tensorrt"],
    ]


def test_a_plan_does_nothing(tmp_path: Path) -> None:
    before = sorted(write_files(tmp_path, ORIN).rglob("*"))
    assert "Nothing was done" in install(tmp_path, "--venv", tmp_path / "venv").stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_what_the_image_holds_is_left_to_it(tmp_path: Path) -> None:
    done = install(write_files(tmp_path, {**ORIN, **IMAGE}))
    assert ["apt-get", "install", "--yes", "python3-venv"] in commands(done.stdout)
    write_files(tmp_path, {"usr/lib/python3.10/ensurepip/__init__.py": ""})
    assert "apt-get" not in install(tmp_path).stdout


def test_headers_of_another_python_do_not_count(tmp_path: Path) -> None:
    done = install(write_files(tmp_path, {**THOR, "usr/include/python3.10/Python.h": ""}))
    assert "python3-dev" in done.stdout


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, ["wanted a Jetson", "desktop"]),
        (l4t_files("35", "6.1"), ["JetPack 5.x", "35.6.1", "3.8", "flash JetPack 6.2"]),
        (l4t_files("32", "7.1"), ["JetPack 4.x"]),
        (l4t_files("40", "1.0"), ["40.1.0", "6.0, 6.1", "get a newer fcn-edge"]),
        ({"proc/device-tree/compatible": ORIN["proc/device-tree/compatible"]}, ["no /etc/nv_tegra_release"]),
    ],
)
def test_what_it_cannot_serve_is_refused_in_one_line(
    tmp_path: Path, files: Mapping[str, str], words: list[str]
) -> None:
    done = install(write_files(tmp_path, files), "--run")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("jetson-install: ")
    assert all(word in done.stderr for word in words)


@pytest.fixture
def recording(tmp_path: Path) -> dict[str, str]:
    """An environment in which apt-get, sudo and this python only note what they are asked."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("apt-get", "sudo", "python"):
        (programs / name).write_text(RECORDER)
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "LOG": str(tmp_path / "log"), "FAIL": "nothing", "PYTHON": str(programs / "python")}


def run(tmp_path: Path, recording: Mapping[str, str], fail: str = "nothing") -> subprocess.CompletedProcess[str]:
    root = write_files(tmp_path / "root", ORIN)
    words = ("--run", "--venv", tmp_path / "a venv", "--python", recording["PYTHON"])
    return install(root, *words, env={**recording, "FAIL": fail})


def noted(recording: Mapping[str, str]) -> list[str]:
    log = Path(recording["LOG"])
    return [line.removeprefix("sudo ") for line in log.read_text().splitlines()] if log.exists() else []


def test_the_steps_are_done_in_order_even_in_a_folder_with_a_space(tmp_path: Path, recording: dict[str, str]) -> None:
    done = run(tmp_path, recording)
    assert done.returncode == 0, done.stderr
    assert noted(recording) == [
        "apt-get update",
        f"apt-get install --yes {ALL_OF_APT}",
        f"python -m venv --system-site-packages {tmp_path / 'a venv'}",
        f"pip install {PIP} {ROOT}[web]".replace('"', ""),
        "pip install numpy>=1.26,<2 pycuda>=2024.1",
        "fcn-edge doctor --engine tensorrt",
    ]
    assert "[6/6]" in done.stdout and done.stdout.endswith("Done.\n")


@pytest.mark.parametrize(
    ("fail", "step", "advice"),
    [
        ("apt-get update", 1, "nvidia-l4t-apt-source.list"),
        ("venv --system", 3, "--venv"),
        ("onnxruntime", 4, "PyPI"),
        ("pycuda", 5, "nvcc"),
        ("doctor", 6, "the report above"),
    ],
)
def test_the_first_failure_ends_it_with_advice(
    tmp_path: Path, recording: dict[str, str], fail: str, step: int, advice: str
) -> None:
    done = run(tmp_path, recording, fail)
    assert done.returncode == 1 and len(noted(recording)) == step
    assert done.stderr.startswith(f"jetson-install: step {step} of 6 ended with 3") and advice in done.stderr


def test_done_again_it_leaves_out_what_is_there(tmp_path: Path, recording: dict[str, str]) -> None:
    assert run(tmp_path, recording, "pycuda").returncode == 1
    write_files(tmp_path / "root", {**IMAGE, "usr/lib/python3.10/ensurepip/__init__.py": ""})
    Path(recording["LOG"]).unlink()
    assert run(tmp_path, recording).returncode == 0
    assert [line.split()[0] for line in noted(recording)] == ["pip", "pip", "fcn-edge"]


def test_an_environment_that_does_not_see_jetpack_is_opened(tmp_path: Path, recording: dict[str, str]) -> None:
    write_files(tmp_path, {"a venv/pyvenv.cfg": "include-system-site-packages = false\n"})
    assert run(tmp_path, recording).returncode == 0
    assert f"python -m venv --system-site-packages {tmp_path / 'a venv'}" in noted(recording)


def test_a_program_that_is_not_there_is_a_failure_like_any_other(tmp_path: Path, recording: dict[str, str]) -> None:
    done = run(tmp_path, {**recording, "PYTHON": "/no/such/python"})
    assert done.returncode == 1 and "step 3 of 6 ended with 127" in done.stderr
    assert "Traceback" not in done.stderr


def test_making_a_real_environment_again_opens_it(tmp_path: Path) -> None:
    """What the script counts on."""
    make = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")]
    subprocess.run(make, check=True, timeout=120)
    (tmp_path / "venv" / "kept").touch()
    subprocess.run([*make, "--system-site-packages"], check=True, timeout=120)
    assert "include-system-site-packages = true" in (tmp_path / "venv" / "pyvenv.cfg").read_text()
    assert (tmp_path / "venv" / "kept").exists()


def test_it_installs_what_the_extras_name() -> None:
    """Less OpenCV and TensorRT, which JetPack brings."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {*extras["desktop"], *extras["tensorrt"]}
    words = SCRIPT.read_text(encoding="utf-8")
    installed = {name for name in named if f'"{name}"' in words}
    assert {re.split("[>=]", name)[0] for name in named - installed} == {"opencv-python", "tensorrt", "fcn-edge[web]"}
    assert "{REPOSITORY}[web]" in words


def test_an_old_python_can_run_it() -> None:
    """JetPack 5's, at least to be told why it will not do."""
    ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 8))
