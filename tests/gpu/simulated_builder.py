"""The simulated TensorRT's building side: from an ONNX file to a plan, which is that file behind a small header."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from tests.gpu.simulated_graph import TYPES, Graph, Tensor, graph_of
from tests.gpu.simulation import TAG, TIMINGS, Simulated, Simulation, host_memory, plan_of

NEWEST_OPSET = {8: 17, 10: 20, 11: 24}  # that the parser of the major's first version reads


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
            time.sleep(0.2)  # until the main thread has seen it
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
        typed = {"INT8": "INT8", "FP16": "FLOAT16"}  # builder flag: the type that it permits
        if self._is_strongly_typed():
            flag = next((name for name in typed if name in config._flags), None)
            return flag and f"a strongly typed network, but {flag} is set; types come from the network alone"
        dtypes = self._graph.dtypes if self._graph else set()
        lacking = next((flag for flag, dtype in typed.items() if dtype in dtypes and flag not in config._flags), None)
        return (
            lacking and f"{lacking} precision has been set for a layer or layer output, but {lacking} is not configured"
        )

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
        whole = "Building Engine"
        return self._phase(whole, None, len(phases), lambda step: self._phase(phases[step], whole, layers))

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
