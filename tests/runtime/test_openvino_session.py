"""runtime.openvino_session: what OpenVINO alone asks for; test_session.py holds what every engine keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fcn_edge.datasets.street import draw_street
from fcn_edge.errors import ModelError, UsageError
from fcn_edge.files import sha256_of
from fcn_edge.manifest import METADATA_KEY, ModelFacts
from runtime import openvino_session
from runtime.model_cache import being_kept
from runtime.openvino_session import OpenVinoSession
from runtime.session import open_session
from tests.conftest import assert_refused, run_fcn_edge
from tests.runtime.test_session import FACTS, SIZE_HW, write_graph

BLACK = np.zeros((*SIZE_HW, 3), np.uint8)


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.999), ("fp16", 0.99), ("int8", 0.9), ("int8-cpu", 0.9)])
def test_masks_are_those_of_onnxruntime(tiny_bundle: Path, precision: str, least: float) -> None:
    frames = [draw_street(seed, size_hw=SIZE_HW)[0] for seed in range(8)]
    masks = []
    for engine in ("onnxruntime", "openvino"):
        with open_session(tiny_bundle, engine, precision) as session:
            masks.append(np.stack([session.infer(frame) for frame in frames]))
    assert (masks[0] == masks[1]).mean() >= least
    assert len(np.unique(masks[0])) > 3


def test_floats_are_computed_in_single_precision_whatever_the_processor_prefers(tiny_bundle: Path) -> None:
    with OpenVinoSession(tiny_bundle / "model.fp32.onnx") as session:
        assert ", CPU, f32, " in session.device


def test_threads_make_no_difference_to_the_mask(tiny_bundle: Path) -> None:
    frame, _ = draw_street(3, size_hw=SIZE_HW)
    with OpenVinoSession(tiny_bundle / "model.fp32.onnx", threads=1) as one:
        with OpenVinoSession(tiny_bundle / "model.fp32.onnx", threads=2) as two:
            assert np.array_equal(one.infer(frame), two.infer(frame))


def test_a_frame_that_is_a_view_is_seen_as_it_looks(tmp_path: Path) -> None:
    frame, _ = draw_street(3, size_hw=SIZE_HW)
    with OpenVinoSession(written(tmp_path)) as session:
        assert np.array_equal(session.infer(frame[::-1, :, ::-1]), frame[::-1, :, 2] > 128)


def written(folder: Path) -> Path:
    return write_graph(folder / "bright.onnx", json.dumps(FACTS))


@pytest.mark.parametrize("frame", [BLACK.astype(np.float32), BLACK[1:], BLACK[..., :1]], ids=["float", "low", "grey"])
def test_a_frame_of_another_kind_is_never_cast(tmp_path: Path, frame: np.ndarray) -> None:
    with OpenVinoSession(written(tmp_path)) as session, pytest.raises(RuntimeError):
        session.infer(frame)


def test_of_two_outputs_only_the_first_is_computed(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(str(written(tmp_path)))
    model.graph.node.append(helper.make_node("Cast", ["blue"], ["confidence"], to=TensorProto.FLOAT))
    model.graph.output.append(helper.make_tensor_value_info("confidence", TensorProto.FLOAT, [1, *SIZE_HW]))
    onnx.save(model, str(tmp_path / "two.onnx"))
    frame, _ = draw_street(3, size_hw=SIZE_HW)
    with OpenVinoSession(tmp_path / "two.onnx") as session:
        assert np.array_equal(session.infer(frame), frame[..., 0] > 128)
        assert len(session._request.results) == 1


def test_a_name_that_is_not_ascii_opens(tmp_path: Path) -> None:
    with OpenVinoSession(written(tmp_path).rename(tmp_path / "straße 道.onnx")) as session:
        assert session.facts.size_hw == SIZE_HW


def test_an_operator_that_openvino_lacks_is_named_in_one_line(tmp_path: Path) -> None:
    import onnx

    model = onnx.load(str(written(tmp_path)))
    model.graph.node[1].op_type = "Frobnicate"
    onnx.save(model, str(tmp_path / "new.onnx"))
    with pytest.raises(ModelError, match=r"new\.onnx: .*Frobnicate.*") as refusal:
        OpenVinoSession(tmp_path / "new.onnx")
    assert "\n" not in str(refusal.value)


def test_metadata_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = path.read_bytes()
    assert content.count(b"pavement") == 1
    path.write_bytes(content.replace(b"pavement", b"pave\xff\xfent"))
    with pytest.raises(ModelError, match=r"bright\.onnx"):
        OpenVinoSession(path)


def test_metadata_of_any_length_and_alphabet_is_read(tmp_path: Path) -> None:
    provenance = {"data": "straße 道 " * 50_000, "quotes": "\"'<&>\\\n\0"}
    facts = {**FACTS, "provenance": provenance}
    with OpenVinoSession(write_graph(tmp_path / "long.onnx", json.dumps(facts, ensure_ascii=False))) as session:
        assert session.facts == ModelFacts.from_metadata({METADATA_KEY: json.dumps(facts)}, tmp_path)


def test_without_the_package_one_line_names_the_extra(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "openvino"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UsageError, match=r"pip install 'fcn-edge\[openvino\]'"):
        open_session(tiny_bundle, "openvino")


def test_a_device_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"bright\.onnx: wanted OpenVINO's ABACUS, found .*CPU"):
        OpenVinoSession(written(tmp_path), threads=1, device="ABACUS")


FRAMES = [draw_street(seed, size_hw=SIZE_HW)[0] for seed in range(4)]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of one test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fcn-edge" / "models"


def masks(path: Path, *, threads: int | None = None, sha256: str | None = None) -> np.ndarray:
    """Of an opened file, after other things took the memory that was free."""
    with OpenVinoSession(path, threads, sha256=sha256) as session:
        others = [np.full(path.stat().st_size, 255, np.uint8) for _ in range(8)]
        assert all(other.all() for other in others)
        return np.stack([session.infer(frame) for frame in FRAMES])


def entries(cache: Path) -> list[Path]:
    return sorted(cache.iterdir()) if cache.exists() else []


@pytest.mark.parametrize("precision", ["fp32", "int8-cpu"])
def test_a_kept_model_gives_the_same_masks_to_the_bit(tiny_bundle: Path, cache: Path, precision: str) -> None:
    path = tiny_bundle / f"model.{precision}.onnx"
    plain = masks(path)
    assert len(np.unique(plain)) > 3
    assert np.array_equal(masks(path, sha256=sha256_of(path)), plain)
    (entry,) = entries(cache)
    written = entry.stat().st_ino
    assert np.array_equal(masks(path, sha256=sha256_of(path)), plain)
    assert [found.stat().st_ino for found in entries(cache)] == [written]


def test_a_kept_model_opens_without_a_look_into_the_onnx_file(
    tiny_bundle: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny_bundle / "model.fp32.onnx"
    masks(path, sha256=sha256_of(path))
    monkeypatch.setattr(openvino_session, "_model_from_onnx", lambda *_: pytest.fail("it was read"))
    masks(path, sha256=sha256_of(path))


def test_another_number_of_threads_is_another_kept_model(tiny_bundle: Path, cache: Path) -> None:
    path = tiny_bundle / "model.fp32.onnx"
    for threads in (None, 1, 2):
        masks(path, threads=threads, sha256=sha256_of(path))
    assert len(entries(cache)) == 3


def test_of_a_file_on_its_own_nothing_is_kept(tiny_bundle: Path, cache: Path) -> None:
    with open_session(tiny_bundle / "model.fp32.onnx", "openvino"):
        assert entries(cache) == []


def test_a_kept_model_that_openvino_does_not_import_is_replaced(
    tiny_bundle: Path, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tiny_bundle / "model.fp32.onnx"
    masks(path, sha256=sha256_of(path))
    key = entries(cache)[0].stem
    entries(cache)[0].unlink()
    with being_kept(key) as place:
        place.write_bytes(b"no model")
    before = entries(cache)
    assert len(before) == 1
    assert np.array_equal(masks(path, sha256=sha256_of(path)), masks(path))
    assert len(entries(cache)) == 1 and entries(cache) != before
    assert capfd.readouterr() == ("", "")


def test_a_damaged_kept_model_is_replaced(tiny_bundle: Path, cache: Path) -> None:
    path = tiny_bundle / "model.fp32.onnx"
    masks(path, sha256=sha256_of(path))
    (entry,) = entries(cache)
    size = entry.stat().st_size
    entry.write_bytes(entry.read_bytes()[: size // 2])
    assert np.array_equal(masks(path, sha256=sha256_of(path)), masks(path))
    assert [found.stat().st_size for found in entries(cache)] == [size]


def test_without_a_place_for_a_cache_a_model_opens_all_the_same(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    path = tiny_bundle / "model.fp32.onnx"
    assert np.array_equal(masks(path, sha256=sha256_of(path)), masks(path))


def test_an_openvino_that_imports_bytes_alone_is_given_bytes(
    tiny_bundle: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As 2024.6 does, which tells so with a TypeError."""
    import openvino

    path = tiny_bundle / "model.fp32.onnx"
    plain = masks(path, sha256=sha256_of(path))
    import_model, given = openvino.Core.import_model, []

    def older(core: object, model: object, *rest: object) -> object:
        given.append(type(model))
        if not isinstance(model, bytes):
            raise TypeError("`model_stream` must be an io.BytesIO object or bytes")
        return import_model(core, model, *rest)

    monkeypatch.setattr(openvino.Core, "import_model", older)
    assert np.array_equal(masks(path, sha256=sha256_of(path)), plain)
    assert given == [openvino.Tensor, bytes]


def test_the_command_line_chooses_openvino(tiny_bundle: Path) -> None:
    done = run_fcn_edge("bench", tiny_bundle, "--engine", "openvino", "--frames", 2, "--warmup", 0, "--json", "-")
    assert done.returncode == 0 and '"openvino ' in done.stdout, done.stderr


def test_a_file_that_is_no_graph_is_one_line_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "words.onnx").write_text("This is no graph.\n")
    done = run_fcn_edge("bench", tmp_path / "words.onnx", "--engine", "openvino")
    assert_refused(done, 4, "words.onnx", "wanted an ONNX file")
    assert len(done.stderr.splitlines()) == 1


OPENED = """
import sys, threading
from pathlib import Path
from runtime.openvino_session import OpenVinoSession
OpenVinoSession(Path(sys.argv[1])).close()
print([name for name in sys.modules if name.split(".")[0] == "openvino_telemetry"], threading.active_count())
import openvino_telemetry
"""


def test_opening_reports_nothing_to_anybody_and_leaves_no_trace(tiny_bundle: Path, tmp_path: Path) -> None:
    """OpenVINO's telemetry would; afterwards it can be imported as ever."""
    not_ci = {key: value for key, value in os.environ.items() if key not in ("CI", "TF_BUILD", "JENKINS_URL")}
    home = {**not_ci, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", OPENED, str(tiny_bundle / "model.fp32.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=home)
    assert (done.stdout, done.stderr) == ("[] 1\n", "")
    assert list(tmp_path.iterdir()) == []


INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from runtime.openvino_session import OpenVinoSession
signal.signal(signal.SIGINT, lambda *_: print("heard"))
first, second = (OpenVinoSession(Path(sys.argv[1])) for _ in range(2))
for session in (first, second):
    session.close()
del first, second, session
os.kill(os.getpid(), signal.SIGINT)
"""


def test_ctrl_c_is_heard_after_sessions_were_closed_in_the_order_of_their_opening(tiny_bundle: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(tiny_bundle / "model.fp32.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr
