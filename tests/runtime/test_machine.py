"""runtime.machine: what figures must be read with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.machine import machine
from tests.runtime.jetson_samples import ORIN, ORIN_CPUINFO, write_files

XEON = (
    "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t\t: 143\n"
    "model name\t: Intel(R) Xeon(R) Platinum 8488C\nflags\t\t: fpu avx2 avx512f avx_vnni avx512_bf16 avx512_vnni "
    "amx_bf16 amx_tile amx_int8\n\nprocessor\t: 1\nmodel name\t: another\n"
)


def test_the_machine_is_described_by_what_this_process_may_use() -> None:
    described = machine()
    assert described["cores"] == len(os.sched_getaffinity(0))
    assert described["processor"] and described["system"] and described["python"]
    assert described["memory_bytes"] > 1e8


def test_an_x86_is_named_with_the_features_that_matter(tmp_path: Path) -> None:
    described = machine(write_files(tmp_path, {"proc/cpuinfo": XEON}))
    assert described["processor"] == "Intel(R) Xeon(R) Platinum 8488C"
    assert described["features"] == [
        "AVX2", "AVX-VNNI", "AVX512", "AVX512-VNNI", "AVX512-BF16", "AMX-INT8", "AMX-BF16",
    ]  # fmt: skip
    assert described["board"] is None and described["container"] is False


def test_an_arm_is_named_by_its_core_and_its_board(tmp_path: Path) -> None:
    described = machine(write_files(tmp_path, ORIN))
    assert (described["processor"], described["features"]) == ("Cortex-A78AE", ["NEON dot product"])
    assert described["board"] == "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super"
    assert described["memory_bytes"] == 7802792 * 1024


def test_an_arm_core_without_a_known_name_keeps_its_numbers(tmp_path: Path) -> None:
    text = ORIN_CPUINFO.replace("0xd42", "0xabc")
    assert machine(write_files(tmp_path, {"proc/cpuinfo": text}))["processor"] == "ARM core 0x41:0xabc"


@pytest.mark.parametrize("text", ["", "no colon at all", "flags", "model name\t:\nflags\t:\n", "\0\xff"])
def test_an_odd_cpuinfo_still_gives_a_name(tmp_path: Path, text: str) -> None:
    described = machine(write_files(tmp_path, {"proc/cpuinfo": text, "proc/meminfo": "MemTotal: lots kB"}))
    assert described["processor"] and described["features"] == [] and described["memory_bytes"] is None


@pytest.mark.parametrize(
    ("file", "limit", "told"),
    [
        ("memory.max", "1073741824\n", 1 << 30),
        ("memory.max", "max\n", 7802792 * 1024),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", 7802792 * 1024),
    ],
)
def test_memory_is_what_a_container_may_take(tmp_path: Path, file: str, limit: str, told: int) -> None:
    files = {"proc/meminfo": ORIN["proc/meminfo"], f"sys/fs/cgroup/{file}": limit}
    assert machine(write_files(tmp_path, files))["memory_bytes"] == told


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv", "run/systemd/container"])
def test_a_container_is_known_by_its_marks(tmp_path: Path, mark: str) -> None:
    assert machine(write_files(tmp_path, {mark: ""}))["container"] is True
