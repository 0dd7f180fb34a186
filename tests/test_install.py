"""A device's installation: without torch and onnx `run`, `bench` and `eval` work, with the oldest Python at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def oldest_python() -> str:
    """The runtime promises 3.10; where that is not installed, this interpreter has to do."""
    found = shutil.which("python3.10")
    works = (
        found
        and subprocess.run([found, "-c", "import venv, ensurepip"], check=False, capture_output=True).returncode == 0
    )
    return found if found and works else sys.executable


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the desktop extra alone."""
    folder = tmp_path_factory.mktemp("device") / "venv"
    subprocess.run([oldest_python(), "-m", "venv", str(folder)], check=True, timeout=120)
    command = [str(folder / "bin" / "pip"), "install", "--quiet", f"{ROOT}[desktop]"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


def on_device(device: Path, *words: object) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(device / "fcn-edge"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=device, env=clean)


@pytest.mark.timeout(900)
@pytest.mark.install
def test_a_device_without_torch_and_onnx_runs_measures_and_scores(
    device: Path, tiny_bundle: Path, street_folder: Path, tmp_path: Path
) -> None:
    listed = subprocess.run([device / "pip", "list"], capture_output=True, text=True, check=True).stdout.split()
    assert "onnxruntime" in listed and not {"torch", "onnx", "lightning", "safetensors"} & set(listed)
    masks = tmp_path / "%06d.png"
    for words in (
        ("run", street_folder / "images" / "val", masks, "json:-", tmp_path / "out.mkv", "--model", tiny_bundle),
        ("bench", tiny_bundle, "--frames", 5, "--warmup", 0),
        ("eval", tiny_bundle, f"folder:{street_folder}", "--json"),
    ):
        done = on_device(device, *words)
        assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.png"))) == 4


@pytest.mark.timeout(900)
@pytest.mark.install
def test_a_device_says_which_extra_brings_training(device: Path, tmp_path: Path) -> None:
    done = on_device(device, "train", "synthetic:", "-o", tmp_path / "run")
    assert done.returncode == 2 and "pip install 'fcn-edge[train]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
