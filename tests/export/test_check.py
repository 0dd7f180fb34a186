"""`fcn-edge check`: what it says and ends with, for files that follow the rules, that break them, or are no ONNX."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from export.checked import RULES
from fcn_edge.__main__ import main
from tests.conftest import assert_refused, run_fcn_edge
from tests.export.small_graphs import find, float_graph, quantised_graph
from tests.ground.test_main import WITHOUT, only_line, run_python

WHOLE = float_graph().SerializeToString()


def broken_graph() -> onnx.ModelProto:
    broken = quantised_graph()
    broken.ir_version = 9
    find(broken, "x_q").input.pop()
    return broken


@pytest.fixture
def good(tmp_path: Path) -> Path:
    onnx.save(float_graph(), tmp_path / "good.onnx")
    return tmp_path / "good.onnx"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    onnx.save(broken_graph(), tmp_path / "broken.onnx")
    return tmp_path / "broken.onnx"


def test_a_file_that_follows_the_rules_is_one_line(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(good)]) == 0
    assert capsys.readouterr() == (f"{good}: follows TensorRT's rules from 8.5 to 11.4\n", "")


def test_breaches_are_a_table_and_a_line_that_names_the_first(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(broken)]) == 4
    out, err = capsys.readouterr()
    assert out.startswith(f"{broken}: 2 breaches of {RULES}\n")
    for word in ("node", "found", "fix", "ir_version", "IR version 9", "x_q", "no zero point"):
        assert word in out
    line = only_line(err)
    assert line.startswith(f"fcn-edge: {broken}: wanted ")
    assert "found 2 breaches (first: ir_version: IR version 9); set ir_version = 8" in line


def test_one_breach_is_said_in_the_singular(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = float_graph()
    model.ir_version = 10
    onnx.save(model, tmp_path / "newer.onnx")
    assert main(["check", str(tmp_path / "newer.onnx")]) == 4
    assert "found 1 breach (first" in only_line(capsys.readouterr().err)


def test_json_tells_every_finding_and_the_exit_code_stays(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(broken), "--json"]) == 4
    told = json.loads(capsys.readouterr().out)
    assert (told["model"], told["passed"]) == (str(broken), False)
    assert [file["file"] for file in told["files"]] == ["broken.onnx"]
    findings = told["files"][0]["findings"]
    assert [(finding["node"], finding["rule"]) for finding in findings] == [
        ("ir_version", "ir-version"),
        ("x_q", "zero-point"),
    ]
    assert all(set(finding) == {"node", "rule", "found", "fix"} for finding in findings)


def test_json_of_a_good_file_says_so(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(good), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    file = {"file": "good.onnx", "refused": None, "findings": []}
    assert told == {"model": str(good), "passed": True, "files": [file]}


def test_of_a_bundle_each_file_for_tensorrt_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(float_graph(), tmp_path / "model.fp32.onnx")
    onnx.save(broken_graph(), tmp_path / "model.int8.onnx")
    onnx.save(broken_graph(), tmp_path / "model.int8-cpu.onnx")
    assert main(["check", str(tmp_path)]) == 4
    out, err = capsys.readouterr()
    assert f"{tmp_path / 'model.fp32.onnx'}: follows" in out
    assert f"{tmp_path / 'model.int8.onnx'}: 2 breaches" in out and "int8-cpu" not in out
    aside, refusal = err.splitlines()
    assert aside.startswith("model.int8-cpu.onnx left out")
    assert f"{tmp_path / 'model.int8.onnx'}: wanted" in refusal and "found 2 breaches (first: ir_version:" in refusal


def test_a_bundle_of_good_files_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for precision in ("fp32", "fp16", "int8"):
        onnx.save(quantised_graph(), tmp_path / f"model.{precision}.onnx")
    assert main(["check", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert out.count(f": follows {RULES}\n") == 3 and err == ""


def test_the_file_for_cpus_is_refused_when_it_is_named(tiny_bundle: Path) -> None:
    done = run_fcn_edge("check", tiny_bundle / "model.int8-cpu.onnx")
    assert_refused(done, 4, "model.int8-cpu.onnx", "breaches")
    assert "uint8" in done.stdout


def test_checking_loads_no_torch(good: Path) -> None:
    script = (
        "import sys\nfrom fcn_edge.__main__ import main\nassert main(sys.argv[1:]) == 0\nprint('torch' in sys.modules)"
    )
    assert run_python(script, "check", good).stdout.splitlines()[-1] == "False"


def test_without_onnx_the_extra_is_named(good: Path) -> None:
    assert_refused(run_python(WITHOUT, "onnx", "check", good), 2, "onnx", "pip install 'fcn-edge[export]'")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing.onnx", ["found nothing", "check the path"]),
        ("notes.txt", ["found a .txt file"]),
        ("nameless", ["found a nameless file"]),
        ("folder", ["found no model.fp32.onnx"]),
        ("folder.onnx", ["found no model.fp32.onnx"]),
        ("empty.onnx", ["found: 0 bytes"]),
        ("nothing.engine", ["found nothing", "check the path"]),
        ("empty.engine", ["found 0 bytes", "fcn-edge build"]),
        ("text.onnx", ["wanted an ONNX file"]),
    ],
)
def test_what_is_no_model_is_one_line(
    name: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("folder", "folder.onnx"):
        (tmp_path / folder).mkdir()
    for file in ("notes.txt", "nameless", "text.onnx"):
        (tmp_path / file).write_text("not a model, but words")
    for file in ("empty.onnx", "empty.engine"):
        (tmp_path / file).touch()
    assert main(["check", str(tmp_path / name)]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    for word in [str(tmp_path / name), *words]:
        assert word in only_line(err)


def test_a_file_that_may_not_be_read_is_one_line(
    good: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(good))  # root reads everything, so the mode cannot show it

    monkeypatch.setattr(onnx, "load_model", refuse)
    assert main(["check", str(good)]) == 4
    assert "Permission denied" in only_line(capsys.readouterr().err)


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_names_that_are_no_text_or_steer_a_terminal_are_shown_harmless(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = float_graph()
    find(model, "relu").op_type, find(model, "relu").name = "Unheard", "strange"
    content = model.SerializeToString()
    for number, name in enumerate([b"str\xff\xfege", b"s\x1b[2Jge"]):  # as long as before: protobuf counts
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(content.replace(b"strange", name))
        assert main(["check", str(path), *flags]) == 4
        out, err = capsys.readouterr()
        assert "Unheard" in only_line(err) and "\x1b" not in out + err


def test_our_own_bug_keeps_its_traceback(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("our bug")

    monkeypatch.setattr("export.graph_rules.check_graph", fail)
    with pytest.raises(ZeroDivisionError, match="our bug"):
        main(["check", str(good)])


def check_bytes(content: bytes) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.onnx"
        path.write_bytes(content)
        return main(["check", str(path)])


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
@example(0)
@example(len(WHOLE) - 1)
def test_a_truncated_file_is_refused(length: int) -> None:
    assert check_bytes(WHOLE[:length]) == 4


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_garbage_is_refused(content: bytes) -> None:
    assert check_bytes(content) == 4


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_flipped_byte_ends_in_an_answer(place: int, byte: int) -> None:
    assert check_bytes(WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :]) in (0, 4)
