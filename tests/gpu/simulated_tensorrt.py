"""A TensorRT that builds and runs nothing: doubles on the real bindings of one version, for a child process of a test.

The parser reads the ONNX file; the plan is that file behind a small header; the context runs it with onnxruntime on the
(host) addresses it was given, as a job of the stand-in driver's stream. Refusals and messages are those of the real one
as its users report them. This stands in for the interface, and is no evidence of what a GPU computes.

Nothing of the product reaches it: a test's child calls `install`.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime

from tests.gpu.doubles import Behaviour, World
from tests.gpu.simulated_graph import TYPES, Graph, Tensor, engine_information, graph_of

PLAN, TIMINGS = b"simulated plan\n", b"simulated timing cache\n"
TAG = "magicTagRead == kMAGIC_TAG failed.Magic tag does not match"
NEWEST_OPSET = {8: 17, 10: 20, 11: 24}  # that the parser of the major's first version reads


class Simulation(World):
    """The doubles of one process, and what a test wants to know of them."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module)
        self.version = str(module.__version__)
        self.major = int(self.version.split(".")[0])
        self.begin()

    def begin(self, *, failing_after: int | None = None, interrupted: bool = False) -> None:
        """Forget what was, before the next command. `failing_after`: as many enqueues succeed; `interrupted`: the user
        presses Ctrl-C while an engine is built."""
        self.failing_after, self.interrupted = failing_after, interrupted
        self.calls.clear()
        self.breaches.clear()
        self.built: list[dict[str, Any]] = []  # flags, timed layers ... of each build
        self.enqueued = 0  # by execute_async_v3
        self.run = 0  # by the stream, graphs included


def install(module: ModuleType, front: ModuleType) -> Simulation:
    """Put doubles in the place of the real classes of `tensorrt_bindings` and of `tensorrt`, its front."""
    simulation = Simulation(module)
    for behaviour in BEHAVIOURS:
        double = simulation.double(behaviour)
        setattr(module, behaviour.__name__, double)
        setattr(front, behaviour.__name__, double)
    return simulation


class Simulated(Behaviour):
    _world: Simulation

    def _tell(self, logger: Any, text: str, code: int = 4, kind: str = "Internal Error") -> None:
        """Log an error in the library's form, through the real bindings into the logger's own method."""
        told = f"[simulated] Error Code {code}: {kind} ({text})"
        ilogger = self._world.real.ILogger
        ilogger.log(logger, ilogger.ERROR, f"{code}: {told}" if self._world.major == 8 else told)


class Builder(Simulated):
    def __init__(self, world: Simulation, logger: Any) -> None:
        super().__init__(world)
        self.logger = logger

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        return INetworkDefinition(self._world, self.logger, flags)

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig(self._world, self.logger)

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> Any:
        graph = network._graph
        if graph is None:
            return self._tell(self.logger, "Network must have at least one output")
        refusal = network._refusal(config)
        if refusal:
            return self._tell(self.logger, refusal, 3, "API Usage Error")
        if self._world.interrupted:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
        timed = config._time(graph)
        if not config._progress(["Parsing", "Optimising", "Timing"], len(graph.layers)):
            return self._tell(self.logger, "Build cancelled by the progress monitor")
        network_flags = self._world.real.NetworkDefinitionCreationFlag.__members__
        self._world.built.append(
            {
                "network_flags": sorted(name for name, bit in network_flags.items() if network._flags >> int(bit) & 1),
                "flags": sorted(config._flags),
                "pools": config._pools,
                "timed": timed,
                "progress": config.progress_monitor is not None,
            }
        )
        return host_memory(self._world, plan_of(self._world.version, config._verbosity(), network._content))


class INetworkDefinition(Simulated):
    def __init__(self, world: Simulation, logger: Any, flags: int) -> None:
        super().__init__(world)
        self.logger = logger
        self.name = "Unnamed Network 0"
        self._flags = flags
        self._content = b""
        self._graph: Graph | None = None

    def _has(self, flag: str) -> bool:
        member = self._world.real.NetworkDefinitionCreationFlag.__members__.get(flag)
        return member is not None and bool(self._flags >> int(member) & 1)

    def _is_strongly_typed(self) -> bool:
        return self._world.major >= 11 or self._has("STRONGLY_TYPED")

    def _refusal(self, config: IBuilderConfig) -> str | None:
        """Why a build cannot be: what the network's types ask of the flags, or forbid them."""
        typed = {"INT8": "INT8", "FP16": "FLOAT16"}
        if self._is_strongly_typed():
            flag = next((name for name in typed if name in config._flags), None)
            return flag and f"a strongly typed network, but {flag} is set; types come from the network alone"
        assert self._graph is not None
        wanted = next((flag for flag, kind in typed.items() if kind in self._graph.dtypes - set(config._flags)), None)
        if wanted and wanted not in config._flags:
            return f"{wanted} precision has been set for a layer or layer output, but {wanted} is not configured"
        return None

    @property
    def num_inputs(self) -> int:
        return len(self._graph.inputs) if self._graph else 0

    @property
    def num_outputs(self) -> int:
        return len(self._graph.outputs) if self._graph else 0

    @property
    def num_layers(self) -> int:
        return len(self._graph.layers) if self._graph else 0

    def get_input(self, index: int) -> ITensor | None:
        return ITensor(self._world, self._graph.inputs[index]) if self._graph and index < self.num_inputs else None

    def get_output(self, index: int) -> ITensor | None:
        return ITensor(self._world, self._graph.outputs[index]) if self._graph and index < self.num_outputs else None


class ITensor(Simulated):
    def __init__(self, world: Simulation, tensor: Tensor) -> None:
        super().__init__(world)
        self.name = tensor.name
        self.dtype = getattr(world.real.DataType, TYPES[tensor.dtype][0])
        self.shape = world.real.Dims(tensor.shape)


class IBuilderConfig(Simulated):
    def __init__(self, world: Simulation, logger: Any) -> None:
        super().__init__(world)
        self._logger = logger
        self._flags: set[str] = {"TF32"}  # on by default since 8.0
        self._pools: dict[str, int] = {}
        self._timings: ITimingCache | None = None
        self.profiling_verbosity = world.real.ProfilingVerbosity.LAYER_NAMES_ONLY
        self.builder_optimization_level = 3
        self.progress_monitor: Any = None

    def set_flag(self, flag: Any) -> None:
        self._flags.add(flag.name)

    def clear_flag(self, flag: Any) -> None:
        self._flags.discard(flag.name)

    def get_flag(self, flag: Any) -> bool:
        return flag.name in self._flags

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        self._pools[pool.name] = pool_size

    def get_memory_pool_limit(self, pool: Any) -> int:
        return self._pools.get(pool.name, 1 << 33)

    def get_tactic_sources(self) -> int:
        return 0b11111

    def set_tactic_sources(self, tactic_sources: int) -> bool:
        return 0 <= tactic_sources <= 0b11111

    def create_timing_cache(self, serialized_timing_cache: Any) -> ITimingCache | None:
        content = bytes(serialized_timing_cache)
        if not content:
            return ITimingCache(self._world, {})
        try:
            told = json.loads(content.removeprefix(TIMINGS))
            assert content.startswith(TIMINGS) and told["version"] == self._world.version
        except (ValueError, AssertionError):
            return self._tell(self._logger, f"Serialization assertion {TAG}", 1, "Serialization")
        return ITimingCache(self._world, told["kernels"])

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        self._timings = cache
        return True

    def get_timing_cache(self) -> ITimingCache | None:
        return self._timings

    def _time(self, graph: Graph) -> int:
        """Measure the layers that the timing cache does not know; how many those were."""
        self._timings = self._timings or ITimingCache(self._world, {})
        new = {f"{layer.name} {layer.inputs}": 1.0 for layer in graph.layers}
        new = {key: value for key, value in new.items() if key not in self._timings._kernels}
        self._timings._kernels.update(new)
        return len(new)

    def _verbosity(self) -> str:
        return str(self.profiling_verbosity.name)

    def _progress(self, phases: list[str], layers: int) -> bool:
        """Drive the progress monitor, if there is one, through the real bindings; False where it asks to stop."""
        if self.progress_monitor is None:
            return True
        return self._phase(
            "Building Engine", None, len(phases), lambda step: self._phase(phases[step], "Building Engine", layers)
        )

    def _phase(
        self, name: str, parent: str | None, steps: int, work: Callable[[int], bool] = lambda step: True
    ) -> bool:
        real, monitor = self._world.real.IProgressMonitor, self.progress_monitor
        real.phase_start(monitor, name, parent, steps)
        goes_on = all(work(step) and real.step_complete(monitor, name, step) for step in range(steps))
        real.phase_finish(monitor, name)
        return goes_on


class ITimingCache(Simulated):
    def __init__(self, world: Simulation, kernels: dict[str, float]) -> None:
        super().__init__(world)
        self._kernels = dict(kernels)

    def serialize(self) -> Any:
        content = json.dumps({"version": self._world.version, "kernels": self._kernels})
        return host_memory(self._world, TIMINGS + content.encode())

    def combine(self, input_cache: ITimingCache, ignore_mismatch: bool) -> bool:
        self._kernels = {**input_cache._kernels, **self._kernels}
        return True

    def reset(self) -> bool:
        self._kernels.clear()
        return True


class OnnxParser(Simulated):
    def __init__(self, world: Simulation, network: INetworkDefinition, logger: Any) -> None:
        super().__init__(world)
        self._network, self._logger = network, logger
        self._errors: list[str] = []

    def parse_from_file(self, model: str) -> bool:
        try:
            with open(model, "rb") as file:
                content = file.read()
        except OSError:
            return self._refuse(f"Failed to parse ONNX model from file: {model}")
        return self._parse(content)

    def parse(self, model: Any, path: str | None = None) -> bool:
        return self._parse(bytes(model))

    def _parse(self, content: bytes) -> bool:
        try:
            graph = graph_of(content)
        except Exception as error:  # of protobuf, of onnx, of this simulation: no ONNX file for it
            return self._refuse(f"ModelImporter: failed to parse the model: {error!r}")
        refusal = self._refusal(graph)
        if refusal:
            return self._refuse(refusal)
        self._network._content, self._network._graph = content, graph
        return True

    def _refusal(self, graph: Graph) -> str | None:
        if self._world.major == 8 and not self._network._has("EXPLICIT_BATCH"):
            return "This version of the ONNX parser only supports networks with an explicit batch dimension"
        if graph.opset > NEWEST_OPSET[self._world.major]:
            return f"opset {graph.opset} is newer than this parser reads"
        if graph.foreign:
            return f"No importer registered for op: {graph.foreign[0]}"
        return None

    def _refuse(self, text: str) -> bool:
        self._errors.append(text)
        self._tell(self._logger, text)
        return False

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        return ParserError(self._world, self._errors[index])

    def clear_errors(self) -> None:
        self._errors.clear()


class ParserError(Simulated):
    def __init__(self, world: Simulation, text: str) -> None:
        super().__init__(world)
        self._text = text

    def desc(self) -> str:
        return self._text

    def node(self) -> int:
        return -1

    def node_name(self) -> str:
        return ""

    def code(self) -> Any:
        return self._world.real.ErrorCode.INTERNAL_ERROR


class Runtime(Simulated):
    def __init__(self, world: Simulation, logger: Any) -> None:
        super().__init__(world)
        self.logger = logger
        self.engine_host_code_allowed = False

    def deserialize_cuda_engine(self, serialized_engine: Any) -> ICudaEngine | None:
        try:
            verbosity, content = self._opened(bytes(serialized_engine))
        except ValueError as error:
            return self._tell(self.logger, str(error), 1, "Serialization")
        return ICudaEngine(self._world, verbosity, content, graph_of(content))

    def _opened(self, plan: bytes) -> tuple[str, bytes]:
        if not plan.startswith(PLAN):
            raise ValueError(f"Serialization assertion {TAG}")
        header, _, content = plan.removeprefix(PLAN).partition(b"\n")
        told = json.loads(header)
        if told["version"] != self._world.version:
            raise ValueError(
                "The engine plan file is not compatible with this version of TensorRT, expecting library version "
                f"{self._world.version} got {told['version']}, please rebuild."
            )
        if hashlib.sha256(content).hexdigest() != told["sha256"]:
            raise ValueError("Serialization assertion safeRead failed. Unexpected end of the plan")
        return told["verbosity"], content


class ICudaEngine(Simulated):
    def __init__(self, world: Simulation, verbosity: str, content: bytes, graph: Graph) -> None:
        super().__init__(world)
        self._verbosity, self._content, self._graph = verbosity, content, graph
        self._tensors = {tensor.name: tensor for tensor in graph.inputs + graph.outputs}
        self.name = "Unnamed Network 0"
        self.num_io_tensors = len(self._tensors)
        self.num_layers = len(graph.layers)
        self.num_optimization_profiles = 1
        self.num_aux_streams = 0
        self.device_memory_size = self.device_memory_size_v2 = 1 << 20
        self.profiling_verbosity = getattr(world.real.ProfilingVerbosity, verbosity)

    def __len__(self) -> int:
        return self.num_io_tensors

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        modes = self._world.real.TensorIOMode
        if name not in self._tensors:
            return modes.NONE
        return modes.INPUT if self._tensors[name] in self._graph.inputs else modes.OUTPUT

    def get_tensor_shape(self, name: str) -> Any:
        return self._world.real.Dims(self._tensors[name].shape)

    def get_tensor_dtype(self, name: str) -> Any:
        return getattr(self._world.real.DataType, TYPES[self._tensors[name].dtype][0])

    def get_tensor_location(self, name: str) -> Any:
        return self._world.real.TensorLocation.DEVICE

    def get_tensor_format(self, name: str, profile_index: int = 0) -> Any:
        return self._world.real.TensorFormat.LINEAR

    def create_execution_context(self, strategy: Any = None) -> IExecutionContext:
        return IExecutionContext(self._world, self)

    def create_engine_inspector(self) -> EngineInspector:
        return EngineInspector(self._world, self)


class EngineInspector(Simulated):
    def __init__(self, world: Simulation, engine: ICudaEngine) -> None:
        super().__init__(world)
        self._engine = engine
        self.execution_context: Any = None

    def get_engine_information(self, format: Any) -> str:
        if format.name != "JSON":
            return "\n".join(layer.name for layer in self._engine._graph.layers)
        return engine_information(self._engine._graph, self._engine._verbosity, self._world.major)


class IExecutionContext(Simulated):
    def __init__(self, world: Simulation, engine: ICudaEngine) -> None:
        super().__init__(world)
        self.engine = engine
        self.name = ""
        self.enqueue_emits_profile = True
        self._addresses: dict[str, int] = {}
        self._jobs: list[Any] = []  # what the stream may call, as long as the context lives

    def set_tensor_address(self, name: str, memory: int) -> bool:
        if name in self.engine._tensors:
            self._addresses[name] = int(memory)
        return name in self.engine._tensors

    def get_tensor_address(self, name: str) -> int:
        return self._addresses.get(name, 0)

    def set_input_shape(self, name: str, shape: Any) -> bool:
        return name in self.engine._tensors and tuple(shape) == self.engine._tensors[name].shape

    def get_tensor_shape(self, name: str) -> Any:
        return self.engine.get_tensor_shape(name)

    def infer_shapes(self) -> list[str]:
        return []

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Enqueue one run on the stand-in driver's stream; the addresses are those of now, as in a captured graph."""
        if self._unreachable() or self._world.enqueued == self._world.failing_after:
            return False
        self._world.enqueued += 1
        job = JOB(self._job())
        self._jobs.append(job)
        code = host_cuda().host_cuda_enqueue(ctypes.c_void_p(int(stream_handle)), job, None)
        return int(code) == 0

    def _unreachable(self) -> list[str]:
        """Tensors whose whole memory the GPU could not reach; there the real one would fail later, and worse."""
        reaches = host_cuda().host_cuda_reaches
        found = [
            name
            for name, tensor in self.engine._tensors.items()
            if not reaches(ctypes.c_void_p(self._addresses.get(name)), ctypes.c_size_t(bytes_of(tensor)))
        ]
        if found:
            self._world.breach(ValueError(f"no memory of the GPU behind the addresses of {', '.join(found)}"))
        return found

    def _job(self) -> Callable[[Any], None]:
        tensors, addresses = self.engine._graph, dict(self._addresses)

        def run(_: Any) -> None:
            try:
                feed = {tensor.name: array_at(addresses[tensor.name], tensor) for tensor in tensors.inputs}
                for tensor, value in zip(tensors.outputs, self._session.run(None, feed), strict=True):
                    array_at(addresses[tensor.name], tensor)[...] = value
                self._world.run += 1
            except Exception as error:  # ctypes would swallow it
                self._world.breach(error)

        return run

    @cached_property
    def _session(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(self.engine._content, options, providers=["CPUExecutionProvider"])


BEHAVIOURS = (
    Builder,
    INetworkDefinition,
    ITensor,
    IBuilderConfig,
    ITimingCache,
    OnnxParser,
    ParserError,
    Runtime,
    ICudaEngine,
    EngineInspector,
    IExecutionContext,
)

JOB = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
DTYPES = {"FLOAT": np.dtype(np.float32), "UINT8": np.dtype(np.uint8)}  # of inputs and outputs


def host_cuda() -> Any:
    """The stand-in driver of this process (tests/gpu/host_cuda.c), found as any libcuda is."""
    return ctypes.CDLL("libcuda.so.1")


def array_at(address: int, tensor: Tensor) -> Any:
    """The memory at a host address as an array of the tensor's shape and type."""
    memory = (ctypes.c_ubyte * bytes_of(tensor)).from_address(address)
    return np.frombuffer(memory, DTYPES[tensor.dtype]).reshape(tensor.shape)


def bytes_of(tensor: Tensor) -> int:
    return int(np.prod(tensor.shape)) * DTYPES[tensor.dtype].itemsize


def plan_of(version: str, verbosity: str, content: bytes) -> bytes:
    header = {"version": version, "verbosity": verbosity, "sha256": hashlib.sha256(content).hexdigest()}
    return PLAN + json.dumps(header).encode() + b"\n" + content


def host_memory(simulation: Simulation, content: bytes) -> Any:
    """A double of trt.IHostMemory: a buffer, for the buffer protocol cannot be given in Python before 3.12."""

    def refuse(self: Any, *_: object) -> Any:
        raise simulation.breach(TypeError("IHostMemory is a buffer, and nothing else"))

    class IHostMemory(ctypes.c_ubyte * len(content)):  # type: ignore[misc]
        stands_for = simulation.real.IHostMemory
        nbytes = property(lambda self: len(content))
        dtype = property(lambda self: simulation.real.DataType.INT8)
        __len__ = __getitem__ = __setitem__ = __iter__ = refuse

    return IHostMemory.from_buffer_copy(content)
