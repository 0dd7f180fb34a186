"""runtime.doctor: what is made of what was seen, on machines that were not at hand."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtime.doctor.choice_findings import choice_findings
from runtime.doctor.devices import Camera
from runtime.doctor.engine_findings import engine_findings
from runtime.doctor.examination import Examination
from runtime.doctor.finding import BAD, INFO, MISSING, OK, Finding
from runtime.doctor.isolated import Answer
from runtime.doctor.machine_findings import machine_findings
from runtime.doctor.package_findings import package_findings
from runtime.jetson import read_jetson
from tests.runtime.doctor.samples import GPU_PC, NO_DRIVER, PC, failing, orin, without
from tests.runtime.jetson_samples import ORIN, l4t_files, write_files

Findings = Callable[[Examination], list[Finding]]
ENGINES = ("tensorrt", "onnxruntime", "onnxruntime-cuda", "openvino", "openvino-gpu")


@pytest.fixture(autouse=True)
def python_of_jetpack_6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "python_version_tuple", lambda: ("3", "10", "12"))


def on(findings: Findings, seen: Examination, topic: str) -> Finding:
    return next(finding for finding in findings(seen) if finding.topic == topic)


def usable(seen: Examination) -> list[str]:
    return [finding.topic for finding in engine_findings(seen) if finding.verdict == OK]


def test_nothing_ails_a_healthy_machine(tmp_path: Path) -> None:
    for seen in (PC, GPU_PC, orin(tmp_path)):
        findings = [*machine_findings(seen), *package_findings(seen), *engine_findings(seen)]
        assert not [finding for finding in findings if finding.ails]


@pytest.mark.parametrize("findings", [machine_findings, package_findings, engine_findings])
@pytest.mark.parametrize("seen", [PC, GPU_PC])
def test_every_topic_stands_once(findings: Findings, seen: Examination) -> None:
    topics = [finding.topic for finding in findings(seen)]
    assert len(topics) == len(set(topics)) and all(finding.found for finding in findings(seen))


# Packages


@pytest.mark.parametrize(
    ("package", "topic", "on_pc", "on_jetson"),
    [
        ("cv2", "OpenCV", "pip install 'fcn-edge[desktop]'", "sudo apt-get install python3-opencv"),
        ("av", "PyAV", "pip install 'fcn-edge[desktop]'", "pip install av"),
        ("onnxruntime", "onnxruntime", "pip install 'fcn-edge[desktop]'", "pip install onnxruntime"),
        ("tensorrt", "TensorRT", "pip install 'fcn-edge[tensorrt]'", "sudo apt-get install python3-libnvinfer"),
        (
            "pycuda",
            "PyCUDA",
            "pip install 'fcn-edge[tensorrt]'",
            "PATH=/usr/local/cuda/bin:$PATH pip install pycuda",
        ),
    ],
)
def test_what_is_missing_has_the_command_that_brings_it(
    package: str, topic: str, on_pc: str, on_jetson: str, tmp_path: Path
) -> None:
    assert on(package_findings, without(GPU_PC, package), topic) == Finding(topic, "not installed", MISSING, on_pc)
    assert on(package_findings, without(orin(tmp_path), package), topic).cure == on_jetson


@pytest.mark.parametrize("package", ["cv2", "tensorrt"])
def test_an_environment_closed_to_jetpack_is_opened(package: str, tmp_path: Path) -> None:
    topic = {"cv2": "OpenCV", "tensorrt": "TensorRT"}[package]
    cure = on(package_findings, without(orin(tmp_path, is_venv_closed=True), package), topic).cure
    assert cure == f"/usr/bin/python3 -m venv --system-site-packages '{sys.prefix}'"


def test_what_a_machine_has_no_use_for_is_not_missed(tmp_path: Path) -> None:
    topics = {finding.topic for finding in package_findings(without(PC, "tensorrt", "pycuda"))}
    assert not topics & {"TensorRT", "PyCUDA", "torch", "onnx"}
    assert "OpenVINO" not in {finding.topic for finding in package_findings(orin(tmp_path))}
    assert on(package_findings, without(PC, "openvino"), "OpenVINO").cure == "pip install 'fcn-edge[openvino]'"


@pytest.mark.parametrize(
    ("package", "failure", "cure"),
    [
        ("cv2", "libGL.so.1: cannot open shared object file", "sudo apt-get install libgl1 libglib2.0-0"),
        ("cv2", "numpy.core.multiarray failed to import", "pip install 'numpy>=1.26,<2'"),
        ("cv2", "a crash (SIGSEGV)", "pip install --force-reinstall --no-deps opencv-python"),
        ("onnxruntime", "no answer within 20 s", "pip install --force-reinstall --no-deps onnxruntime"),
        ("pycuda", "libcuda.so.1: cannot open shared object file", ""),
        ("tensorrt", "libnvinfer.so.10: cannot open", "pip install --force-reinstall --no-deps tensorrt"),
    ],
)
def test_what_does_not_work_has_the_command_that_mends_it(package: str, failure: str, cure: str) -> None:
    found = [finding for finding in package_findings(failing(GPU_PC, package, failure)) if finding.ails]
    assert [(finding.verdict, finding.found, finding.cure) for finding in found] == [
        (BAD, f"does not work: {failure}", cure)
    ]


def test_jetpacks_own_package_is_mended_by_apt(tmp_path: Path) -> None:
    seen = failing(orin(tmp_path), "tensorrt", "libnvinfer.so.10: cannot open shared object file")
    assert on(package_findings, seen, "TensorRT").cure == "sudo apt-get install --reinstall python3-libnvinfer"


def test_packages_tell_what_they_can_do() -> None:
    assert on(package_findings, PC, "OpenCV").found == "4.12.0, windows by QT5, FFmpeg, no GStreamer"
    assert on(package_findings, PC, "onnxruntime").found == "1.23.2, CPU"
    assert on(package_findings, GPU_PC, "PyCUDA").found == "2026.1, built for CUDA 12.6"
    bare = Answer({"version": "4.5.4", "gui": "NONE", "ffmpeg": False, "gstreamer": True})
    seen = replace(PC, packages={**PC.packages, "cv2": bare})
    assert on(package_findings, seen, "OpenCV").found == "4.5.4, no windows, no FFmpeg, GStreamer"


# Engines


@pytest.mark.parametrize(
    ("seen", "engines"),
    [
        (PC, {"onnxruntime", "openvino"}),
        (GPU_PC, {"tensorrt", "onnxruntime", "openvino"}),
        (without(GPU_PC, "pycuda"), {"onnxruntime", "openvino"}),
        (without(GPU_PC, "onnxruntime", "openvino"), {"tensorrt"}),
        (failing(GPU_PC, "tensorrt", "a crash (SIGSEGV)"), {"onnxruntime", "openvino"}),
        (replace(GPU_PC, gpu=Answer(failure="no answer within 20 s")), {"onnxruntime", "openvino"}),
        (without(PC, "onnxruntime", "openvino"), set()),
    ],
)
def test_an_engine_is_usable_where_all_that_it_needs_works(seen: Examination, engines: set[str]) -> None:
    assert set(usable(seen)) == engines


def test_a_gpu_of_onnxruntime_or_openvino_is_an_engine() -> None:
    providers = {"version": "1.23.2", "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"]}
    devices = {"version": "2026.1.0", "devices": {"CPU": "Intel i7", "GPU.1": "Intel Arc"}}
    seen = replace(GPU_PC, packages={"onnxruntime": Answer(providers), "openvino": Answer(devices)})
    assert set(usable(seen)) == {"onnxruntime", "onnxruntime-cuda", "openvino", "openvino-gpu"}
    assert on(engine_findings, seen, "openvino-gpu").found == "OpenVINO 2026.1.0 on Intel Arc"
    assert "onnxruntime-cuda" not in usable(replace(seen, gpu=PC.gpu, has_nvidia_card=False))


@pytest.mark.parametrize(
    ("seen", "engine", "found", "cure"),
    [
        (PC, "tensorrt", "no NVIDIA GPU", ""),
        (without(GPU_PC, "pycuda"), "tensorrt", "PyCUDA not installed", "pip install 'fcn-edge[tensorrt]'"),
        (without(PC, "openvino"), "openvino", "OpenVINO not installed", "pip install 'fcn-edge[openvino]'"),
        (PC, "openvino-gpu", "no GPU for OpenVINO", ""),
        (
            GPU_PC,
            "onnxruntime-cuda",
            "onnxruntime without CUDA",
            "pip uninstall -y onnxruntime && pip install onnxruntime-gpu",
        ),
    ],
)
def test_an_engine_that_cannot_be_used_says_why(seen: Examination, engine: str, found: str, cure: str) -> None:
    assert on(engine_findings, seen, engine) == Finding(engine, found, INFO, cure)


# The machine


@pytest.mark.parametrize(
    ("changes", "reason", "cure"),
    [
        ({}, NO_DRIVER, "sudo ubuntu-drivers install && sudo reboot"),
        ({"environment": {"CUDA_VISIBLE_DEVICES": ""}}, "cuInit: error 100", "unset CUDA_VISIBLE_DEVICES"),
        ({"machine": {**PC.machine, "container": True}}, NO_DRIVER, "docker run --gpus all"),
        ({}, "cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803)", "sudo reboot"),
    ],
)
def test_a_gpu_that_cannot_be_used_has_a_cure(changes: dict[str, Any], reason: str, cure: str) -> None:
    gpu = Answer({"gpu": None, "reason": reason, "state": {}})
    finding = on(machine_findings, replace(GPU_PC, gpu=gpu, **changes), "GPU")
    assert finding.verdict == BAD and reason in finding.found and finding.cure.startswith(cure)


def test_a_driver_that_crashes_is_told_even_where_no_card_shows() -> None:
    finding = on(machine_findings, replace(PC, gpu=Answer(failure="a crash (SIGSEGV)")), "GPU")
    assert (finding.verdict, "SIGSEGV" in finding.found) == (BAD, True)


def test_a_gpu_is_told_with_its_state() -> None:
    found = on(machine_findings, GPU_PC, "GPU").found
    assert found == "NVIDIA RTX A2000, compute capability 8.6, 6 GB, driver 550.54.15, CUDA 12.4"
    assert on(machine_findings, GPU_PC, "GPU state").found == "210 MHz of 2100, 41 C, 10 W"


def test_what_holds_a_gpu_back_is_told() -> None:
    state = {"throttle": ["power limit", "temperature"], "mig_mode": True}
    seen = replace(GPU_PC, gpu=Answer({**GPU_PC.gpu.told, "state": state}))
    assert on(machine_findings, seen, "GPU state").found == (
        "held back by power limit, temperature, cut into instances (MIG)"
    )


def test_a_jetson_is_told_with_its_jetpack_and_power_mode(tmp_path: Path) -> None:
    seen = orin(tmp_path)
    assert on(machine_findings, seen, "JetPack") == Finding(
        "JetPack", "6.2 (L4T 36.4.3) with Python 3.10, CUDA 12.6, TensorRT 10.3", OK
    )
    assert on(machine_findings, seen, "power mode").found == (
        "25W; for most speed: sudo nvpmodel -m 2 && sudo jetson_clocks"
    )
    assert "the machine's memory" in on(machine_findings, seen, "GPU").found


@pytest.mark.parametrize(
    ("release", "revision", "verdict", "words"),
    [
        ("35", "6.1", BAD, "JetPack 6 or newer"),
        ("38", "4.0", BAD, "is not for the Python 3.10 that runs here"),  # whose Python is 3.12, not 3.10
        ("36", "9.0", OK, "6.x (L4T 36.9.0)"),
        ("40", "1.0", INFO, "does not know"),
    ],
)
def test_a_jetpack_is_judged_by_its_python(
    tmp_path: Path, release: str, revision: str, verdict: str, words: str
) -> None:
    files = {name: "" for name in ORIN if "dpkg" in name}
    seen = orin(write_files(tmp_path, ORIN))
    other = read_jetson(write_files(tmp_path, {**files, **l4t_files(release, revision)}))
    finding = on(machine_findings, replace(seen, jetson=other), "JetPack")
    assert finding.verdict == verdict and words in finding.found


def test_a_camera_is_told_with_the_right_to_open_it() -> None:
    seen = replace(PC, cameras=(Camera("/dev/video0", "one", True), Camera("/dev/video2", "two", False)))
    assert on(machine_findings, seen, "/dev/video0") == Finding("/dev/video0", "one", OK)
    assert on(machine_findings, seen, "/dev/video2").cure.startswith("sudo usermod -aG video $USER")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"folder": "/x", "free_bytes": 9e9, "writable": False}, "may not write"),
        ({"folder": "/x", "free_bytes": 9e6, "writable": True}, "which is little"),
        ({"folder": "", "failure": "No usable temporary directory"}, "No usable temporary directory"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_bad(place: dict[str, Any], words: str) -> None:
    finding = on(machine_findings, replace(PC, places=Answer({"cache": place})), "cache")
    assert finding.verdict == BAD and words in finding.found and "XDG_CACHE_HOME" in finding.cure


def test_disks_that_hang_are_told() -> None:
    finding = on(machine_findings, replace(PC, places=Answer(failure="no answer within 20 s")), "disks")
    assert (finding.verdict, finding.found) == (BAD, "unknown: no answer within 20 s")


def test_a_pc_without_vnni_is_warned_of_saturation() -> None:
    finding = on(machine_findings, replace(PC, machine={**PC.machine, "features": ["AVX2"]}), "processor")
    assert finding.verdict == INFO and "may saturate" in finding.found


# What will be used


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (PC, "the fastest of onnxruntime, openvino; measured when a bundle is first opened"),
        (GPU_PC, "the fastest of tensorrt (once built), onnxruntime, openvino; measured when a bundle is first opened"),
        (without(PC, "openvino"), "onnxruntime"),
        (without(PC, "openvino", "onnxruntime"), "nothing: no engine can run a model here"),
    ],
)
def test_auto_comes_to_the_fastest_of_what_is_usable(seen: Examination, found: str) -> None:
    assert [finding.found for finding in choice_findings(seen)] == [found]


def test_a_model_that_makes_a_library_crash_is_told() -> None:
    assert choice_findings(replace(PC, model=Answer(failure="a crash (SIGSEGV)"))) == [
        Finding("model", "a crash (SIGSEGV)", BAD)
    ]


def told_of_model(candidates: list[str], **changes: Any) -> Answer:
    return Answer({"candidates": candidates, "choice": None, "refusals": [], **changes})


def test_an_engine_that_is_installed_but_fails_serves_nothing() -> None:
    seen = failing(PC, "openvino", "a crash (SIGSEGV)")
    both, alone = (told_of_model(names) for names in (["openvino fp32", "onnxruntime fp32"], ["openvino fp32"]))
    assert [finding.found for finding in choice_findings(replace(seen, model=both))] == ["onnxruntime fp32"]
    (finding,) = choice_findings(replace(seen, model=alone))
    assert finding.verdict == BAD and "openvino" in finding.found and "SIGSEGV" in finding.found and finding.cure


@pytest.mark.parametrize(
    ("message", "found", "cure"),
    [
        ("a.engine: wanted x, found y, and z; build it again with `fcn-edge build a`", "y, and z", "fcn-edge build a"),
        ("a: wanted an engine, found none; build one here: fcn-edge build a", "found none", "fcn-edge build a"),
        ("a: wanted x, found y; export the bundle again", "found y", "export the bundle again"),
        ("wanted an NVIDIA GPU, found none; see `fcn-edge doctor` (a CPU serves bundles)", "found none", ""),
    ],
)
def test_an_engine_that_is_left_out_keeps_its_cure(message: str, found: str, cure: str) -> None:
    model = told_of_model(["onnxruntime fp32"], refusals=[message])
    _, finding = choice_findings(replace(PC, model=model))
    assert finding.found.endswith(found) and (finding.topic, finding.verdict, finding.cure) == ("left out", INFO, cure)
