"""runtime.trt_session in child processes: the real pycuda on the tests' driver, TensorRT simulated on real bindings.

The stand-ins prove how the interfaces are used, and nothing about a GPU.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fcn_edge.datasets.street import draw_street
from fcn_edge.images import read_mask
from runtime.engine_facts import BuiltWith
from tests.conftest import Done, assert_refused
from tests.gpu.bindings import bindings_of
from tests.gpu.host_cuda import gpu_environment
from tests.gpu.simulated_tensorrt import plan_of
from tests.runtime.small_engines import write_engine
from tests.runtime.test_session import SIZE_HW, write_graph

pytestmark = pytest.mark.timeout(900)  # whoever is first on a machine compiles pycuda

VERSION = "10.3.0"
FRAMES = 6

BEGIN = """
import json, sys
from pathlib import Path
import numpy as np
from fcn_edge.datasets.street import draw_street
from fcn_edge.errors import FcnEdgeError
from tests.gpu.session_child import LIVING, counts, simulate

simulation = simulate()

from runtime.engine_facts import read_engine_facts
from runtime.trt_session import TrtSession

def opened(engine=Path(sys.argv[1]), **options):
    return TrtSession(engine, read_engine_facts(engine), **options)

def found(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except (FcnEdgeError, RuntimeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"

def tell(**told):
    print(json.dumps({**told, "breaches": simulation.breaches}), flush=True)

def is_right(session, seed):
    frame = draw_street(seed, size_hw=(64, 96))[0]
    return bool((session.infer(frame) == (frame[..., 0] > 128)).all())
"""


def environment(version: str = VERSION, **settings: Any) -> dict[str, str]:
    bindings = bindings_of(version)
    return gpu_environment(paths=(bindings.packages,), libraries=(bindings.libraries,), **settings)


def run(code: str, engine: Path, version: str = VERSION, **settings: Any) -> Done:
    command = [sys.executable, "-W", "error", "-c", BEGIN + code, str(engine)]
    where = environment(version, **settings)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=where)


def told_by(code: str, engine: Path, version: str = VERSION, **settings: Any) -> dict[str, Any]:
    done = run(code, engine, version, **settings)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told.pop("breaches") == []
    assert done.stderr == "", done.stderr
    return told


def engine_from_graph(folder: Path, graph: Path, version: str = VERSION) -> Path:
    built = BuiltWith(version, "Host CUDA", "8.9", False, "12.6", platform.machine(), "0.1.0")
    return write_engine(folder, plan_of(version, "DETAILED", graph.read_bytes()), built_with=built)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Marks bright pixels of the first channel."""
    folder = tmp_path_factory.mktemp("engine")
    return engine_from_graph(folder, write_graph(folder / "bright.onnx", None))


SERVED = f"""
before = counts()
session = opened(cuda_graph=GRAPH)
at_open, enqueued = counts(), simulation.enqueued
right = [is_right(session, seed) for seed in range({FRAMES})]
told = dict(right=right, parts=dict(session.parts_ms), device=session.device, open=at_open, served=counts())
told.update(enqueued=simulation.enqueued - enqueued, run=simulation.run)
session.close(), session.close()
tell(**told, before=before, closed=counts())
"""

WAYS = {
    "graph": (True, {}),
    "no graph": (False, {}),
    "graph, shared memory": (True, {"integrated": 1}),
    "no graph, shared memory": (False, {"integrated": 1}),
}


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def told(way: str, engine: Path) -> dict[str, Any]:
    """Of a session that served some frames, on a driver whose work is only done when it is waited for."""
    cuda_graph, settings = WAYS[way]
    return told_by(f"GRAPH = {cuda_graph}\n{SERVED}", engine, deferred=1, **settings)


def done_between(told: dict[str, Any], what: str) -> int:
    return int(told["served"][what] - told["open"][what])


def test_every_mask_is_its_frame_s(told: dict[str, Any]) -> None:
    assert told["right"] == [True] * FRAMES


def test_memory_is_taken_at_open_alone(told: dict[str, Any], way: str) -> None:
    assert told["open"]["allocations"] == (2 if "shared" in way else 4)
    assert done_between(told, "allocations") == 0
    assert [told["open"][name] for name in ("streams", "events")] == [told["served"][n] for n in ("streams", "events")]


def test_a_closed_session_leaves_nothing_on_the_gpu(told: dict[str, Any]) -> None:
    living = ("device_allocations", "host_allocations", "streams", "events", "graphs", "graph_execs")
    assert [told["closed"][name] for name in (*living, "primary_references", "context_depth")] == [0] * 8
    assert told["closed"]["pushes"] == told["closed"]["pops"] > 0


def test_only_what_does_not_share_memory_is_copied_and_from_locked_pages(told: dict[str, Any], way: str) -> None:
    assert done_between(told, "copies") == (0 if "shared" in way else 2 * FRAMES)
    assert told["closed"]["pageable_copies"] == 0


def test_a_frame_is_waited_for_once(told: dict[str, Any]) -> None:
    assert done_between(told, "synchronisations") == FRAMES


def test_with_a_graph_tensorrt_itself_enqueues_nothing_more(told: dict[str, Any], way: str) -> None:
    graphs = FRAMES if way.startswith("graph") else 0
    assert (done_between(told, "graph_launches"), told["enqueued"]) == (graphs, FRAMES - graphs)
    assert done_between(told, "launches") == FRAMES
    assert told["device"].endswith(", CUDA graph" if graphs else ", no CUDA graph")


def test_the_parts_of_a_run_are_told_in_milliseconds(told: dict[str, Any], way: str) -> None:
    assert list(told["parts"]) == (["compute"] if "shared" in way else ["h2d", "compute", "d2h"])
    assert all(0 <= part < 1000 for part in told["parts"].values())


def test_the_device_tells_what_figures_must_be_read_with(told: dict[str, Any]) -> None:
    assert told["device"].startswith(f"TensorRT {VERSION}, Host CUDA, compute capability 8.9, int8, ")


@pytest.mark.parametrize("version", ["8.6.1", "11.4.0.106"])
def test_the_oldest_and_the_newest_tensorrt_serve_alike(version: str, tmp_path: Path) -> None:
    engine = engine_from_graph(tmp_path, write_graph(tmp_path / "bright.onnx", None), version)
    told = told_by(f"GRAPH = True\n{SERVED}", engine, version)
    assert told["right"] == [True] * FRAMES and told["device"].startswith(f"TensorRT {version}, ")
    assert told["closed"]["device_allocations"] == told["closed"]["primary_references"] == 0


def test_a_mask_is_the_caller_s_and_a_frame_may_be_a_view(engine: Path) -> None:
    code = """
with opened() as session:
    frame = draw_street(3, size_hw=(64, 96))[0]
    first = session.infer(frame[::-1, :, ::-1])
    kept = first.copy()
    session.infer(np.zeros_like(frame))
    same = bool((first == kept).all() and (kept == (frame[::-1, :, 2] > 128)).all())
    first[:] = 7
    tell(same=same, second=is_right(session, 4))
"""
    assert told_by(code, engine) == {"same": True, "second": True}


def test_a_frame_of_another_kind_is_never_cast_nor_run(engine: Path) -> None:
    code = """
black = np.zeros((64, 96, 3), np.uint8)
with opened() as session:
    launches = counts()["launches"]
    frames = [black.astype(np.float32), black[1:], black[..., :1], black[None]]
    tell(found=[found(session.infer, frame) for frame in frames], launches=counts()["launches"] - launches)
"""
    told = told_by(code, engine)
    assert all(line.startswith("ValueError: wanted a frame of uint8 (64, 96, 3), found ") for line in told["found"])
    assert told["launches"] == 0


def test_a_closed_session_says_so(engine: Path) -> None:
    code = """
with opened() as session:
    pass
tell(found=found(session.infer, np.zeros((64, 96, 3), np.uint8)))
"""
    assert told_by(code, engine) == {"found": "RuntimeError: this session is closed"}


def test_threads_may_take_turns(engine: Path) -> None:
    code = """
from threading import Thread
session, right = opened(), []
for work in [lambda seed=seed: right.append(is_right(session, seed)) for seed in range(3)] + [session.close]:
    thread = Thread(target=work)
    thread.start(), thread.join()
tell(right=right, left=[counts()[name] for name in LIVING], depth=counts()["context_depth"])
"""
    assert told_by(code, engine) == {"right": [True] * 3, "left": [0] * 7, "depth": 0}


def test_sessions_may_live_side_by_side(engine: Path) -> None:
    code = """
with opened() as one:
    with opened(cuda_graph=False) as two:
        right = [is_right(one, 1), is_right(two, 2), is_right(one, 3)]
    right.append(is_right(one, 4))
tell(right=right, left=[counts()[name] for name in LIVING])
"""
    assert told_by(code, engine) == {"right": [True] * 4, "left": [0] * 7}


def test_what_uses_goes_before_what_is_used_and_work_under_way_before_all(engine: Path) -> None:
    code = """
from weakref import finalize
session, order = opened(), []
synchronise, session._cuda.synchronise = session._cuda.synchronise, lambda: 1 / 0
try:
    is_right(session, 1)  # interrupted while it waits
except ZeroDivisionError:
    session._cuda.synchronise, runs = synchronise, simulation.run
Held = type("Held", (), {})  # what is simulated stands in cycles, and goes late
session._execution, session._engine = Held(), Held()
finalize(session._execution, lambda: order.append(f"context after {simulation.run - runs} run"))
finalize(session._engine, lambda: order.append("engine"))
release = session._cuda._release
session._cuda._release = lambda: order.append("memory") or release()
session.close()
tell(order=order, left=[counts()[name] for name in LIVING])
"""
    told = told_by(code, engine, deferred=1)
    assert told == {"order": ["context after 1 run", "engine", "memory"], "left": [0] * 7}


def test_an_engine_that_cannot_be_captured_is_served_without_a_graph_and_that_is_told(engine: Path) -> None:
    done = run(f"GRAPH = True\n{SERVED}", engine, no_capture=1)
    told = json.loads(done.stdout)
    assert told["right"] == [True] * FRAMES and told["device"].endswith(", no CUDA graph") and told["breaches"] == []
    (line,) = done.stderr.splitlines()
    assert "served without a CUDA graph: cuStreamEndCapture: CUDA_ERROR_STREAM_CAPTURE_INVALIDATED" in line


def test_a_failed_capture_that_tensorrt_remembers_for_one_run_more_harms_nothing(engine: Path) -> None:
    code = """
from tests.gpu.simulated_tensorrt import IExecutionContext
enqueue, results = IExecutionContext.execute_async_v3, []
def remembering(self, stream_handle):
    results.append(results.count(False) != 1 and enqueue(self, stream_handle))
    return results[-1]
IExecutionContext.execute_async_v3 = remembering
with opened() as session:
    tell(right=is_right(session, 1), results=results)
"""
    done = run(code, engine, no_capture=1)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["right"] and told["results"] == [True, False, False, True, True]  # plain, captured, told once more ...


def test_a_driver_of_before_cuda_11_4_launches_graphs_too(engine: Path) -> None:
    told = told_by(f"GRAPH = True\n{SERVED}", engine, defines=("WITHOUT_GRAPH_FLAGS",))
    assert told["right"] == [True] * FRAMES and done_between(told, "graph_launches") == FRAMES


def with_confidence(path: Path, kind: str = "UINT8", size_hw: tuple[int, int] = SIZE_HW) -> Path:
    """The graph of bright pixels with another output, put first."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(str(write_graph(path, None)))
    element = getattr(TensorProto, kind)
    model.graph.node.append(helper.make_node("Cast", ["blue"], ["confidence"], to=element))
    mask = model.graph.output.pop()
    model.graph.output.extend([helper.make_tensor_value_info("confidence", element, [1, *size_hw]), mask])
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("kind", ["UINT8", "FLOAT"])
def test_of_several_outputs_the_mask_is_taken_by_its_name_and_copied_alone(kind: str, tmp_path: Path) -> None:
    engine = engine_from_graph(tmp_path, with_confidence(tmp_path / "two.onnx", kind))
    told = told_by(f"GRAPH = True\n{SERVED}", engine)
    assert told["right"] == [True] * FRAMES
    assert (told["open"]["allocations"], done_between(told, "copies")) == (5, 2 * FRAMES)


REFUSED = """
tell(found=found(opened), left=[counts()[name] for name in LIVING], depth=counts()["context_depth"])
"""


@pytest.mark.parametrize(("size_hw", "kind"), [((32, 96), "uint8"), (SIZE_HW, "float")])
def test_an_engine_that_is_not_from_a_frame_to_a_mask_is_refused(
    size_hw: tuple[int, int], kind: str, tmp_path: Path
) -> None:
    engine = engine_from_graph(tmp_path, write_graph(tmp_path / "odd.onnx", None, size_hw, kind))
    told = told_by(REFUSED, engine)
    assert "ModelError: " in told["found"] and "wanted an engine from ('uint8', (1, 64, 96, 3)) to" in told["found"]
    assert "input frame " in told["found"] and (told["left"], told["depth"]) == ([0] * 7, 0)


def test_an_output_without_a_size_is_refused(tmp_path: Path) -> None:
    engine = engine_from_graph(tmp_path, with_confidence(tmp_path / "open.onnx", size_hw=(-1, 96)))
    assert "output confidence uint8" in told_by(REFUSED, engine)["found"]


@pytest.mark.parametrize("spoil", [lambda plan: b"", lambda plan: plan[:200], lambda plan: b"x" + plan])
def test_a_plan_that_tensorrt_does_not_open_is_refused_with_its_own_reason(spoil: Any, tmp_path: Path) -> None:
    engine = engine_from_graph(tmp_path, write_graph(tmp_path / "bright.onnx", None))
    engine.write_bytes(spoil(engine.read_bytes()))
    told = told_by(REFUSED, engine)
    assert f"model.int8.engine: wanted an engine that TensorRT {VERSION} opens, found: [simulated] " in told["found"]
    assert (told["left"], told["depth"]) == ([0] * 7, 0)


def test_a_gpu_without_room_is_told_with_what_is_needed_and_what_is_free(engine: Path) -> None:
    told = told_by(REFUSED, engine, memory=20_000)
    assert "ModelError: " in told["found"] and "wanted 1 MB of the GPU's memory" in told["found"]
    assert "found 0 MB free" in told["found"] and (told["left"], told["depth"]) == ([0] * 7, 0)


def test_a_context_that_tensorrt_has_no_memory_for_is_told_alike(engine: Path) -> None:
    code = """
from tests.gpu import simulated_tensorrt
simulated_tensorrt.ICudaEngine.create_execution_context = lambda self, strategy=None: self._tell(
    simulation.last_log, "Requested amount of GPU memory (7 bytes) could not be allocated.", 2, "OutOfMemory")
from runtime.tensorrt_library import logger_of
import tensorrt
simulation.last_log = logger_of(tensorrt)
"""
    told = told_by(code + REFUSED, engine)
    assert "Requested amount of GPU memory (7 bytes)" in told["found"] and (told["left"], told["depth"]) == ([0] * 7, 0)


def test_a_first_run_that_fails_is_a_refusal_of_the_engine(engine: Path) -> None:
    code = "simulation.failing_after = 0\ntell(found=found(opened))"
    told = told_by(code, engine)["found"]
    assert told.startswith("ModelError: ") and "no reason told" in told and "\n" not in told


BREAKING = """
session = opened(cuda_graph=GRAPH)
told = [found(is_right, session, seed) for seed in range(4)]
session.close(), session.close()
tell(found=told)
"""


@pytest.mark.parametrize("cuda_graph", [True, False])
@pytest.mark.parametrize("contexts_fail", [0, 1])
def test_after_a_failure_of_cuda_every_frame_raises_and_closing_does_not(
    cuda_graph: bool, contexts_fail: int, engine: Path
) -> None:
    launches = 2 if cuda_graph else 1  # to warm up
    settings = {"fail_after": launches + 2, "contexts_fail": contexts_fail}
    done = run(f"GRAPH = {cuda_graph}\n{BREAKING}", engine, **settings)
    assert done.returncode == 0, done.stderr
    first, second, third, fourth = json.loads(done.stdout)["found"]
    assert first is True and "an illegal memory access was encountered" in second
    assert all(line.startswith("DeviceError: ") and "\n" not in line for line in (second, third, fourth))
    assert done.stderr.count("PyCUDA WARNING") == contexts_fail


def test_an_engine_that_tensorrt_stops_running_is_a_failure_of_the_device(engine: Path) -> None:
    code = "simulation.failing_after = 2\nGRAPH = False\n" + BREAKING
    told = told_by(code, engine)["found"]
    assert told[0] is True and told[1].startswith("DeviceError: wanted the GPU to work, found: no reason told")
    assert all("that it failed before" in line for line in told[2:])


def test_a_graph_that_does_not_launch_is_a_failure_of_the_device(engine: Path) -> None:
    code = """
import ctypes
session = opened()
session._graph._exec = ctypes.c_void_p()
tell(found=found(is_right, session, 1))
session.close()
"""
    told = told_by(code, engine)["found"]
    assert told.startswith("DeviceError: ") and "cuGraphLaunch: CUDA_ERROR_INVALID_HANDLE (400)" in told


def test_after_a_failure_nothing_of_tensorrt_is_destroyed(engine: Path) -> None:
    code = """
import gc
from weakref import finalize
session, destroyed = opened(cuda_graph=False), []
for held in (session._execution, session._engine):
    finalize(held, destroyed.append, 1).atexit = False
del held
simulation.failing_after = simulation.enqueued
failed = found(is_right, session, 1)
session.close()
del session
gc.collect()
tell(failed=failed[:11], destroyed=destroyed, context=counts()["primary_references"])
"""
    assert told_by(code, engine) == {"failed": "DeviceError", "destroyed": [], "context": 1}


def test_without_pycuda_the_refusal_says_how_to_get_it(engine: Path) -> None:
    told = told_by("tell(found=found(opened))", engine, pycuda=False)["found"]
    assert told.startswith("ModelError: wanted the package pycuda, found: ")


def test_without_a_gpu_nothing_of_tensorrt_is_touched(engine: Path) -> None:
    code = "tell(found=found(opened), calls=simulation.calls)"
    told = told_by(code, engine, devices=0)
    assert told["found"].startswith("NoGpu: wanted an NVIDIA GPU, found cuInit: ") and told["calls"] == []


def serve(folder: Path, engine: Path, **settings: Any) -> Done:
    """`fcn-edge run` of eight pictures."""
    for index in range(8):
        assert cv2.imwrite(str(folder / f"{index}.png"), draw_street(index, size_hw=SIZE_HW)[0])
    words = ["run", str(folder), str(folder.parent / "masks" / "{name}.png"), "--model", str(engine)]
    command = [sys.executable, "-W", "error", "-m", "tests.gpu.session_child", *words]
    where = environment(**settings)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=where)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def test_a_stream_of_pictures_is_served(pictures: Path, engine: Path) -> None:
    done = serve(pictures, engine)
    assert done.returncode == 0, done.stderr
    assert "infer.h2d" in done.stderr and "infer.compute" in done.stderr
    for path in pictures.iterdir():
        mask = read_mask(pictures.parent / "masks" / path.name)
        assert np.array_equal(mask, cv2.imread(str(path))[..., 0] > 128)


@pytest.mark.parametrize("contexts_fail", [0, 1])
def test_a_stream_whose_gpu_fails_ends_with_75_and_one_line(contexts_fail: int, pictures: Path, engine: Path) -> None:
    done = serve(pictures, engine, fail_after=5, contexts_fail=contexts_fail)
    assert_refused(done, 75, "an illegal memory access was encountered", "start again")


def test_an_engine_without_room_ends_a_run_with_4(pictures: Path, engine: Path) -> None:
    assert_refused(serve(pictures, engine, memory=20_000), 4, "of the GPU's memory")
