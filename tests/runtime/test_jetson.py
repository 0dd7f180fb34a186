"""runtime.jetson: what a Jetson tells of itself, read from samples of its files."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.jetson import (
    GpuClock,
    JetPack,
    PowerMode,
    gpu_clock,
    installed_packages,
    jetpack_of,
    l4t_release,
    read_jetson,
)
from tests.runtime.jetson_samples import MONITOR, NVPMODEL, ORIN, THOR, l4t_files, write_files

ROOT = Path(__file__).parent.parent.parent


def test_an_orin_tells_all(tmp_path: Path) -> None:
    jetson = read_jetson(write_files(tmp_path, ORIN))
    assert jetson is not None
    assert jetson.board == "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
    assert (jetson.l4t, jetson.jetpack) == ("36.4.3", JetPack("6.2", "3.10", "12.6", "10.3"))
    assert jetson.packages == {"nvidia-l4t-core": "36.4.3-20250107174145", "nvidia-jetpack": "6.2+b77"}
    assert jetson.power_mode == PowerMode(1, {0: "15W", 1: "25W", 2: "MAXN_SUPER"})
    assert jetson.power_mode.name == "25W"
    assert jetson.gpu_clock == GpuClock(306, 306, 918)
    assert jetson.temperatures_c == {"cpu-thermal": 48.3, "gpu-thermal": 47.8}
    assert jetson.rails_w == {"VDD_IN": pytest.approx(5.609, abs=1e-3), "VDD_CPU_GPU_CV": 0.88}


def test_a_thor_tells_the_clock_of_its_graphics_clusters(tmp_path: Path) -> None:
    jetson = read_jetson(write_files(tmp_path, THOR))
    assert jetson is not None and jetson.jetpack is not None and jetson.power_mode is not None
    assert (jetson.jetpack.version, jetson.jetpack.tensorrt) == ("7.1", "10.13")
    assert jetson.gpu_clock == GpuClock(1575, 1575, 1575)
    assert jetson.power_mode.name == "120W"


def test_a_desktop_is_no_jetson(tmp_path: Path) -> None:
    assert read_jetson(tmp_path) is None
    board = {
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "proc/device-tree/compatible": "brcm,bcm2712",
    }
    assert read_jetson(write_files(tmp_path, board)) is None


@pytest.mark.parametrize("known_by", ["proc/device-tree/compatible", "var/lib/dpkg/status"])
def test_a_jetson_without_its_release_file_is_still_known(tmp_path: Path, known_by: str) -> None:
    jetson = read_jetson(write_files(tmp_path, {known_by: ORIN[known_by]}))
    assert jetson is not None
    assert jetson.l4t == ("36.4.3" if "dpkg" in known_by else None)


@pytest.mark.parametrize("name", sorted(ORIN))
@pytest.mark.parametrize(
    "content", ["", "\0\xff odd \n\n", "# R (release), REVISION: x", "< POWER_MODEL ID= NAME= >", "-"]
)
def test_an_odd_file_is_never_an_exception(tmp_path: Path, name: str, content: str) -> None:
    jetson = read_jetson(write_files(tmp_path, {**ORIN, name: content}))
    assert jetson is not None


@pytest.mark.parametrize("name", sorted(ORIN))
def test_a_file_that_cannot_be_read_is_never_an_exception(tmp_path: Path, name: str) -> None:
    files = {other: text for other, text in ORIN.items() if other != name}
    (write_files(tmp_path, files) / name).mkdir(parents=True)  # reading it fails, as of a sensor that sleeps
    assert read_jetson(tmp_path) is not None


@pytest.mark.parametrize(
    ("release", "revision", "l4t", "version", "tensorrt"),
    [
        ("35", "6.1", "35.6.1", "5.x", None),
        ("36", "3.0", "36.3.0", "6.0", "8.6.2"),
        ("36", "4.0", "36.4.0", "6.1", "10.3"),
        ("36", "4", "36.4", "6.1", "10.3"),
        ("36", "9.9", "36.9.9", "6.x", None),
        ("38", "2.0", "38.2.0", "7.0", "10.13"),
        ("39", "2.1", "39.2.1", "7.2.1", "10.16"),
        ("39", "4.0", "39.4.0", "7.x", None),
    ],
)
def test_a_release_of_l4t_is_a_jetpack(
    tmp_path: Path, release: str, revision: str, l4t: str, version: str, tensorrt: str | None
) -> None:
    write_files(tmp_path, l4t_files(release, revision))
    assert l4t_release(tmp_path) == l4t
    jetpack = jetpack_of(l4t)
    assert jetpack is not None and (jetpack.version, jetpack.tensorrt) == (version, tensorrt)


@pytest.mark.parametrize("l4t", ["40.1.0", "", "x"])
def test_an_unknown_release_is_no_jetpack(l4t: str) -> None:
    assert jetpack_of(l4t) is None


def test_only_what_is_installed_counts(tmp_path: Path) -> None:
    write_files(tmp_path, {"var/lib/dpkg/status": ORIN["var/lib/dpkg/status"]})
    names = ("python3-libnvinfer", "python3-numpy", "python3")
    assert installed_packages(tmp_path, names) == {"python3-numpy": "1:1.21.5-1ubuntu22.04.1"}


@pytest.mark.parametrize(
    "folder",
    [
        "sys/class/devfreq/17000000.ga10b",
        "sys/class/devfreq/17000000.gv11b",
        "sys/devices/gpu.0/devfreq/17000000.gv11b",
    ],
)
def test_the_clock_is_found_under_the_names_of_older_chips(tmp_path: Path, folder: str) -> None:
    assert gpu_clock(write_files(tmp_path, {f"{folder}/cur_freq": "1109250000"})) == GpuClock(1109, None, None)


def test_folders_of_devices_are_links(tmp_path: Path) -> None:
    """As in the real /sys."""
    device = write_files(tmp_path, ORIN) / MONITOR.split("/hwmon")[0]
    (tmp_path / "sys/devices").mkdir()
    device.rename(tmp_path / "sys/devices/1-0040")
    device.symlink_to("../../../../devices/1-0040")
    jetson = read_jetson(tmp_path)
    assert jetson is not None and "VDD_IN" in jetson.rails_w


def test_a_power_mode_without_a_name_keeps_its_number(tmp_path: Path) -> None:
    files = {**l4t_files("36", "4.3"), "var/lib/nvpmodel/status": "pmode:0009", "etc/nvpmodel.conf": NVPMODEL}
    jetson = read_jetson(write_files(tmp_path, files))
    assert jetson is not None and jetson.power_mode is not None
    assert (jetson.power_mode.number, jetson.power_mode.name) == (9, None)


@pytest.mark.parametrize("module", ["jetson", "system_files"])
def test_the_readers_need_nothing_but_an_old_python(module: str) -> None:
    ast.parse((ROOT / "runtime" / f"{module}.py").read_text(encoding="utf-8"), feature_version=(3, 8))
    code = f"import runtime.{module}, sys; print([name for name in ('numpy', 'click', 'cv2') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr
