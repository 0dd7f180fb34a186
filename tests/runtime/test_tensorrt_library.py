"""runtime.tensorrt_library: what is asked before TensorRT is loaded, how its absence is told, how an engine is read.

In child processes with the real bindings of every version; what the libraries behind them would do is simulated.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fcn_edge.errors import ModelError
from runtime.cuda_driver import Gpu, NoGpu
from runtime.tensorrt_library import load_tensorrt, started
from tests.export.small_tensorrt import SmallTensorrt
from tests.gpu.bindings import RELEASES, bindings_of
from tests.gpu.host_cuda import gpu_environment
from tests.gpu.simulated_tensorrt import plan_of
from tests.runtime.test_session import write_graph

EVERY_VERSION = pytest.mark.parametrize("version", RELEASES)

DESKTOP = Gpu("RTX", "8.9", False, 8 << 30, "12.6")
JETSON = Gpu("Orin", "8.7", True, 8 << 30, "12.6")

BEGIN = """
import json, sys
from pathlib import Path
from fcn_edge.errors import FcnEdgeError

def found(function, *arguments):
    try:
        return function(*arguments)
    except FcnEdgeError as error:
        return f"{type(error).__name__}: {error}"

def tell(**told):
    print(json.dumps(told), flush=True)

from runtime.tensorrt_library import engine_from_plan, load_tensorrt, logger_of, numpy_name, reason_of, tensors_of
"""


def told_by(code: str, version: str, *words: object, with_libraries: bool = True, **settings: Any) -> dict[str, Any]:
    bindings = bindings_of(version)
    libraries = (bindings.libraries,) if with_libraries else ()
    environment = gpu_environment(pycuda=False, paths=(bindings.packages,), libraries=libraries, **settings)
    command = [sys.executable, "-W", "error", "-c", BEGIN + code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_without_a_driver_the_package_is_not_even_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_gpu() -> Gpu:
        raise NoGpu("none here")

    (tmp_path / "tensorrt.py").write_text("raise SystemError('it crashes')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("runtime.tensorrt_library.find_gpu", no_gpu)
    with pytest.raises(NoGpu, match="none here"):
        load_tensorrt()


@pytest.mark.parametrize(
    ("gpu", "cure"),
    [
        (DESKTOP, r"pip install 'fcn-edge\[tensorrt\]'"),
        (JETSON, "apt install python3-libnvinfer.*--system-site-packages"),
    ],
    ids=["desktop", "jetson"],
)
def test_a_missing_package_is_told_with_what_brings_it(gpu: Gpu, cure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.tensorrt_library.find_gpu", lambda: gpu)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ModelError, match=f"^wanted the package tensorrt, found: .*; .*{cure}.*--engine$"):
        load_tensorrt()


def test_a_folder_that_is_only_named_tensorrt_is_no_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tensorrt").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    monkeypatch.setattr("runtime.tensorrt_library.find_gpu", lambda: DESKTOP)
    with pytest.raises(ModelError, match="no attribute 'Runtime'"):
        load_tensorrt()
    del sys.modules["tensorrt"]


@EVERY_VERSION
def test_bindings_without_their_libraries_are_told_in_one_line(version: str) -> None:
    told = told_by("tell(found=found(load_tensorrt))", version, with_libraries=False)["found"]
    assert told.startswith("ModelError: wanted the package tensorrt, found: ") and "\n" not in told
    assert f".so.{version.split('.')[0]}" in told and "pip install 'fcn-edge[tensorrt]'" in told


@EVERY_VERSION
def test_the_logger_is_silent_and_keeps_what_matters(version: str) -> None:
    code = """
trt = load_tensorrt()
log = logger_of(trt)
log.log(trt.ILogger.INTERNAL_ERROR, "first\\n  of two lines")
log.log(trt.ILogger.ERROR, "second")
reason = reason_of(log)
for severity in (trt.ILogger.WARNING, trt.ILogger.INFO, trt.ILogger.VERBOSE):
    log.log(severity, severity.name)
for number in range(100):
    log.log(trt.ILogger.ERROR, f"error {number}")
tell(reason=reason, kept=log.errors[-1:] + [len(log.errors)], warnings=log.warnings, one=logger_of(trt) is log)
"""
    told = told_by(code, version)
    assert told == {"reason": "first of two lines", "kept": ["error 99", 50], "warnings": ["WARNING"], "one": True}


@EVERY_VERSION
def test_every_type_of_tensorrt_s_has_a_name(version: str) -> None:
    told = told_by(
        "kinds = load_tensorrt().DataType.__members__\ntell(**{n: numpy_name(kind) for n, kind in kinds.items()})",
        version,
    )
    known = {"FLOAT": "float32", "HALF": "float16", "INT8": "int8", "INT32": "int32", "BOOL": "bool", "UINT8": "uint8"}
    assert known.items() <= told.items()
    assert all(told[name] == name.lower() for name in told.keys() - known.keys())


@EVERY_VERSION
def test_a_library_that_gives_no_runtime_is_told_in_one_line(version: str) -> None:
    code = "tell(found=found(engine_from_plan, load_tensorrt(), b'plan', Path('some/model.fp16.engine')))"
    told = told_by(code, version)["found"]
    assert told.startswith(f"ModelError: some/model.fp16.engine: wanted TensorRT {version} to start, found: ")
    assert "nullptr" in told and "take one for CUDA 12.6" in told


def test_what_tensorrt_11_gives_without_cuda_is_neither_used_nor_destroyed() -> None:
    ended = []

    class HalfMade:
        def __init__(self, log: Any) -> None:
            log.errors.append("createInferRuntime: CUDA initialization failure with error: 35")

        def __del__(self) -> None:
            ended.append(self)

    trt = SmallTensorrt(11)
    trt.Runtime = HalfMade  # type: ignore[assignment]
    with pytest.raises(ModelError, match=r"^model.engine: .*TensorRT 11.6.1 to start, found: .*error: 35; .*CUDA 12.6"):
        started(trt, "Runtime", DESKTOP, Path("model.engine"))
    gc.collect()
    assert not ended


@EVERY_VERSION
def test_a_driver_that_went_away_keeps_the_runtime_from_being_made(version: str) -> None:
    code = """
import runtime.tensorrt_library as library
trt = load_tensorrt()
def gone():
    raise library.ModelError("gone")
library.find_gpu = gone
tell(found=found(engine_from_plan, trt, b"plan", Path("model.engine")))
"""
    assert told_by(code, version)["found"] == "ModelError: gone"


ENGINE = """
from tests.gpu.session_child import simulate
simulation = simulate()
trt, path = load_tensorrt(), Path(sys.argv[1])
logger_of(trt).errors.append("of long ago")
opened = found(engine_from_plan, trt, path.read_bytes(), path)
told = opened if isinstance(opened, str) else [[t.name, t.mode, t.shape, t.dtype] for t in tensors_of(trt, opened)]
tell(told=told, breaches=simulation.breaches)
"""


@EVERY_VERSION
def test_an_engine_tells_what_it_takes_and_gives(version: str, tmp_path: Path) -> None:
    engine = tmp_path / "bright.engine"
    engine.write_bytes(plan_of(version, "DETAILED", write_graph(tmp_path / "bright.onnx", None).read_bytes()))
    told = told_by(ENGINE, version, engine)
    assert told["breaches"] == []
    assert told["told"] == [["frame", "input", [1, 64, 96, 3], "uint8"], ["mask", "output", [1, 64, 96], "uint8"]]


@EVERY_VERSION
def test_a_plan_of_another_version_is_refused_with_tensorrt_s_own_reason(version: str, tmp_path: Path) -> None:
    engine = tmp_path / "bright.engine"
    engine.write_bytes(plan_of("9.9.9", "DETAILED", b"any"))
    told = told_by(ENGINE, version, engine)["told"]
    assert "not compatible with this version of TensorRT" in told and "of long ago" not in told and "\n" not in told
