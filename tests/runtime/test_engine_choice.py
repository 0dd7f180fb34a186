"""runtime.engine_choice: the fastest of what can serve a bundle is measured once, taken from then on, and told."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fcn_edge.errors import DeviceError, ModelError, UsageError
from runtime import engine_choice
from runtime.choice_record import FOLDER
from runtime.engine_choice import open_bundle
from runtime.session_protocol import Session
from tests.runtime.small_bundles import GPU, Here, wish_for, write_bundle
from tests.runtime.small_engines import engine_facts

OPENVINO, ONNXRUNTIME, TENSORRT = "openvino int8-cpu", "onnxruntime int8-cpu", "tensorrt int8"
FILES = dict.fromkeys(("fp32", "int8", "int8-cpu"), ("openvino", "onnxruntime"))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    """A machine with two CPU engines, of which onnxruntime is the slower, and with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(engine_choice, "MOST_S", 0.05)
    machine = Here(monkeypatch)
    machine.milliseconds = {ONNXRUNTIME: 4.0, OPENVINO: 1.0}
    return machine


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle", FILES)


def opened(bundle: Path, **choice: Any) -> Session:
    return open_bundle(wish_for(bundle, **choice))


def records(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache" / "fcn-edge" / FOLDER).glob("*"))


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """What was told since it was last asked."""

    def told() -> list[str]:
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err.splitlines()

    return told


@pytest.mark.parametrize("fastest", [OPENVINO, ONNXRUNTIME])
def test_the_fastest_is_opened_and_the_others_are_closed(here: Here, bundle: Path, fastest: str) -> None:
    here.milliseconds = {OPENVINO: 3.0, ONNXRUNTIME: 3.0, fastest: 0.5}
    assert opened(bundle).device == fastest
    assert set(here.opened) - set(here.closed) == {fastest}


def test_the_choice_is_told_in_one_line(here: Here, bundle: Path, lines: Any) -> None:
    opened(bundle)
    (line,) = lines()
    times = r"(\d+\.\d) ms a frame against onnxruntime int8-cpu (\d+\.\d)"
    match = re.fullmatch(rf"engine: openvino int8-cpu, {times}, measured now; --engine overrides", line)
    assert match and float(match[1]) >= 1 and float(match[2]) >= 4


def test_it_is_measured_once(here: Here, bundle: Path, lines: Any) -> None:
    opened(bundle)
    here.opened.clear()
    first = lines()[0]
    assert opened(bundle).device == OPENVINO
    assert here.opened == [OPENVINO]
    (line,) = lines()
    assert re.sub(r"on \d{4}-\d\d-\d\d;", "now;", line) == first and "now" not in line


def test_of_one_candidate_nothing_is_measured_told_or_kept(
    here: Here, bundle: Path, tmp_path: Path, lines: Any
) -> None:
    here.installed = ("onnxruntime",)
    here.blind = {ONNXRUNTIME: AssertionError("it was measured")}
    assert opened(bundle).device == ONNXRUNTIME
    assert (lines(), records(tmp_path)) == ([], [])


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_engine_that_was_named_is_opened_unmeasured(here: Here, bundle: Path, engine: str, lines: Any) -> None:
    here.blind = {OPENVINO: AssertionError("it was measured"), ONNXRUNTIME: AssertionError("it was measured")}
    assert opened(bundle, engine=engine).device == f"{engine} int8-cpu"
    assert lines() == []


def test_of_a_precision_that_was_named_the_engines_compete(here: Here, bundle: Path) -> None:
    here.milliseconds = {"openvino fp32": 3.0, "onnxruntime fp32": 0.5}
    assert opened(bundle, precision="fp32").device == "onnxruntime fp32"


def test_engines_of_tensorrt_compete_with_the_cpu(here: Here, bundle: Path) -> None:
    here.gpu, here.milliseconds[TENSORRT] = GPU, 0.2
    here.add_engine(bundle, "int8")
    assert opened(bundle).device == TENSORRT


def test_of_several_engines_of_tensorrt_the_fastest_is_opened(here: Here, bundle: Path) -> None:
    here.gpu = GPU
    here.milliseconds = {TENSORRT: 0.5, "tensorrt fp32": 3.0}
    for precision in ("fp32", "int8"):
        here.add_engine(bundle, precision)
    assert opened(bundle, engine="tensorrt").device == TENSORRT
    assert set(here.opened) == {TENSORRT, "tensorrt fp32"}


@pytest.mark.parametrize("times", [1, 2], ids=["measured now", "measured before"])
def test_an_engine_that_cannot_be_used_is_told_every_time_and_the_cpu_serves(
    here: Here, bundle: Path, times: int, lines: Any
) -> None:
    here.gpu = GPU
    here.add_engine(bundle, "int8", ModelError("model.int8.engine: built elsewhere; build it here"))
    for _ in range(times):
        assert opened(bundle).device == OPENVINO
        refusal, choice = lines()
        assert refusal == "TensorRT left out: model.int8.engine: built elsewhere; build it here"
        assert choice.startswith("engine: openvino")


def test_a_missing_gpu_is_told_where_the_bundle_has_engines(here: Here, bundle: Path, lines: Any) -> None:
    here.add_engine(bundle, "int8")
    assert opened(bundle).device == OPENVINO
    assert lines()[0] == "TensorRT left out: wanted an NVIDIA GPU, found no NVIDIA driver"


FAILURES = [ModelError("model.int8-cpu.onnx: not enough memory"), UsageError("wanted the package openvino, found none")]


@pytest.mark.parametrize("failure", FAILURES, ids=["model", "package"])
def test_a_candidate_that_does_not_open_is_told_and_left_out(
    here: Here, bundle: Path, tmp_path: Path, failure: Exception, lines: Any
) -> None:
    here.broken = {OPENVINO: failure}
    assert opened(bundle).device == ONNXRUNTIME
    assert lines() == [f"openvino int8-cpu left out: {failure}"]
    assert records(tmp_path) == []  # it may open next time
    assert here.frames == {ONNXRUNTIME: 1}


def test_a_candidate_that_fails_at_its_first_frame_is_left_out_and_closed(here: Here, bundle: Path, lines: Any) -> None:
    here.blind = {OPENVINO: RuntimeError("out of memory\nand more")}
    assert opened(bundle).device == ONNXRUNTIME
    assert here.closed == []
    (line,) = lines()
    assert "openvino int8-cpu left out" in line and "out of memory" in line and "and more" not in line


def test_where_none_opens_the_first_failure_is_raised(here: Here, bundle: Path) -> None:
    here.broken = {OPENVINO: FAILURES[0], ONNXRUNTIME: FAILURES[1]}
    with pytest.raises(ModelError, match="not enough memory"):
        opened(bundle)


def test_a_failing_device_ends_it_all_and_everything_is_closed(here: Here, bundle: Path) -> None:
    here.gpu, here.blind = GPU, {TENSORRT: DeviceError("the GPU is gone")}
    here.add_engine(bundle, "int8")
    with pytest.raises(DeviceError):
        opened(bundle)
    assert sorted(here.closed) == sorted(here.opened)


def test_a_choice_that_does_not_open_any_more_is_measured_again(here: Here, bundle: Path, lines: Any) -> None:
    opened(bundle)
    here.broken = {OPENVINO: FAILURES[0]}
    lines()
    assert opened(bundle).device == ONNXRUNTIME
    assert lines() == [f"openvino int8-cpu left out: {FAILURES[0]}"]


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"engine": "abacus"}', "null", '{"medians_ms": 3}'])
def test_a_damaged_record_is_measured_again(here: Here, bundle: Path, tmp_path: Path, damage: str, lines: Any) -> None:
    opened(bundle)
    (record,) = records(tmp_path)
    whole = record.read_text()
    record.write_text(damage)
    lines()
    assert opened(bundle).device == OPENVINO
    assert "measured now" in lines()[0]
    assert record.read_text().count("\n") == whole.count("\n")


def test_a_record_of_something_else_is_measured_again(here: Here, bundle: Path, tmp_path: Path, lines: Any) -> None:
    opened(bundle)
    (record,) = records(tmp_path)
    record.write_text(record.read_text().replace("openvino", "abacus"))
    lines()
    assert opened(bundle).device == OPENVINO
    assert "measured now" in lines()[0]


def test_where_nothing_can_be_kept_it_is_measured_every_time(
    here: Here, bundle: Path, monkeypatch: pytest.MonkeyPatch, lines: Any
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    for _ in range(2):
        assert opened(bundle).device == OPENVINO
        (line,) = lines()
        assert "measured now" in line


@pytest.mark.parametrize("engine", ["auto", "onnxruntime"])
def test_a_file_that_was_not_proved_on_its_engine_is_told(here: Here, tmp_path: Path, engine: str, lines: Any) -> None:
    here.installed = ("onnxruntime",)
    assert opened(write_bundle(tmp_path / "bundle", {"int8-cpu": ("openvino",)}), engine=engine).device == ONNXRUNTIME
    (line,) = lines()
    assert line.startswith("warning: model.int8-cpu.onnx was not proved on onnxruntime, but on openvino; ")


def test_who_is_left_out_for_want_of_proof_is_told(here: Here, tmp_path: Path, lines: Any) -> None:
    bundle = write_bundle(tmp_path / "bundle", {"int8-cpu": ("onnxruntime",)})
    assert opened(bundle).device == ONNXRUNTIME
    assert lines() == ["openvino int8-cpu left out: not proved there; --engine overrides"]


def test_an_engine_that_was_never_scored_is_told(here: Here, bundle: Path, lines: Any) -> None:
    here.gpu = GPU
    here.add_engine(bundle, "int8", replace(engine_facts(), scores={}))
    assert opened(bundle, engine="tensorrt").device == TENSORRT
    (line,) = lines()
    assert line.startswith("warning: the int8 engine was not scored when it was built; ")


@pytest.mark.parametrize(("tick_s", "rounds"), [(0.001, 50), (0.02, 16), (0.1, 4), (10.0, 3)], ids=str)
def test_slow_models_are_measured_in_few_rounds(
    here: Here, bundle: Path, monkeypatch: pytest.MonkeyPatch, tick_s: float, rounds: int
) -> None:
    monkeypatch.setattr(engine_choice, "MOST_S", 1.5)
    clock = itertools.count(0, tick_s)  # moves with every look: four in a round, one between two
    monkeypatch.setattr(engine_choice, "perf_counter", lambda: next(clock))
    opened(bundle)
    warm_up = 1
    assert here.frames == {OPENVINO: warm_up + rounds, ONNXRUNTIME: warm_up + rounds}


def test_what_is_hopelessly_slow_is_measured_once(here: Here, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "SLOW_MS", 20.0)
    here.gpu, here.milliseconds = GPU, {TENSORRT: 0.1, OPENVINO: 30.0, ONNXRUNTIME: 30.0}
    here.add_engine(bundle, "int8")
    assert opened(bundle).device == TENSORRT
    warm_up, once = 1, 1
    assert here.frames[OPENVINO] == here.frames[ONNXRUNTIME] == warm_up + once
    assert here.frames[TENSORRT] >= warm_up + 3


def test_a_real_bundle_is_measured_then_opened_at_once(tiny_bundle: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", LOADED, str(tiny_bundle)]
    runs = [
        subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
        for _ in range(2)
    ]
    assert "measured now" in runs[0].stderr and "measured on 20" in runs[1].stderr, runs
    assert runs[0].stdout == "both\n" and runs[1].stdout == "one\n"


LOADED = """
import sys
from pathlib import Path
from runtime.session import open_session
open_session(Path(sys.argv[1])).close()
print({1: "one", 2: "both"}[len({"onnxruntime", "openvino"} & set(sys.modules))])
"""
