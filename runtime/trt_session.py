"""A session on TensorRT: one engine, its buffers, its stream and its CUDA graph, all made once, at open.

Not yet run on a GPU: its tests run the real pycuda on a stand-in for the driver, with a stand-in for TensorRT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import DeviceError, ModelError
from fcn_edge.progress import say
from runtime.cuda import CudaDevice, OutOfMemory, keep_for_ever
from runtime.cuda_driver import find_gpu
from runtime.cuda_graph import CudaGraph, GraphError
from runtime.engine_facts import EngineFacts, EngineTensor
from runtime.tensorrt_library import NUMPY_NAMES, engine_from_plan, load_tensorrt, logger_of, reason_of, tensors_of

MASK = "mask"  # of several outputs, by its name: their order is the builder's affair
MEGABYTE = 1 << 20


class TrtSession:
    """An engine that `preflight.require_servable` let pass, opened. Any thread may use it, one at a time."""

    def __init__(self, engine: Path, facts: EngineFacts, *, cuda_graph: bool = True) -> None:
        """Raises ModelError (NoGpu among them) if the engine does not run here, or is not from a frame to a mask.

        `cuda_graph`: a run is one launch of a graph. An engine that cannot be captured is told, and served without.
        """
        trt = load_tensorrt()
        self.facts = facts.model
        self.parts_ms: Mapping[str, float] = {}
        self._path = engine
        self._log = logger_of(trt)
        self._engine: Any = None
        self._execution: Any = None  # trt.IExecutionContext
        self._graph: CudaGraph | None = None
        self._is_closed = False
        self._cuda = CudaDevice()
        try:
            self._open(trt, cuda_graph)
        except BaseException as error:
            self.close()
            if isinstance(error, DeviceError):
                raise ModelError(f"{engine}: {error}") from None
            raise

    def _open(self, trt: Any, cuda_graph: bool) -> None:
        with self._cuda.current():
            self._engine = engine_from_plan(trt, _plan_of(self._path), self._path)
            ends = self._ends_of(tensors_of(trt, self._engine))
        self._allocate(*ends)
        with self._cuda.current():
            self._warm_up(cuda_graph)
        self._log.errors.clear()  # what is told from now on is of a run
        self._steps = self._steps_of_a_run()
        gpu, graph = find_gpu(), "CUDA graph" if self._graph else "no CUDA graph"
        where = f"{gpu.name}, compute capability {gpu.compute_capability}"
        self.device = f"TensorRT {trt.__version__}, {where}, {self.facts.precision}, {graph}"

    def _ends_of(self, tensors: tuple[EngineTensor, ...]) -> list[EngineTensor]:
        """The uint8 frame (1, H, W, 3), the uint8 mask (1, H, W), then whatever else comes out; or ModelError."""
        height, width = self.facts.size_hw
        wanted = [("uint8", (1, height, width, 3)), ("uint8", (1, height, width))]
        inputs = [tensor for tensor in tensors if tensor.mode == "input"]
        outputs = sorted((tensor for tensor in tensors if tensor.mode == "output"), key=lambda end: end.name != MASK)
        ends = [*inputs, *outputs]
        is_ours = len(inputs) == 1 and [(end.dtype, end.shape) for end in ends[:2]] == wanted
        if not is_ours or not all(map(_is_sized, outputs)):
            found = ", ".join(f"{end.mode} {end.name} {end.dtype} {end.shape}" for end in ends) or "nothing"
            raise ModelError(
                f"{self._path}: wanted an engine from {wanted[0]} to {wanted[1]}, found {found}; export the model again"
            )
        return ends

    def _allocate(self, *ends: EngineTensor) -> None:
        """The execution context, and memory for every input and output."""
        needed_mb = (_workspace_bytes(self._engine) + sum(map(_size_bytes, ends))) / MEGABYTE
        with self._cuda.current():
            free_mb = self._cuda.free_bytes() / MEGABYTE
        try:
            with self._cuda.current():
                self._execution = self._engine.create_execution_context()
                if self._execution is None:
                    raise OutOfMemory(reason_of(self._log))
                self._place(*ends)
        except OutOfMemory as error:
            raise ModelError(
                f"{self._path}: wanted {needed_mb:.0f} MB of the GPU's memory beside the engine's own, found "
                f"{free_mb:.0f} MB free ({error}); close what else uses it, or serve a smaller precision or size"
            ) from None

    def _place(self, frame: EngineTensor, mask: EngineTensor, *others: EngineTensor) -> None:
        """Of what comes out the host sees the mask alone."""
        self._frame, self._mask = self._cuda.exchange(frame.shape), self._cuda.exchange(mask.shape)
        addresses = {frame.name: self._frame.address, mask.name: self._mask.address}
        addresses |= {other.name: self._cuda.memory(_size_bytes(other)) for other in others}
        for name, address in addresses.items():
            if not self._execution.set_tensor_address(name, address):
                raise ModelError(f"{self._path}: wanted to give {name} its memory, found: {reason_of(self._log)}")

    def _warm_up(self, cuda_graph: bool) -> None:
        """TensorRT wants one plain run before a capture; and what was made for the runs to come is tried once."""
        self._run()
        self._cuda.synchronise()
        if cuda_graph:
            self._graph = self._captured()
            self._run()
            self._cuda.synchronise()

    def _captured(self) -> CudaGraph | None:
        try:
            return CudaGraph(self._cuda.stream, self._enqueue)
        except GraphError as error:
            say(f"{self._path}: served without a CUDA graph: {error}")
        # TensorRT's own CUDA runtime remembers the failure, and may tell it once more (trtexec clears it there).
        self._enqueue()
        return None

    def _enqueue(self) -> bool:
        return bool(self._execution.execute_async_v3(self._cuda.stream))

    def _run(self) -> None:
        """One run into the stream."""
        if self._graph is None:
            if not self._enqueue():
                raise self._cuda.failure(reason_of(self._log))
            return
        try:
            self._graph.launch()
        except GraphError as error:
            raise self._cuda.failure(str(error)) from None

    def _steps_of_a_run(self) -> dict[str, Callable[[], None]]:
        """By the names of `parts_ms`. Where host and GPU share their memory there is nothing to copy."""
        compute: dict[str, Callable[[], None]] = {"compute": self._run}
        if self._cuda.shares_memory:
            return compute
        upload, download = partial(self._cuda.upload, self._frame), partial(self._cuda.download, self._mask)
        return {"h2d": upload, **compute, "d2h": download}

    def infer(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A frame (H, W, 3) BGR uint8 to its mask (H, W) uint8, a fresh array. Raises DeviceError."""
        if self._is_closed:
            raise RuntimeError("this session is closed")
        block = self._frame.host[0]  # (H, W, 3)
        if (frame.dtype, frame.shape) != (block.dtype, block.shape):
            raise ValueError(f"wanted a frame of {block.dtype} {block.shape}, found {frame.dtype} {frame.shape}")
        with self._cuda.current():
            block[...] = frame
            self.parts_ms = self._cuda.timed(self._steps)
            mask: NDArray[np.uint8] = self._mask.host[0].copy()
        return mask

    def close(self) -> None:
        """Give the GPU back; never raises. After a DeviceError everything is left as it is until the process ends."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            with self._cuda.current():
                self._cuda.synchronise()  # an interrupted run may still be under way
                self._destroy()
        except (DeviceError, GraphError):
            keep_for_ever(self)
        else:
            self._cuda.close()

    def _destroy(self) -> None:
        """What uses before what is used: TensorRT's contexts are not to outlive their engine."""
        if self._graph is not None:
            self._graph.close()
        self._steps = {}
        self._graph = self._execution = None
        self._engine = None

    def __enter__(self) -> TrtSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _plan_of(engine: Path) -> bytes:
    try:
        return engine.read_bytes()
    except OSError as error:
        raise ModelError(f"{engine}: wanted to read this engine, found: {error.strerror}; check the path") from None


def _is_sized(tensor: EngineTensor) -> bool:
    return tensor.dtype in NUMPY_NAMES.values() and min(tensor.shape, default=1) > 0


def _size_bytes(tensor: EngineTensor) -> int:
    return prod(tensor.shape) * np.dtype(tensor.dtype).itemsize


def _workspace_bytes(engine: Any) -> int:
    """What an execution context takes for the tensors between the layers."""
    if hasattr(engine, "device_memory_size_v2"):  # TensorRT 10.3 and later; 11 has it alone
        return int(engine.device_memory_size_v2)
    return int(engine.device_memory_size)
