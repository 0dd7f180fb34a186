"""A stand-in for the module tensorrt that builds nothing: as much of it as the making of an engine calls.

It has the names of one major version alone, and notes what it was told. Whether the names are TensorRT's own is the
matter of the tests against the real bindings.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

FLAGS = {
    8: {"EXPLICIT_BATCH": 0, "EXPLICIT_PRECISION": 1},
    10: {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1},
    11: {"PREFER_AOT_PYTHON_PLUGINS": 2, "PREFER_JIT_PYTHON_PLUGINS": 1, "STRONGLY_TYPED": 0},
    12: {"PREFER_JIT_PYTHON_PLUGINS": 1},  # as one without either may come to be
}
TACTICS = {
    8: ("CUBLAS", "CUBLAS_LT", "CUDNN", "EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS"),
    11: ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS"),
}


class SmallTensorrt:
    """The module. What a test may change: `parser_errors`, `plan`, `during_build`, `information`."""

    def __init__(self, major: int, level: bool = True) -> None:
        self.__version__ = f"{major}.6.1"
        self.major, self.has_level = major, level
        self.parser_errors: list[Any] = []
        self.plan: bytes | None = b"plan"
        self.error = "Error Code 2: no kernel"  # logged where there is no plan
        self.during_build: Callable[[Any], bool] = lambda config: True  # False: broken off
        self.information = '{"Layers": []}'
        self.configs: list[Config] = []
        self.network_flags: list[int] = []
        self.NetworkDefinitionCreationFlag = IntEnum("NetworkDefinitionCreationFlag", FLAGS[min(major, 12)])  # type: ignore[misc]
        tactics = TACTICS[8 if major < 11 else 11]
        self.TacticSource = IntEnum("TacticSource", {name: number for number, name in enumerate(tactics)})  # type: ignore[misc]
        precisions = {"FP16": 0, "INT8": 1} if major < 11 else {}
        self.BuilderFlag = IntEnum("BuilderFlag", {**precisions, "TF32": 7})  # type: ignore[misc]
        self.MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
        self.ProfilingVerbosity = SimpleNamespace(DETAILED="detailed")
        self.LayerInformationFormat = SimpleNamespace(JSON="json")
        self.TensorIOMode = SimpleNamespace(INPUT="in", OUTPUT="out")
        self.ILogger = Logger
        self.OnnxParser = lambda network, log: Parser(self, network, log)
        self.Builder = lambda log: Builder(self, log)
        self.Runtime = lambda log: SimpleNamespace(deserialize_cuda_engine=lambda plan: Engine(self, plan))
        if major >= 10:
            self.IProgressMonitor = Monitor


class Logger:
    INTERNAL_ERROR, ERROR, WARNING, INFO = range(4)


class Monitor:
    """trt.IProgressMonitor."""


class Builder:
    def __init__(self, trt: SmallTensorrt, log: Any) -> None:
        self.trt, self.log = trt, log

    def create_network(self, flags: int) -> Any:
        self.trt.network_flags.append(flags)
        return SimpleNamespace(path=None)

    def create_builder_config(self) -> Config:
        self.trt.configs.append(Config(self.trt))
        return self.trt.configs[-1]

    def build_serialized_network(self, network: Any, config: Config) -> memoryview | None:
        assert network.path.is_file() and threading.current_thread() is not threading.main_thread()
        if self.trt.plan is None or not self.trt.during_build(config):
            self.log.log(Logger.ERROR, self.trt.error)
            return None
        return memoryview(self.trt.plan)


class Config:
    """trt.IBuilderConfig: what it was told, in `told`."""

    def __init__(self, trt: SmallTensorrt) -> None:
        self.trt = trt
        self.told: dict[str, Any] = {}
        self.flags: dict[str, bool] = {}
        self.sources: int = sum(1 << int(member) for member in trt.TacticSource)
        self.cache: bytes | None = None
        if trt.has_level:
            self.builder_optimization_level = 3

    def set_flag(self, flag: Any) -> None:
        self.flags[flag.name] = True

    def clear_flag(self, flag: Any) -> None:
        self.flags[flag.name] = False

    def get_tactic_sources(self) -> int:
        return self.sources

    def set_tactic_sources(self, sources: int) -> bool:
        self.sources = sources
        return True

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        self.told[pool] = pool_size

    def create_timing_cache(self, content: bytes) -> Any:
        return SimpleNamespace(serialize=lambda: content + b"timed", combine=lambda other, ignore: True)

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        self.told["timing cache"] = cache
        return True

    def get_timing_cache(self) -> Any:
        return self.told.get("timing cache")


class Parser:
    def __init__(self, trt: SmallTensorrt, network: Any, log: Any) -> None:
        self.trt, self.network = trt, network

    def parse_from_file(self, model: str) -> bool:
        self.network.path = Path(model)
        return not self.trt.parser_errors

    @property
    def num_errors(self) -> int:
        return len(self.trt.parser_errors)

    def get_error(self, index: int) -> Any:
        return self.trt.parser_errors[index]


class Engine:
    """trt.ICudaEngine with one input and one output of the tiny bundle's contract."""

    num_io_tensors = 2

    def __init__(self, trt: SmallTensorrt, plan: bytes) -> None:
        assert plan == trt.plan
        self.trt = trt

    def get_tensor_name(self, index: int) -> str:
        return ("frame", "mask")[index]

    def get_tensor_mode(self, name: str) -> str:
        return {"frame": "in", "mask": "out"}[name]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return {"frame": (1, 64, 96, 3), "mask": (1, 64, 96)}[name]

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name="UINT8")

    def create_engine_inspector(self) -> Any:
        def get_engine_information(format: str) -> str:
            assert format == "json"
            return self.trt.information

        return SimpleNamespace(get_engine_information=get_engine_information)
