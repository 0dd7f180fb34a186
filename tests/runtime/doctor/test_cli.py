"""runtime.doctor.cli: `fcn-edge doctor` as users type it, on this machine and on one that lacks nearly everything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from fcn_edge.errors import ModelError
from runtime.doctor.cli import doctor_command
from runtime.doctor.examination import Examination
from runtime.doctor.finding import MISSING, OK, Finding
from runtime.doctor.isolated import Answer
from runtime.doctor.model_probe import about_model
from runtime.doctor.report import Report, print_report
from runtime.engines import ENGINES
from tests.conftest import Done, assert_refused, run_fcn_edge
from tests.runtime.doctor.samples import GPU_PC, PC, failing, without

ROOT = Path(__file__).parent.parent.parent.parent

# What our extras bring.
OURS = ("cv2", "av", "onnxruntime", "openvino", "tensorrt", "pycuda", "torch", "onnx")

WITHOUT = """
import sys
for name in {names}: sys.modules[name] = None
from fcn_edge.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def doctor(*words: object, env: dict[str, str] | None = None) -> Done:
    return run_fcn_edge("doctor", *words, env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})})


def doctor_without(packages: Sequence[str], *words: str) -> Done:
    """As `doctor`, where these packages are not installed."""
    command = [sys.executable, "-c", WITHOUT.format(names=packages), "doctor", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


Told = Callable[..., tuple[str, BaseException | None]]


@pytest.fixture
def told_of(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What the doctor tells of a machine, and the exception that it ends with."""

    def told(seen: Examination, *words: str) -> tuple[str, BaseException | None]:
        monkeypatch.setattr("runtime.doctor.cli.examine", lambda *_: seen)
        result = CliRunner().invoke(doctor_command, words)
        return result.stdout, result.exception

    return told


def test_this_machine_is_told_on_standard_output() -> None:
    done = doctor()
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("machine", "packages", "engines", "will be used", "OpenCV", "onnxruntime", "processor"):
        assert word in done.stdout


def test_json_is_one_object_with_the_same_findings() -> None:
    done = doctor("--json")
    told = json.loads(done.stdout)
    assert list(told) == ["fcn_edge", "machine", "packages", "engines", "will_be_used", "cures"]
    for section in ("machine", "packages", "engines", "will_be_used"):
        assert all(list(finding) == ["topic", "found", "verdict", "cure"] for finding in told[section])
    assert [finding["topic"] for finding in told["engines"]] == [engine for engine in ENGINES if engine != "auto"]


def test_a_machine_without_any_of_our_packages_is_told_what_to_install() -> None:
    done = doctor_without(OURS)
    assert_refused(done, 4, "wanted an engine", "pip install 'fcn-edge[desktop]'")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout.count("pip install 'fcn-edge[desktop]'") == 1 and "# OpenCV, PyAV, onnxruntime" in done.stdout


def test_the_doctor_itself_loads_none_of_them() -> None:
    code = f"import sys, runtime.doctor.cli; print(sorted({set(OURS)} & set(sys.modules)))"
    told = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True, timeout=120)
    assert told.strip() == "[]"


CRASHING = "import ctypes\nctypes.string_at(0)\n"


def test_a_library_that_crashes_is_a_finding(tmp_path: Path) -> None:
    for name, code in {
        "cv2": CRASHING,
        "tensorrt": "raise OSError('libnvinfer.so.10: no such file')",
        "av": "",
    }.items():
        (tmp_path / f"{name}.py").write_text(code)
    done = doctor("--json", env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"})
    assert (done.returncode, done.stderr) == (0, "")
    found = {finding["topic"]: finding["found"] for finding in json.loads(done.stdout)["packages"]}
    assert found["OpenCV"] == "does not work: a crash (SIGSEGV)"
    assert found["TensorRT"] == "does not work: libnvinfer.so.10: no such file"
    assert found["PyAV"].startswith("does not work: module 'av' has no attribute")


def test_the_engine_asked_for_decides_the_exit_code(told_of: Told) -> None:
    for seen, engine, error in [
        (PC, "onnxruntime", None),
        (GPU_PC, "tensorrt", None),
        (PC, "tensorrt", "wanted the engine tensorrt, found no NVIDIA GPU; choose another --engine: "),
        (without(GPU_PC, "pycuda"), "tensorrt", "PyCUDA not installed; pip install 'fcn-edge[tensorrt]'"),
    ]:
        output, raised = told_of(seen, "--engine", engine)
        assert engine in output, "the report comes first"
        assert (raised is None) if error is None else (isinstance(raised, ModelError) and error in str(raised))


@pytest.mark.parametrize(
    ("seen", "engine", "verdict", "cure"),
    [
        (PC, "onnxruntime", "ok", ""),
        (PC, "tensorrt", "bad", "choose another --engine: onnxruntime, openvino"),
        (without(PC, "openvino"), "openvino", "bad", "pip install 'fcn-edge[openvino]'"),
    ],
)
@pytest.mark.parametrize("model", [None, Answer({"candidates": ["onnxruntime fp32"], "choice": None, "refusals": []})])
def test_what_will_be_used_is_about_the_engine_asked_for(
    told_of: Told, seen: Examination, engine: str, verdict: str, cure: str, model: Answer | None
) -> None:
    seen, words = replace(seen, model=model), ["--engine", engine, *(["bundle"] if model else [])]
    told = json.loads(told_of(seen, "--json", *words)[0])
    (finding,) = told["will_be_used"]
    assert engine in (finding["topic"], finding["found"].split()[0])
    assert (finding["verdict"], finding["cure"]) == (verdict, cure)
    assert (cure in [row["cure"] for row in told["cures"]]) is bool(cure)
    assert ("nothing to mend" in told_of(seen, *words)[0]) is (verdict == "ok" and "openvino" in seen.packages)


def test_without_any_engine_it_ends_with_the_command_that_brings_one(told_of: Told) -> None:
    _, raised = told_of(without(PC, "onnxruntime", "openvino"))
    assert isinstance(raised, ModelError) and "pip install 'fcn-edge[desktop]'" in str(raised)


def test_an_unknown_engine_is_a_wrong_command() -> None:
    assert_refused(doctor("--engine", "tensorflow"), 2, "tensorflow")


def test_each_command_that_mends_is_told_once(told_of: Told) -> None:
    output, _ = told_of(failing(without(PC, "av", "onnxruntime"), "cv2", "libGL.so.1: cannot open shared object file"))
    assert output.endswith(
        "to mend\n  # OpenCV\n  sudo apt-get install libgl1 libglib2.0-0\n"
        "  # PyAV, onnxruntime\n  pip install 'fcn-edge[desktop]'\n"
    )


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_report_is_no_wider_than_the_terminal(width: int) -> None:
    long = Finding("processor", "a processor with a name of many words, " * 5, OK)
    cure = f"sudo {'a-command-of-many-words ' * 10}"
    report = Report({"machine": [long], "packages": [Finding("OpenCV", "missing", MISSING, cure)]})
    told = StringIO()
    print_report(report, Console(file=told, width=width, force_terminal=True, color_system=None))
    *lines, last = told.getvalue().rstrip("\n").splitlines()
    assert last == f"  {cure}" and max(map(len, lines)) <= width


def test_letters_that_a_terminal_lacks_are_no_end() -> None:
    told = TextIOWrapper(BytesIO(), encoding="ascii", write_through=True)
    camera = Finding("/dev/video0", "Kamera für Straßen", OK)
    print_report(Report({"machine": [camera]}), Console(file=told))
    assert b"Kamera f?r Stra?en" in told.buffer.getvalue()  # type: ignore[attr-defined]


def test_a_bundle_is_told_with_what_would_serve_it(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # in which nothing was measured before
    told = json.loads(doctor(tiny_bundle, "--json").stdout)["will_be_used"]
    assert [finding["topic"] for finding in told] == ["model"]
    assert told[0]["found"].startswith("the fastest of openvino int8-cpu, onnxruntime int8-cpu; measured when")


def test_what_was_measured_before_is_told(tiny_bundle: Path) -> None:
    assert run_fcn_edge("bench", tiny_bundle, "--frames", 1, "--warmup", 0).returncode == 0
    found = json.loads(doctor(tiny_bundle, "--json").stdout)["will_be_used"][0]["found"]
    assert "measured on" in found and "onnxruntime int8-cpu " in found and found.endswith(" ms")


@pytest.mark.parametrize("name", ["model.fp32.onnx", "model.int8-cpu.onnx"])
def test_a_file_is_told_with_what_would_serve_it(tiny_bundle: Path, name: str) -> None:
    told = json.loads(doctor(tiny_bundle / name, "--json", "--engine", "onnxruntime").stdout)["will_be_used"]
    assert told[0]["found"] == f"onnxruntime {name.split('.')[1]}"


def test_an_engine_of_another_machine_is_told_to_be_left_out(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    (bundle / "model.int8.engine").write_bytes(b"a plan without a sidecar")
    done = doctor(bundle, "--json")
    first, second = json.loads(done.stdout)["will_be_used"]
    assert (done.returncode, done.stderr, first["verdict"]) == (0, "", "ok"), "another engine serves it"
    assert (second["topic"], second["verdict"]) == ("left out", "info")


def test_a_bundle_that_nothing_serves_ends_with_why(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    (bundle / "model.int8-cpu.engine").write_bytes(b"a plan without a sidecar")
    done = doctor(bundle, "--json", "--engine", "tensorrt")
    told = json.loads(done.stdout)["will_be_used"]
    assert done.returncode == 4 and [finding["verdict"] for finding in told] == ["bad"]


@pytest.mark.parametrize("name", ["model.int8-cpu.onnx", "model.fp32.onnx"])
@pytest.mark.parametrize("cut", [True, False])
def test_every_file_of_a_bundle_must_be_the_one_of_its_manifest(
    tiny_bundle: Path, tmp_path: Path, name: str, cut: bool
) -> None:
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    os.truncate(bundle / name, 1000) if cut else (bundle / name).unlink()
    done = doctor(bundle, "--json")
    assert_refused(done, 4, name, "by its sha256", "found another file" if cut else "found none", "export the bundle")
    told = json.loads(done.stdout)
    (finding,) = told["will_be_used"]
    assert name in finding["found"] and (finding["verdict"], finding["cure"]) == ("bad", "export the bundle again")
    assert {"cure": "export the bundle again", "topics": ["model"]} in told["cures"]


@pytest.mark.parametrize(("name", "engine"), [("model.fp32.onnx", "tensorrt"), ("bad.engine", "openvino")])
def test_a_file_is_refused_for_an_engine_that_cannot_serve_it(
    tiny_bundle: Path, tmp_path: Path, name: str, engine: str
) -> None:
    (tmp_path / "bad.engine").write_bytes(b"a plan")
    told = about_model(str(tiny_bundle / name if name.endswith(".onnx") else tmp_path / name), engine)
    assert "wanted" in told["error"] and "tensorrt" in told["error"].lower()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", ["found nothing at"]),
        ("empty", ["manifest.json"]),
        ("bad.onnx", ["bad.onnx"]),
        ("bad.engine", ["bad.engine"]),
    ],
)
def test_a_model_that_nothing_serves_is_refused_in_one_line(tmp_path: Path, name: str, words: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.onnx").write_bytes(b"")
    (tmp_path / "bad.engine").write_bytes(b"")
    done = doctor(tmp_path / name)
    assert_refused(done, 4, *words)
    assert len(done.stderr.splitlines()) == 1 and "engines" in done.stdout
