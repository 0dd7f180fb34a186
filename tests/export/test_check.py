"""`fcn-edge check`: what it says and ends with, for files that follow the rules, that break them, or are no model."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from export.checked import RULES
from fcn_edge.__main__ import main
from fcn_edge.files import sha256_of
from fcn_edge.manifest import MANIFEST, METADATA_KEY, BundleFile, Manifest, write_manifest
from runtime.cuda_driver import NoGpu
from runtime.engine_facts import sidecar_of
from tests.conftest import assert_refused, run_fcn_edge
from tests.export.small_graphs import find, float_graph, node, quantised_graph
from tests.ground.test_main import WITHOUT, only_line, run_python
from tests.runtime.small_engines import BUILDER, PLAN, become, engine_facts, write_engine

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
    file = {"file": "good.onnx", "refused": None, "precision": None, "findings": []}
    assert told == {"model": str(good), "passed": True, "files": [file]}


def write_bundle(folder: Path, **graphs: onnx.ModelProto) -> Path:
    """A file for each precision ("_" stands for "-") with metadata as exported, and the manifest that names them."""
    facts, files = engine_facts().model, []
    for name, graph in graphs.items():
        precision = name.replace("_", "-")
        path = folder / f"model.{precision}.onnx"
        onnx.helper.set_model_props(graph, {METADATA_KEY: json.dumps(replace(facts, precision=precision).to_json())})
        onnx.save(graph, path)
        files.append(BundleFile(path.name, precision, sha256_of(path), path.stat().st_size, {}))
    write_manifest(folder, Manifest(facts.labels, facts.size_hw, tuple(files), {}))
    return folder


def test_of_a_bundle_each_file_for_tensorrt_is_held_against_the_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bundle(tmp_path, fp32=float_graph(), int8=broken_graph(), int8_cpu=broken_graph())
    assert main(["check", str(tmp_path)]) == 4
    out, err = capsys.readouterr()
    assert f"{tmp_path / 'model.fp32.onnx'}: follows" in out
    assert f"{tmp_path / 'model.int8.onnx'}: 2 breaches" in out
    assert f"{tmp_path / 'model.int8-cpu.onnx'}: is whole and plain; {RULES} do not apply" in out
    refusal = only_line(err)
    assert f"{tmp_path / 'model.int8.onnx'}: wanted" in refusal and "found 2 breaches (first: ir_version:" in refusal


def test_a_bundle_of_good_files_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bundle(tmp_path, fp32=quantised_graph(), fp16=quantised_graph(), int8=quantised_graph())
    assert main(["check", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert out.count(f": follows {RULES}\n") == 3 and err == ""


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def another(path: Path) -> None:
    path.write_bytes(float_graph().SerializeToString())


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (cut, "a truncated file?"),
        (another, "by its sha256, found another file; export the bundle again"),
        (Path.unlink, "by its sha256, found none; export the bundle again"),
        (a_pipe, "wanted an ONNX file"),
    ],
    ids=["cut", "another", "gone", "a pipe"],
)
@pytest.mark.parametrize("precision", ["fp16", "int8-cpu"])
def test_a_bundle_is_refused_for_any_file_that_is_not_the_manifests_and_the_rest_is_told(
    precision: str, spoil: Callable[[Path], None], found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bundle(tmp_path, fp32=float_graph(), fp16=float_graph(), int8_cpu=broken_graph())
    path = tmp_path / f"model.{precision}.onnx"
    spoil(path)
    assert main(["check", str(tmp_path)]) == 4
    out, err = capsys.readouterr()
    line = only_line(err)
    assert line.startswith(f"fcn-edge: {path}: wanted") and found in line
    assert f"{tmp_path / 'model.fp32.onnx'}: follows {RULES}\n" in out and f"{path}: is whole" not in out
    assert main(["check", str(tmp_path), "--json"]) == 4
    told = json.loads(capsys.readouterr().out)
    refused = [file["file"] for file in told["files"] if file["refused"]]
    assert (refused, told["passed"], len(told["files"])) == ([path.name], False, 3)


def test_a_manifest_that_names_no_file_is_no_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(write_bundle(tmp_path))]) == 4
    assert "names no file" in only_line(capsys.readouterr().err)


def test_the_file_for_cpus_is_one_line_when_it_is_named(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tiny_bundle / "model.int8-cpu.onnx"
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr() == (f"{path}: is whole and plain; {RULES} do not apply, for it is for CPUs\n", "")
    assert main(["check", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["files"][0]
    assert (told["precision"], told["findings"], told["refused"]) == ("int8-cpu", None, None)


def test_the_file_for_cpus_is_checked_without_onnx(tiny_bundle: Path) -> None:
    done = run_python(WITHOUT, "onnx", "check", tiny_bundle / "model.int8-cpu.onnx")
    assert done.returncode == 0 and "for CPUs" in done.stdout and not done.stderr, done.stderr


def test_an_exported_bundle_passes(tiny_bundle: Path) -> None:
    done = run_fcn_edge("check", tiny_bundle)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 4, done.stderr


def test_breaches_that_are_alike_are_one_row_and_all_are_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = float_graph()
    model.graph.node.extend(node("Strange", f"n{number}", ["conv"]) for number in range(5))
    onnx.save(model, tmp_path / "a.onnx")
    assert main(["check", str(tmp_path / "a.onnx")]) == 4
    out = capsys.readouterr().out
    assert "5 x n0, n1, n2, ..." in out and out.count("not every TensorRT reads") == 1
    assert main(["check", str(tmp_path / "a.onnx"), "--json"]) == 4
    findings = json.loads(capsys.readouterr().out)["files"][0]["findings"]
    assert [finding["node"] for finding in findings if finding["rule"] == "operator"] == [f"n{n}" for n in range(5)]


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
        ("folder", ["found no manifest.json"]),
        ("folder.onnx", ["found no manifest.json"]),
        ("empty.onnx", ["found: 0 bytes"]),
        ("nothing.engine", ["found nothing", "check the path"]),
        ("lone.engine", ["found 0 bytes", "`fcn-edge build ITS_ONNX_FILE`"]),
        ("empty.engine", ["found 0 bytes", "empty.onnx`"]),
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
    for file in ("empty.onnx", "empty.engine", "lone.engine"):
        (tmp_path / file).touch()
    assert main(["check", str(tmp_path / name)]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    for word in [str(tmp_path / name), *words]:
        assert word in only_line(err)


# -- ONNX files, before any library reads them --------------------------------------------------------------------


def with_external_data(path: Path, location: str) -> Path:
    model = float_graph()
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())
    return path


def with_custom_domain(path: Path) -> Path:
    model = float_graph()
    model.graph.node.append(node("Strange", "strange", ["conv"], domain="com.example"))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("location", ["weights.bin", "../secret", "/etc/passwd"])
def test_external_data_is_refused_with_a_line_of_its_own_and_a_table(
    location: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(with_external_data(tmp_path / "a.onnx", location))]) == 4
    out, err = capsys.readouterr()
    assert "numbers in a second file" in out
    assert f"found external data ({location}), which is not read" in only_line(err)


def test_a_custom_domain_is_refused_with_a_line_of_its_own_and_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(with_custom_domain(tmp_path / "a.onnx")), "--json"]) == 4
    out, err = capsys.readouterr()
    assert "found com.example.Strange; export it again without custom domains" in only_line(err)
    file = json.loads(out)["files"][0]
    assert f"fcn-edge: {file['refused']}" == only_line(err)
    assert [finding["rule"] for finding in file["findings"]] == ["domain"]


@pytest.mark.parametrize("kind", ["external data", "custom domain", "words"])
def test_without_onnx_the_outline_still_refuses(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_text("words")
    if kind == "external data":
        with_external_data(path, "../secret")
    elif kind == "custom domain":
        with_custom_domain(path)
    assert_refused(run_python(WITHOUT, "onnx", "check", path), 4, str(path), "wanted")


def test_of_a_bundle_without_onnx_the_rest_is_checked_and_the_extra_is_named(tmp_path: Path) -> None:
    write_bundle(tmp_path, fp32=float_graph(), int8=broken_graph())
    done = run_python(WITHOUT, "onnx", "check", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'model.fp32.onnx'}: is whole and plain\n" + (
        f"{tmp_path / 'model.int8.onnx'}: is whole and plain\n"
    )
    assert "pip install 'fcn-edge[export]'" in done.stderr and len(done.stderr.splitlines()) == 1
    told = json.loads(run_python(WITHOUT, "onnx", "check", tmp_path, "--json").stdout)
    assert told["passed"] and {file["findings"] for file in told["files"]} == {None}


# -- engines --------------------------------------------------------------------------------------------------------


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ONNX file, an engine of it and a manifest, on the machine that built them."""
    become(monkeypatch, **BUILDER)
    folder = tmp_path / "bundle"
    folder.mkdir()
    path = folder / "model.int8.onnx"
    onnx.save(quantised_graph(), path)
    facts = engine_facts().model
    file = BundleFile(path.name, "int8", sha256_of(path), path.stat().st_size, {})
    write_manifest(folder, Manifest(facts.labels, facts.size_hw, (file,), {}))
    write_engine(folder, onnx_sha256=file.sha256)
    return folder


def test_a_bundle_with_a_good_engine_passes_and_shows_every_condition(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(bundle)]) == 0
    out, err = capsys.readouterr()
    assert f"{bundle / 'model.int8.onnx'}: follows {RULES}\n" in out
    assert f"{bundle / 'model.int8.engine'}: may be served here\n" in out and err == ""
    for word in ("TensorRT", "10.3.0", "Orin", "8.7", "aarch64", "sha256 of its ONNX", "0644"):
        assert word in out


def test_json_tells_what_was_built_with_what_and_every_condition(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(bundle), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] and [file["file"] for file in told["files"]] == ["model.int8.onnx", "model.int8.engine"]
    engine = told["files"][1]
    assert (engine["precision"], engine["built_with"]["gpu"], engine["refused"]) == ("int8", "Orin", None)
    assert len(engine["conditions"]) == 13
    assert all(set(row) == {"what", "wanted", "found", "verdict", "refusal"} for row in engine["conditions"])


def test_on_a_machine_without_gpu_all_that_can_be_told_is_told(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    become(monkeypatch, gpu=NoGpu("wanted an NVIDIA GPU, found no NVIDIA driver; see `fcn-edge doctor`"))
    assert main(["check", str(bundle / "model.int8.engine")]) == 4
    out, err = capsys.readouterr()
    for word in ("refused", "10.3.0", "Orin", "8.7", "no GPU", "not asked without a GPU"):
        assert word in out
    assert "found no NVIDIA driver" in only_line(err)


@pytest.mark.parametrize("named", ["bundle", "engine"])
def test_an_engine_of_another_model_is_refused_in_a_bundle_and_by_name(
    named: str, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_engine(bundle)
    assert main(["check", str(bundle / "model.int8.engine" if named == "engine" else bundle)]) == 4
    line = only_line(capsys.readouterr().err)
    assert "found one of another model" in line and f"`fcn-edge build {bundle} --precision int8`" in line


def test_an_onnx_file_that_the_manifest_does_not_speak_of_is_refused(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx.save(float_graph(), bundle / "model.int8.onnx")
    assert main(["check", str(bundle)]) == 4
    out, err = capsys.readouterr()
    assert "wanted the file that manifest.json names by its sha256, found another file" in only_line(err)
    assert "model.int8.engine: may be served here" in out


def test_trust_forgives_a_swapped_plan_but_no_other_machine(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = bundle / "model.int8.engine"
    engine.write_bytes(PLAN + b"more")
    assert main(["check", str(engine)]) == 4
    assert "--trust-engine" in only_line(capsys.readouterr().err)
    assert main(["check", str(engine), "--trust-engine"]) == 0
    assert "trusted" in capsys.readouterr().out
    become(monkeypatch, tensorrt="11.4.0.106")
    assert main(["check", str(engine), "--trust-engine"]) == 4
    assert "wanted an engine for TensorRT 11.4.0.106" in only_line(capsys.readouterr().err)


def test_an_engine_without_sidecar_is_refused_with_what_its_plan_tells(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sidecar_of(bundle / "model.int8.engine").unlink()
    assert main(["check", str(bundle)]) == 4
    out, err = capsys.readouterr()
    assert "10.3.0.26 (by its plan)" in out and "found none" in only_line(err)


def test_who_trusts_an_engine_of_a_bundle_needs_no_sidecar_for_the_manifest_knows_the_classes(bundle: Path) -> None:
    engine = bundle / "model.int8.engine"
    sidecar_of(engine).unlink()
    assert main(["check", str(engine), "--trust-engine"]) == 0
    (bundle / MANIFEST).unlink()
    assert main(["check", str(engine), "--trust-engine"]) == 4


def test_of_a_bundle_that_lacks_its_onnx_file_the_engine_is_still_told(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle / "model.int8.onnx").unlink()
    assert main(["check", str(bundle)]) == 4
    out, err = capsys.readouterr()
    assert "model.int8.engine: may be served here" in out and "found none" in only_line(err)
    assert main(["check", str(bundle / "model.int8.engine")]) == 0


def test_a_broken_manifest_is_refused(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / MANIFEST).write_text("{}")
    for model in (bundle, bundle / "model.int8.engine"):
        assert main(["check", str(model)]) == 4
        assert "wanted the manifest of a bundle" in only_line(capsys.readouterr().err)


def test_engines_are_checked_where_neither_onnx_nor_onnxruntime_is_installed(tmp_path: Path) -> None:
    engine = write_engine(tmp_path)
    script = "import sys\nsys.modules['onnxruntime'] = sys.modules['torch'] = None\n" + WITHOUT
    done = run_python(script, "onnx", "check", engine)
    assert_refused(done, 4, "wanted")
    assert "model.int8.engine: refused" in done.stdout and "Orin" in done.stdout


def test_a_file_name_that_steers_a_terminal_is_shown_harmless(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / "a\x1b[2J.engine").write_bytes(b"x")
    assert main(["check", str(bundle)]) == 4
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err and "a?[2J.engine" in only_line(err)


# -- whatever the bytes ---------------------------------------------------------------------------------------------


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
