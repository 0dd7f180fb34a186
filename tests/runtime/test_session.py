"""runtime.session and its engines: which is picked, what opens, what is refused, and what is never imported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fcn_edge.datasets.street import draw_street
from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.errors import FcnEdgeError, ModelError, UsageError
from fcn_edge.manifest import MANIFEST, METADATA_KEY, ModelFacts
from runtime import trt_session
from runtime.cuda_driver import NoGpu
from runtime.engine_facts import EngineFacts, sidecar_of
from runtime.session import FakeSession, open_session
from tests.runtime.small_engines import BUILDER, become, write_engine

SIZE_HW = (64, 96)
FACTS = ModelFacts(STREET_LABELS, SIZE_HW, "fp32").to_json()
ON_EVERY_ENGINE = pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])


def write_graph(path: Path, metadata: str | None, size_hw: tuple[int, int] = SIZE_HW, kind: str = "uint8") -> Path:
    """A graph that marks bright pixels of the first channel, with or without our metadata."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    height, width = size_hw
    element = TensorProto.UINT8 if kind == "uint8" else TensorProto.FLOAT
    limit = np.array(128, np.uint8 if kind == "uint8" else np.float32)
    nodes = [
        helper.make_node("Gather", ["frame", "zero"], ["blue"], axis=3),
        helper.make_node("Greater", ["blue", "limit"], ["bright"]),
        helper.make_node("Cast", ["bright"], ["mask"], to=element),
    ]
    constants = [
        numpy_helper.from_array(np.array(0, np.int64), "zero"),
        numpy_helper.from_array(limit, "limit"),
    ]
    ends = (
        [helper.make_tensor_value_info("frame", element, [1, height, width, 3])],
        [helper.make_tensor_value_info("mask", element, [1, height, width])],
    )
    graph = helper.make_graph(nodes, "bright", *ends, initializer=constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if metadata is not None:
        helper.set_model_props(model, {METADATA_KEY: metadata})
    onnx.save(model, str(path))
    return path


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle that a test may spoil."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


@ON_EVERY_ENGINE
@pytest.mark.parametrize(
    ("precision", "opened"),
    [("auto", "int8-cpu"), ("fp32", "fp32"), ("int8-cpu", "int8-cpu"), ("fp16", "fp16"), ("int8", "int8")],
)
def test_a_bundle_opens_in_the_precision_asked_for(tiny_bundle: Path, precision: str, opened: str, engine: str) -> None:
    with open_session(tiny_bundle, engine, precision) as session:
        assert session.facts.precision == opened
        assert session.facts.size_hw == SIZE_HW and session.facts.labels == STREET_LABELS


@ON_EVERY_ENGINE
def test_a_file_of_a_bundle_opens_on_its_own(tiny_bundle: Path, engine: str) -> None:
    with open_session(tiny_bundle / "model.fp32.onnx", engine) as session:
        assert session.facts.labels == STREET_LABELS


@ON_EVERY_ENGINE
def test_a_mask_has_the_models_size_and_only_its_classes(tiny_bundle: Path, engine: str) -> None:
    frame, _ = draw_street(3, size_hw=SIZE_HW)
    with open_session(tiny_bundle, engine) as session:
        mask = session.infer(frame)
    assert (mask.shape, mask.dtype) == (SIZE_HW, np.uint8)
    assert mask.max() < len(STREET_LABELS)


@ON_EVERY_ENGINE
def test_a_graph_sees_the_frames_own_pixels(tmp_path: Path, engine: str) -> None:
    frame, _ = draw_street(3, size_hw=SIZE_HW)
    with open_session(write_graph(tmp_path / "bright.onnx", json.dumps(FACTS)), engine) as session:
        assert np.array_equal(session.infer(frame), frame[..., 0] > 128)


@ON_EVERY_ENGINE
def test_a_mask_stays_as_it_is_while_the_next_is_made(tmp_path: Path, engine: str) -> None:
    with open_session(write_graph(tmp_path / "bright.onnx", json.dumps(FACTS)), engine) as session:
        first = session.infer(np.full((*SIZE_HW, 3), 255, np.uint8))
        session.infer(np.zeros((*SIZE_HW, 3), np.uint8))
        assert first.all()
        first[:] = 7  # the caller owns it


@ON_EVERY_ENGINE
def test_a_closed_session_says_so(tiny_bundle: Path, engine: str) -> None:
    with open_session(tiny_bundle, engine) as session:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        session.infer(np.zeros((*SIZE_HW, 3), np.uint8))


@ON_EVERY_ENGINE
@pytest.mark.parametrize(("threads", "told"), [(1, "1 threads"), (None, "all cores")])
def test_the_device_tells_the_engine_and_how_many_threads(
    tiny_bundle: Path, threads: int | None, told: str, engine: str
) -> None:
    with open_session(tiny_bundle, engine, threads=threads) as session:
        assert session.device.startswith(f"{engine} ") and session.device.endswith(told)


@pytest.mark.parametrize(
    ("machine", "installed", "picked"),
    [
        ("x86_64", True, "openvino"),
        ("AMD64", True, "openvino"),
        ("x86_64", False, "onnxruntime"),
        ("aarch64", True, "onnxruntime"),
    ],
)
def test_a_file_opens_on_openvino_where_that_is_installed_on_an_x86(
    machine: str, installed: bool, picked: str, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("runtime.engines.find_spec", lambda name: (name == "openvino" and installed) or None)
    with open_session(tiny_bundle / "model.int8-cpu.onnx") as session:
        assert session.device.startswith(f"{picked} ")


def test_a_fake_session_is_the_function_it_was_given() -> None:
    with FakeSession(lambda frame: frame[..., 1], STREET_LABELS, (2, 3)) as session:
        assert np.array_equal(session.infer(np.full((2, 3, 3), 9, np.uint8)), np.full((2, 3), 9))


def no_manifest(bundle: Path) -> Path:
    (bundle / MANIFEST).unlink()
    return bundle


def manifest_is(text: str) -> Callable[[Path], Path]:
    def spoil(bundle: Path) -> Path:
        (bundle / MANIFEST).write_text(text)
        return bundle

    return spoil


def manifest_with(key: str, value: object) -> Callable[[Path], Path]:
    def spoil(bundle: Path) -> Path:
        content = json.loads((bundle / MANIFEST).read_text())
        return manifest_is(json.dumps({**content, key: value}))(bundle)

    return spoil


def graph_missing(bundle: Path) -> Path:
    (bundle / "model.int8-cpu.onnx").unlink()
    return bundle


def graph_truncated(bundle: Path) -> Path:
    graph = bundle / "model.int8-cpu.onnx"
    graph.write_bytes(graph.read_bytes()[:1000])
    return bundle


def graph_tampered(bundle: Path) -> Path:
    graph = bundle / "model.int8-cpu.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    return bundle


def graph_swapped(bundle: Path) -> Path:
    shutil.copy(bundle / "model.fp32.onnx", bundle / "model.int8-cpu.onnx")
    return bundle


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda bundle: bundle / "nothing", "found nothing"),
        (lambda bundle: bundle / "nothing.onnx", "found nothing"),
        (no_manifest, MANIFEST),
        (manifest_is(""), MANIFEST),
        (manifest_is("[]"), MANIFEST),
        (manifest_is("{"), MANIFEST),
        (manifest_with("schema_version", 99), "schema 1"),
        (manifest_with("files", [{"name": "../model.onnx"}]), MANIFEST),
        (manifest_with("size_hw", [64]), MANIFEST),
        (graph_missing, "sha256"),
        (graph_truncated, "sha256"),
        (graph_tampered, "sha256"),
        (graph_swapped, "sha256"),
        (lambda bundle: bundle / "report.html", "wanted a bundle, an ONNX file or an engine, found a .html"),
    ],
)
def test_what_is_no_whole_bundle_is_refused(bundle: Path, spoil: Callable[[Path], Path], word: str) -> None:
    refused(ModelError, word, spoil(bundle))


def refused(kind: type[FcnEdgeError], word: str, model: Path, **choice: str) -> None:
    with pytest.raises(kind) as refusal:
        open_session(model, **choice)
    assert type(refusal.value) is kind
    assert word in str(refusal.value) and "\n" not in str(refusal.value)


@ON_EVERY_ENGINE
@pytest.mark.parametrize("content", [b"", b"This is no graph.\n", bytes(1000)], ids=["empty", "words", "zeros"])
def test_a_file_that_is_only_named_onnx_is_refused(
    tmp_path: Path, content: bytes, engine: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    refused(ModelError, "model.onnx", tmp_path / "model.onnx", engine=engine)
    assert capfd.readouterr() == ("", "")


@ON_EVERY_ENGINE
def test_a_graph_that_was_cut_short_is_refused(tiny_bundle: Path, tmp_path: Path, engine: str) -> None:
    content = (tiny_bundle / "model.fp32.onnx").read_bytes()
    for kept in (1, 100, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.onnx").write_bytes(content[:kept])
        refused(ModelError, "cut.onnx", tmp_path / "cut.onnx", engine=engine)


@ON_EVERY_ENGINE
@pytest.mark.parametrize(
    "metadata",
    [
        None,
        "no json",
        "[]",
        "{}",
        json.dumps({**FACTS, "schema_version": 99}),
        json.dumps({**FACTS, "classes": []}),
        json.dumps({**FACTS, "size_hw": [64]}),
        json.dumps({**FACTS, "size_hw": None}),
        json.dumps({**FACTS, "provenance": 3}),
    ],
)
def test_a_graph_without_our_metadata_is_refused(tmp_path: Path, metadata: str | None, engine: str) -> None:
    refused(ModelError, "foreign.onnx", write_graph(tmp_path / "foreign.onnx", metadata), engine=engine)


@ON_EVERY_ENGINE
@pytest.mark.parametrize(("size_hw", "kind"), [((32, 96), "uint8"), (SIZE_HW, "float")])
def test_a_graph_that_breaks_its_metadatas_promise_is_refused(
    tmp_path: Path, size_hw: tuple[int, int], kind: str, engine: str
) -> None:
    graph = write_graph(tmp_path / "odd.onnx", json.dumps(FACTS), size_hw, kind)
    refused(ModelError, "wanted a graph", graph, engine=engine)


def test_a_precision_that_the_bundle_lacks_is_refused_with_those_it_has(tiny_bundle: Path) -> None:
    refused(UsageError, "found fp32, ", tiny_bundle, precision="fp17")


def test_a_precision_that_the_file_lacks_is_refused(tiny_bundle: Path) -> None:
    refused(UsageError, "found fp32", tiny_bundle / "model.fp32.onnx", precision="int8-cpu")


def test_an_unknown_engine_is_refused_with_those_known(tiny_bundle: Path) -> None:
    refused(UsageError, "onnxruntime", tiny_bundle, engine="abacus")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is found, and nothing more."""
    for module in ("engines", "candidates"):
        monkeypatch.setattr(f"runtime.{module}.find_gpu", lambda: None)


@pytest.mark.usefixtures("gpu")
def test_an_onnx_file_on_tensorrt_names_the_verb_that_builds(tiny_bundle: Path) -> None:
    path = tiny_bundle / "model.int8.onnx"
    refused(ModelError, f"found an ONNX file; build one on this GPU: fcn-edge build {path}", path, engine="tensorrt")


@pytest.mark.usefixtures("gpu")
def test_a_bundle_without_engines_on_tensorrt_names_the_verb_that_builds(tiny_bundle: Path) -> None:
    refused(ModelError, f"found none; build one here: fcn-edge build {tiny_bundle}", tiny_bundle, engine="tensorrt")


@pytest.mark.parametrize("file", ["", "model.int8.onnx"])
def test_tensorrt_is_not_sent_to_build_where_there_is_no_gpu(tiny_bundle: Path, file: str) -> None:
    with pytest.raises(NoGpu, match="wanted an NVIDIA GPU"):
        open_session(tiny_bundle / file, "tensorrt")


class Opened(FakeSession):
    """What would be an engine on a GPU."""

    def __init__(self, engine: Path, facts: EngineFacts, *, cuda_graph: bool) -> None:
        super().__init__(lambda frame: frame[..., 0], facts.model.labels, facts.model.size_hw)
        self.device = f"{engine.name} {cuda_graph}"


@pytest.fixture
def engine_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An int8 engine that was built on this machine."""
    become(monkeypatch, **BUILDER)
    monkeypatch.setattr(trt_session, "TrtSession", Opened)
    return write_engine(tmp_path)


@pytest.mark.parametrize("engine", ["auto", "tensorrt"])
@pytest.mark.parametrize("cuda_graph", [True, False])
def test_an_engine_file_opens_on_tensorrt(engine_file: Path, engine: str, cuda_graph: bool) -> None:
    with open_session(engine_file, engine, cuda_graph=cuda_graph) as session:
        assert session.device == f"model.int8.engine {cuda_graph}" and session.facts.size_hw == SIZE_HW


@pytest.mark.parametrize("engine", ["onnxruntime", "onnxruntime-cuda", "openvino", "openvino-gpu"])
def test_an_engine_file_opens_on_nothing_else(engine_file: Path, engine: str) -> None:
    refused(UsageError, f"found --engine {engine}; give it the bundle or the ONNX file", engine_file, engine=engine)


def test_a_precision_that_the_engine_lacks_is_refused(engine_file: Path) -> None:
    refused(UsageError, "wanted precision fp16, found int8", engine_file, precision="fp16")


def test_an_engine_is_trusted_only_when_that_is_said(engine_file: Path) -> None:
    engine_file.write_bytes(engine_file.read_bytes() + b"!")
    refused(ModelError, "--trust-engine", engine_file)
    with open_session(engine_file, trust_engine=True) as session:
        assert session.device.startswith("model.int8.engine")


def test_an_engine_without_its_sidecar_needs_the_bundle_it_belongs_to(engine_file: Path) -> None:
    sidecar_of(engine_file).unlink()
    with pytest.raises(ModelError, match="the manifest of a bundle"):
        open_session(engine_file, trust_engine=True)


@ON_EVERY_ENGINE
def test_no_library_sees_a_file_with_operators_of_others(
    tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx

    model = onnx.load(str(write_graph(tmp_path / "odd.onnx", json.dumps(FACTS))))
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    onnx.save(model, str(tmp_path / "odd.onnx"))
    monkeypatch.setattr("runtime.openvino_session._library", lambda: pytest.fail("it was loaded"))
    monkeypatch.setattr("runtime.ort_session.onnxruntime_library", lambda: pytest.fail("it was loaded"))
    refused(ModelError, "com.example.Gather", tmp_path / "odd.onnx", engine=engine)


LOADED = """
import sys
from pathlib import Path
import numpy as np
from runtime.session import open_session
before = [name for name in ("onnxruntime", "openvino") if name in sys.modules]
with open_session(Path(sys.argv[1]), sys.argv[2]) as session:
    session.infer(np.zeros((*session.facts.size_hw, 3), np.uint8))
engines = [name for name in ("onnxruntime", "openvino") if name in sys.modules]
print(before, engines, [name for name in ("torch", "onnx", "lightning", "onnxscript") if name in sys.modules])
"""


@ON_EVERY_ENGINE
def test_serving_loads_its_engine_alone_and_late_and_never_torch_or_onnx(tiny_bundle: Path, engine: str) -> None:
    command = [sys.executable, "-c", LOADED, str(tiny_bundle), engine]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == (f"[] ['{engine}'] []\n", "")
