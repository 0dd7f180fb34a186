"""The simulated TensorRT's serving side: a plan's ONNX file, run by onnxruntime as a job of the driver's stream."""

from __future__ import annotations

import ctypes
import hashlib
import json
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import onnxruntime

from tests.gpu.simulated_graph import TYPES, Graph, Tensor, engine_information, graph_of
from tests.gpu.simulation import PLAN, TAG, Simulated, Simulation

JOB = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
DTYPES = {"FLOAT": np.dtype(np.float32), "UINT8": np.dtype(np.uint8)}  # of inputs and outputs


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


def host_cuda() -> Any:
    """The stand-in driver of this process (tests/gpu/host_cuda.c), found as any libcuda is."""
    return ctypes.CDLL("libcuda.so.1")


def array_at(address: int, tensor: Tensor) -> Any:
    """The memory at a host address as an array of the tensor's shape and type."""
    memory = (ctypes.c_ubyte * bytes_of(tensor)).from_address(address)
    return np.frombuffer(memory, DTYPES[tensor.dtype]).reshape(tensor.shape)


def bytes_of(tensor: Tensor) -> int:
    return int(np.prod(tensor.shape)) * DTYPES[tensor.dtype].itemsize
