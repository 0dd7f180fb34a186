"""__main__.py, the command-line door: one line and the right exit code, whatever goes wrong."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fcn_edge import __version__
from fcn_edge.__main__ import VERBS, Verb, main
from tests.conftest import Done, assert_refused, run_fcn_edge
from tests.export.small_graphs import float_graph, save_exported

# A process in which one library is not installed: Python itself then raises ModuleNotFoundError on its import.
WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
from fcn_edge.__main__ import main
sys.exit(main(sys.argv[2:]))
"""

LOADED_BY_HELP = """
import sys
from fcn_edge.__main__ import main
assert main(["--help"]) == 0
print("loaded:", *sorted({name.split(".")[0] for name in sys.modules}))
"""

# A verb that does what its argument says.
STUB = """
import click
from fcn_edge.errors import ModelError, OutputError, SourceError, UsageError

KINDS = {kind.__name__: kind for kind in (UsageError, SourceError, ModelError, OutputError, KeyboardInterrupt)}

@click.command("stub")
@click.argument("kind")
def stub_command(kind):
    if kind == "wait":
        import signal
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("waiting", flush=True)
        signal.pause()
    if kind == "bug":
        raise ZeroDivisionError("our bug")
    if kind == "quit":
        raise click.exceptions.Exit(7)
    if kind in KINDS:
        raise KINDS[kind]("first line\\n  second line")
"""

WITH_STUB = """
import sys
from fcn_edge.__main__ import VERBS, Verb, main
VERBS["stub"] = Verb("stub_of_the_door", "desktop", "")
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The verb `stub`, in a module of its own."""
    (tmp_path / "stub_of_the_door.py").write_text(STUB)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(VERBS, "stub", Verb("stub_of_the_door", "desktop", ""))
    yield tmp_path
    sys.modules.pop("stub_of_the_door", None)


def run_python(script: str, *arguments: object, **options: object) -> Done:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)  # type: ignore[call-overload, no-any-return]


def only_line(told: str) -> str:
    lines = told.splitlines()
    assert len(lines) == 1 and lines[0].startswith("fcn-edge: "), told
    return lines[0]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_loads_and_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert f"Usage: fcn-edge {verb} " in capsys.readouterr().out


def test_help_lists_the_verbs_and_loads_no_library_of_theirs() -> None:
    done = run_python(LOADED_BY_HELP)
    assert done.returncode == 0, done.stderr
    shown, _, loaded = done.stdout.rpartition("loaded:")
    for verb, about in VERBS.items():
        assert verb in shown and about.summary in shown
    assert not {"torch", "cv2", "numpy", "onnxruntime", "openvino", "onnx", "av", "lightning"} & set(loaded.split())


def test_running_verbs_are_loaded_without_torch() -> None:
    script = (
        "import sys, runtime.cli, export.cli, export.demo\nprint({'torch', 'lightning', 'onnx'} & set(sys.modules))"
    )
    assert run_python(script).stdout == "set()\n"


def test_no_argument_at_all_shows_the_help_and_is_a_usage_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert "Verbs:" in out + err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (f"fcn-edge {__version__}\n", "")


def test_the_door_is_a_process_with_an_exit_code() -> None:
    done = run_fcn_edge("fly")
    assert_refused(done, 2, "fly")
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fly"], ["fly", "fcn-edge --help"]),
        (["--fly"], ["--fly", "fcn-edge --help"]),
        (["train"], ["KIND:FOLDER", "fcn-edge train --help"]),
        (["train", "synthetic:", "--fly"], ["--fly", "fcn-edge train --help"]),
        (["run"], ["--model", "fcn-edge run --help"]),
        (["run", "--model", "m"], ["fcn-edge run SOURCE"]),
        (["run", "a.png"], ["--model", "fcn-edge run --help"]),
        (["run", "a.png", "--model", "m", "--engine", "steam"], ["--engine", "steam"]),
        (["run", "a.png", "--model", "m", "--alpha", "2"], ["--alpha", "2"]),
        (["bench", "m", "--frame", "big"], ["--frame", "HEIGHTxWIDTH", "big"]),
        (["bench", "m", "more"], ["more"]),
        (["export", "c.safetensors"], ["--output", "fcn-edge export --help"]),
        (["eval"], ["MODEL", "fcn-edge eval --help"]),
    ],
)
def test_a_wrong_command_is_one_line_that_says_where_to_look(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    for word in words:
        assert word in only_line(err)


@pytest.mark.parametrize(
    ("kind", "code"), [("UsageError", 2), ("SourceError", 3), ("ModelError", 4), ("OutputError", 5)]
)
@pytest.mark.usefixtures("stub")
def test_each_mistake_is_one_line_and_its_exit_code(kind: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stub", kind]) == code
    assert capsys.readouterr() == ("", "fcn-edge: first line second line\n")


@pytest.mark.parametrize(("kind", "code"), [("nothing", 0), ("quit", 7)])
@pytest.mark.usefixtures("stub")
def test_a_verb_that_ends_by_itself_says_nothing_more(kind: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stub", kind]) == code
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("stub")
def test_our_own_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError, match="our bug"):
        main(["stub", "bug"])


@pytest.mark.usefixtures("stub")
def test_an_interrupt_inside_a_verb_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stub", "KeyboardInterrupt"]) == 130
    assert only_line(capsys.readouterr().err.strip()) == "fcn-edge: interrupted"


def test_ctrl_c_ends_the_process_with_130_and_no_traceback(stub: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(stub), *sys.path])}
    command = [sys.executable, "-c", WITH_STUB, "stub", "wait"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    assert process.stdout is not None and process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert only_line(err.strip()) == "fcn-edge: interrupted"


@pytest.mark.parametrize(
    ("library", "arguments", "bringer"),
    [
        ("torch", "train folder:{data} -o {new}", "'fcn-edge[train]'"),
        ("lightning", "train folder:{data} -o {new}", "'fcn-edge[train]'"),
        ("cv2", "train folder:{data} -o {new}", "'fcn-edge[desktop]'"),
        ("torch", "export {empty} -o {new} --size 64x96 --data folder:{data}", "'fcn-edge[export]'"),
        ("torch", "eval {empty} folder:{data}", "'fcn-edge[export]'"),
        ("onnxruntime", "eval {small} folder:{data} --engine onnxruntime", "onnxruntime"),
        ("onnxruntime", "bench {small} --engine onnxruntime", "onnxruntime"),
        ("onnxruntime", "run {picture} --model {small} --engine onnxruntime", "onnxruntime"),
        ("openvino", "bench {small} --engine openvino", "'fcn-edge[openvino]'"),
        ("av", "run {picture} --model {small}", "'fcn-edge[desktop]'"),
        ("cv2", "run {picture} --model {small}", "'fcn-edge[desktop]'"),
    ],
)
def test_a_missing_library_is_one_line_that_names_what_brings_it(
    tmp_path: Path, street_folder: Path, library: str, arguments: str, bringer: str
) -> None:
    (tmp_path / "empty.safetensors").touch()
    save_exported(tmp_path / "small.onnx", float_graph())
    places = {
        "data": street_folder,
        "new": tmp_path / "new",
        "empty": tmp_path / "empty.safetensors",
        "small": tmp_path / "small.onnx",
        "picture": street_folder / "images" / "val" / "000.png",
    }
    done = run_python(WITHOUT, library, *(argument.format(**places) for argument in arguments.split()))
    assert_refused(done, 2, library, f"pip install {bringer}")


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def full_device() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize("open_output", [closed_pipe, full_device])
def test_standard_output_that_takes_nothing_is_an_output_error(open_output: Callable[[], int]) -> None:
    output = open_output()
    command = [sys.executable, "-m", "fcn_edge", "--help"]
    done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(output)
    assert_refused(done, 5, "standard output")
