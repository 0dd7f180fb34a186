"""Models that no command may serve: each ends in one line and exit code 4, with nothing opened and nothing crashed.

The commands run in processes of their own where a crash is what is feared, and within this one elsewhere.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto

from fcn_edge.files import sha256_of
from fcn_edge.manifest import BundleFile, Manifest, write_manifest
from runtime import tensorrt_library
from runtime.cuda_driver import NoGpu
from runtime.engine_facts import sidecar_of
from tests.conftest import Done, call_fcn_edge, run_fcn_edge
from tests.export.small_graphs import float_graph, node, quantised_graph, save_exported
from tests.gpu.host_cuda import gpu_environment
from tests.runtime.small_engines import BUILDER, BUILT_WITH, PLAN, become, edit_sidecar, engine_facts, write_engine
from tests.test_house import write_picture

# What is typed to use a model.
VERBS = {
    "check": ["check", "{model}"],
    "run": ["run", "{picture}", "null:", "--model", "{model}"],
    "bench": ["bench", "{model}", "--frames", "2", "--warmup", "0"],
    "eval": ["eval", "{model}", "folder:{data}"],
    "build": ["build", "{model}"],
}
OF_ENGINES = ("check", "run", "bench", "eval")

Words = Callable[[str, Path], list[str]]


@pytest.fixture(scope="module")
def words(street_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Words:
    """The words of a verb for a model."""
    places = {"data": street_folder, "picture": write_picture(tmp_path_factory.mktemp("picture"))}

    def of(verb: str, model: Path) -> list[str]:
        return [word.format(model=model, **places) for word in VERBS[verb]]

    return of


def assert_one_line(done: Done, *told: str) -> None:
    assert done.returncode == 4, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    lines = [line for line in done.stderr.splitlines() if line.startswith("fcn-edge: ")]
    assert len(lines) == 1 and done.stderr.splitlines()[-1] == lines[0], done.stderr
    assert "Traceback" not in done.stderr and lines[0].isprintable() and len(lines[0]) < 1000
    for word in told:
        assert word in lines[0], lines[0]


# -- engines ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """An ONNX file, a manifest and an engine, whose plan would crash the process if it were opened."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    return write_bundle(folder, quantised_graph())


def write_bundle(folder: Path, model: onnx.ModelProto) -> Path:
    path = save_exported(folder / "model.int8.onnx", model)
    facts = engine_facts().model
    file = BundleFile(path.name, "int8", sha256_of(path), path.stat().st_size, {})
    write_manifest(folder, Manifest(facts.labels, facts.size_hw, (file,), {}))
    write_engine(folder, onnx_sha256=file.sha256)
    return folder


def cut(engine: Path) -> None:
    engine.write_bytes(PLAN[: len(PLAN) // 3])


def emptied(engine: Path) -> None:
    engine.write_bytes(b"")


def swapped(engine: Path) -> None:
    engine.write_bytes(PLAN[:-1] + b"!")


def of_another_model(engine: Path) -> None:
    write_engine(engine.parent)


def of_another_tensorrt(engine: Path) -> None:
    rebuilt(engine, tensorrt="8.6.2")


def of_another_gpu(engine: Path) -> None:
    rebuilt(engine, gpu="Thor", compute_capability="11.0")


def of_another_machine(engine: Path) -> None:
    rebuilt(engine, machine="riscv64")


def rebuilt(engine: Path, **elsewhere: str) -> None:
    onnx_sha256 = sha256_of(engine.with_suffix(".onnx"))
    write_engine(engine.parent, onnx_sha256=onnx_sha256, built_with=replace(BUILT_WITH, **elsewhere))


def without_sidecar(engine: Path) -> None:
    sidecar_of(engine).unlink()


def with_a_broken_sidecar(engine: Path) -> None:
    sidecar_of(engine).write_text("[" * 100_000)


def with_an_edited_sidecar(engine: Path) -> None:
    edit_sidecar(engine, "built_with", "tensorrt", to="10.16.1.11")


def with_a_sidecar_for_another_plan(engine: Path) -> None:
    engine.write_bytes(PLAN + b"malice")
    edit_sidecar(engine, "engine_sha256", to=sha256_of(engine))
    edit_sidecar(engine, "engine_bytes", to=engine.stat().st_size)


def writable_by_all(engine: Path) -> None:
    engine.chmod(0o666)


def with_a_sidecar_writable_by_all(engine: Path) -> None:
    sidecar_of(engine).chmod(0o646)


def in_a_folder_of_all(engine: Path) -> None:
    engine.parent.chmod(0o777)


REFUSED_ENGINES: dict[Callable[[Path], None], str] = {
    cut: "cut, or another",
    emptied: "found 0 bytes",
    swapped: "by its sha256, found another",
    of_another_model: "found one of another model",
    of_another_tensorrt: "found one built with TensorRT 8.6.2 on Orin",
    of_another_gpu: "found one built with TensorRT 10.3.0 on Thor (compute capability 11.0",
    of_another_machine: "riscv64",
    without_sidecar: "found none",
    with_a_broken_sidecar: "recursion",
    with_an_edited_sidecar: "found a sidecar that was edited",
    with_a_sidecar_for_another_plan: "found a sidecar that was edited",
    writable_by_all: "found mode 0666",
    with_a_sidecar_writable_by_all: "found mode 0646",
    in_a_folder_of_all: "found mode 0777",
}


@pytest.mark.parametrize("verb", OF_ENGINES)
@pytest.mark.parametrize("spoil", REFUSED_ENGINES, ids=lambda spoil: spoil.__name__)
def test_a_refused_engine_is_one_line_and_is_never_opened(
    spoil: Callable[[Path], None], verb: str, bundle: Path, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch, **BUILDER)
    monkeypatch.setattr(tensorrt_library, "engine_from_plan", lambda *_: pytest.fail("opened"))
    spoil(bundle / "model.int8.engine")
    done = call_fcn_edge(*words(verb, bundle / "model.int8.engine"))
    assert_one_line(done, str(bundle), REFUSED_ENGINES[spoil])
    assert "`fcn-edge build " in done.stderr or "`chmod " in done.stderr


@pytest.mark.parametrize("verb", OF_ENGINES)
def test_an_engine_on_a_machine_without_gpu_is_one_line(
    verb: str, bundle: Path, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = NoGpu("wanted an NVIDIA GPU, found no NVIDIA driver; see `fcn-edge doctor`")
    become(monkeypatch, **{**BUILDER, "gpu": refusal, "tensorrt": AssertionError("touched")})
    assert_one_line(call_fcn_edge(*words(verb, bundle / "model.int8.engine")), "found no NVIDIA driver")


# The package tensorrt of a machine that this is not. Whoever opens a plan with it dies of a signal.
DEADLY_TENSORRT = """
import os

__version__ = "10.3.0"


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING = range(3)


class Runtime:
    def __init__(self, logger):
        os.abort()
"""

# What Python says where NVIDIA's bindings are installed and its libraries are not.
WITHOUT_LIBRARIES = """
raise ImportError("libnvinfer.so.10: cannot open shared object file: No such file or directory")
"""


def environment(folder: Path, tensorrt: str | None, **gpu: object) -> dict[str, str]:
    """Of a child process on a machine with a GPU (of the tests' driver), and this package tensorrt."""
    packages = folder / "packages"
    (packages / "tensorrt").mkdir(parents=True)
    if tensorrt is None:
        tensorrt = "raise ModuleNotFoundError(\"No module named 'tensorrt'\", name='tensorrt')"
    (packages / "tensorrt" / "__init__.py").write_text(tensorrt)
    return gpu_environment(paths=(packages,), **{"name": "Orin", "capability": "8.7", **gpu})


def without_driver(folder: Path) -> dict[str, str]:
    return {**os.environ, "LD_LIBRARY_PATH": str(folder)}


def driver_without_gpu(folder: Path) -> dict[str, str]:
    return environment(folder, DEADLY_TENSORRT, devices=0)


def without_tensorrt(folder: Path) -> dict[str, str]:
    return environment(folder, None)


def without_libraries(folder: Path) -> dict[str, str]:
    return environment(folder, WITHOUT_LIBRARIES)


def older_tensorrt(folder: Path) -> dict[str, str]:
    return environment(folder, DEADLY_TENSORRT.replace("10.3.0", "8.6.2"))


def another_gpu(folder: Path) -> dict[str, str]:
    return environment(folder, DEADLY_TENSORRT, capability="9.0")


MACHINES: dict[Callable[[Path], dict[str, str]], tuple[str, ...]] = {
    driver_without_gpu: ("CUDA_ERROR_NO_DEVICE",),
    without_tensorrt: ("wanted the package tensorrt", "No module named 'tensorrt'"),
    without_libraries: ("libnvinfer.so.10: cannot open shared object file",),
    older_tensorrt: ("wanted an engine for TensorRT 8.6.2", "built with TensorRT 10.3.0"),
    another_gpu: ("wanted an engine for compute capability 9.0",),
}


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.__name__)
def test_on_a_machine_that_cannot_serve_it_an_engine_is_one_line_and_no_crash(
    machine: Callable[[Path], dict[str, str]], verb: str, bundle: Path, words: Words, tmp_path: Path
) -> None:
    rebuilt(bundle / "model.int8.engine", machine=os.uname().machine)
    done = run_fcn_edge(*words(verb, bundle / "model.int8.engine"), env=machine(tmp_path))
    assert_one_line(done, *MACHINES[machine])


@pytest.mark.parametrize("verb", OF_ENGINES)
def test_without_a_driver_an_engine_is_one_line_in_a_process_of_its_own(
    verb: str, bundle: Path, words: Words, tmp_path: Path
) -> None:
    """Where the machine that runs this has a GPU, the engine is refused for another reason."""
    rebuilt(bundle / "model.int8.engine", machine=os.uname().machine, compute_capability="0.1")
    done = run_fcn_edge(*words(verb, bundle / "model.int8.engine"), env=without_driver(tmp_path))
    assert_one_line(done, "wanted")


@pytest.mark.parametrize("machine", [without_driver, driver_without_gpu, without_tensorrt, without_libraries])
@pytest.mark.parametrize("verb", ["build", "doctor"])
def test_on_a_machine_that_lacks_something_no_engine_is_built_and_doctor_says_why(
    verb: str, machine: Callable[[Path], dict[str, str]], bundle: Path, words: Words, tmp_path: Path
) -> None:
    asked = words(verb, bundle) if verb == "build" else ["doctor", "--engine", "tensorrt"]
    done = run_fcn_edge(*asked, env=machine(tmp_path))
    assert_one_line(done, "wanted", *MACHINES.get(machine, ()) if verb == "build" else ())


@pytest.mark.parametrize("spoil", [cut, swapped, with_an_edited_sidecar], ids=lambda spoil: spoil.__name__)
def test_where_tensorrt_would_crash_on_it_a_spoilt_plan_is_one_line(
    spoil: Callable[[Path], None], bundle: Path, words: Words, tmp_path: Path
) -> None:
    rebuilt(bundle / "model.int8.engine", machine=os.uname().machine)
    settings = environment(tmp_path, DEADLY_TENSORRT)
    whole = run_fcn_edge(*words("run", bundle / "model.int8.engine"), env=settings)
    assert whole.returncode == -signal.SIGABRT, whole.stderr  # or this would prove nothing
    spoil(bundle / "model.int8.engine")
    done = run_fcn_edge(*words("run", bundle / "model.int8.engine"), env=settings)
    assert_one_line(done, REFUSED_ENGINES[spoil])


STRANGER = 12345  # no user of this machine


@pytest.mark.parametrize("verb", ["check", "run"])
def test_an_engine_of_another_user_is_one_line_in_a_process_of_its_own(
    verb: str, bundle: Path, words: Words, tmp_path: Path
) -> None:
    """Root gives the file away; anybody else becomes somebody else."""
    engine = bundle / "model.int8.engine"
    rebuilt(engine, machine=os.uname().machine)
    settings = environment(tmp_path, DEADLY_TENSORRT)
    if os.geteuid() == 0:
        os.chown(engine, STRANGER, STRANGER)
    else:
        (tmp_path / "packages" / "sitecustomize.py").write_text(f"import os\nos.geteuid = lambda: {STRANGER}\n")
    assert_one_line(run_fcn_edge(*words(verb, engine), env=settings), "wanted a file of", "an engine is code")


# -- ONNX files -------------------------------------------------------------------------------------------------------


@contextmanager
def untouched(*paths: Path) -> Iterator[None]:
    """The block opens none of these files, by whatever library: Linux's inotify would tell."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert watch >= 0
    try:
        for path in paths:
            assert libc.inotify_add_watch(watch, os.fsencode(path), IN_OPEN | IN_ACCESS) >= 0
        yield
        with pytest.raises(BlockingIOError):
            os.read(watch, 4096)
    finally:
        os.close(watch)


IN_ACCESS, IN_OPEN = 0x1, 0x20  # of sys/inotify.h


def test_the_watch_sees_a_file_that_is_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    with pytest.raises(pytest.fail.Exception), untouched(tmp_path / "secret"):
        (tmp_path / "secret").read_bytes()


def with_external_data(path: Path, location: str, *, length: bool = True) -> None:
    """Weights in another file, and that file there, so that who follows the way finds them."""
    model = float_graph()
    weights = model.graph.initializer[0]
    place = path.parent / location
    place.write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    if length:
        weights.external_data.add(key="length", value=str(place.stat().st_size))
    save_exported(path, model)


def with_a_node(path: Path, extra: onnx.NodeProto) -> None:
    model = float_graph()
    model.graph.node.append(extra)
    save_exported(path, model)


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def bomb(levels: int) -> bytes:
    """Graphs in attributes of nodes of graphs ..., whose reader would call itself until its stack is full."""
    graph = b""
    for _ in range(levels):
        graph = field(1, field(5, field(6, graph)))
    return field(8, b"\x10\x11") + b"\x08\x08" + field(7, graph)


def outside(path: Path) -> None:
    with_external_data(path, "../secret")


def at_an_absolute_path(path: Path) -> None:
    with_external_data(path, str(path.parent.parent / "secret"))


def inside(path: Path) -> None:
    with_external_data(path, "weights.bin")


def of_a_custom_domain(path: Path) -> None:
    with_a_node(path, node("Strange", "strange", ["conv"], domain="com.example"))


def of_onnxruntimes_domain(path: Path) -> None:
    with_a_node(path, node("Gelu", "gelu", ["conv"], domain="com.microsoft"))


def of_0_bytes(path: Path) -> None:
    path.touch()


def of_zeros(path: Path) -> None:
    path.write_bytes(bytes(10_000))


def of_words(path: Path) -> None:
    path.write_text("a text, and no model")


def of_half_a_file(path: Path) -> None:
    save_exported(path, float_graph())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of_lies(path: Path) -> None:
    path.write_bytes(b"\x08\x08" + b"\x3a" + varint(1 << 60))


def of_graphs_without_end(path: Path) -> None:
    path.write_bytes(bomb(5_000))


REFUSED_GRAPHS: dict[Callable[[Path], None], str] = {
    outside: "found external data (../secret), which is not read",
    at_an_absolute_path: "secret), which is not read",
    inside: "found external data (weights.bin), which is not read",
    of_a_custom_domain: "found com.example.Strange",
    of_onnxruntimes_domain: "found com.microsoft.Gelu",
    of_0_bytes: "found: 0 bytes",
    of_zeros: "wanted an ONNX file",
    of_words: "wanted an ONNX file",
    of_half_a_file: "a truncated file?",
    of_lies: "goes past the end",
    of_graphs_without_end: "nested deeper than",
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("make", REFUSED_GRAPHS, ids=lambda make: make.__name__)
def test_a_refused_graph_is_one_line_and_no_second_file_is_opened(
    make: Callable[[Path], None], verb: str, words: Words, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    make(folder / "model.onnx")
    others = [path for path in (tmp_path / "secret", folder / "weights.bin") if path.exists()]
    with untouched(*others):
        done = call_fcn_edge(*words(verb, folder / "model.onnx"))
    assert_one_line(done, str(folder / "model.onnx"), REFUSED_GRAPHS[make])


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("make", [outside, of_graphs_without_end], ids=lambda make: make.__name__)
def test_no_library_gets_to_see_a_refused_graph(
    make: Callable[[Path], None], engine: str, words: Words, tmp_path: Path
) -> None:
    """In a process of its own, which a library could crash."""
    folder = tmp_path / "folder"
    folder.mkdir()
    make(folder / "model.onnx")
    others = [path for path in (tmp_path / "secret", folder / "weights.bin") if path.exists()]
    with untouched(*others):
        done = run_fcn_edge(*words("run", folder / "model.onnx"), "--engine", engine)
    assert_one_line(done, REFUSED_GRAPHS[make])


@pytest.mark.parametrize("verb", VERBS)
def test_a_bundle_whose_graph_was_replaced_is_one_line(verb: str, bundle: Path, words: Words) -> None:
    save_exported(bundle / "model.int8.onnx", float_graph())
    (bundle / "model.int8.engine").unlink()
    precision = [] if verb == "check" else ["--precision", "int8"]
    done = call_fcn_edge(*words(verb, bundle), *precision)
    assert_one_line(done, "model.int8.onnx", "names by its sha256, found another file")
