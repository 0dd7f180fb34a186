"""A CUDA graph of what one function enqueues: captured once, launched for every frame. By ctypes: pycuda has none."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from runtime.cuda_driver import LIBRARY, error_name

THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads ask of the GPU does not break the capture


class GraphError(Exception):
    """What went wrong with a graph: the call, and the driver's name for its failure."""


class CudaGraph:
    """What `enqueue` puts into a stream, to be launched into that stream again and again."""

    def __init__(self, stream: int, enqueue: Callable[[], bool]) -> None:
        """`stream` is a CUstream of the current context, not the default one, with nothing under way; `enqueue` tells
        whether it could. Raises GraphError, and leaves the stream as it was."""
        self._library = ctypes.CDLL(LIBRARY)
        self._stream, self._exec = ctypes.c_void_p(stream), ctypes.c_void_p()
        graph = self._captured(enqueue)
        try:
            self._instantiate(graph)
        finally:
            self._library.cuGraphDestroy(graph)  # what will be launched is made of it, and needs it no more

    def _captured(self, enqueue: Callable[[], bool]) -> ctypes.c_void_p:
        graph, is_enqueued = ctypes.c_void_p(), False
        self._call("cuStreamBeginCapture_v2", self._stream, THREAD_LOCAL)
        try:
            is_enqueued = enqueue()
        finally:  # or the stream would go on capturing
            code = self._library.cuStreamEndCapture(self._stream, ctypes.byref(graph))
            if graph and not is_enqueued:
                self._library.cuGraphDestroy(graph)
        if code:
            raise GraphError(f"cuStreamEndCapture: {error_name(self._library, code)}")
        if not is_enqueued:
            raise GraphError("work that could not be enqueued")
        return graph

    def _instantiate(self, graph: ctypes.c_void_p) -> None:
        executable = ctypes.byref(self._exec)
        if hasattr(self._library, "cuGraphInstantiateWithFlags"):
            self._call("cuGraphInstantiateWithFlags", executable, graph, ctypes.c_ulonglong(0))
        else:  # a driver before CUDA 11.4
            self._call("cuGraphInstantiate_v2", executable, graph, None, None, ctypes.c_size_t(0))

    def launch(self) -> None:
        """Put the work into the stream; raises GraphError."""
        self._call("cuGraphLaunch", self._exec, self._stream)

    def close(self) -> None:
        """Give it back; nothing of it may be under way. Raises GraphError."""
        self._call("cuGraphExecDestroy", self._exec)

    def _call(self, name: str, *arguments: object) -> None:
        try:
            code = getattr(self._library, name)(*arguments)
        except AttributeError:
            raise GraphError(f"a driver without {name}") from None
        if code:
            raise GraphError(f"{name}: {error_name(self._library, code)}")
