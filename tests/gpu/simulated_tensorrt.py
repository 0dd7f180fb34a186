"""A TensorRT that builds and runs nothing: doubles on the real bindings of one version, for a child process of a test.

The parser reads the ONNX file; the plan is that file behind a small header; the context runs it with onnxruntime on the
(host) addresses it was given. Refusals and messages are those of the real one as its users report them. This stands in
for the interface, and is no evidence of what a GPU computes.

Nothing of the product reaches it: a test's child calls `install`.
"""

from __future__ import annotations

from types import ModuleType

from tests.gpu.simulated_builder import (
    Builder,
    IBuilderConfig,
    INetworkDefinition,
    ITensor,
    ITimingCache,
    OnnxParser,
    ParserError,
)
from tests.gpu.simulated_runtime import EngineInspector, ICudaEngine, IExecutionContext, Runtime
from tests.gpu.simulation import Simulation, plan_of

__all__ = ["ICudaEngine", "IExecutionContext", "Simulation", "install", "plan_of"]

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


def install(module: ModuleType, front: ModuleType) -> Simulation:
    """Put doubles in the place of the real classes of `tensorrt_bindings` and of `tensorrt`, its front."""
    simulation = Simulation(module)
    for behaviour in BEHAVIOURS:
        double = simulation.double(behaviour)
        setattr(module, behaviour.__name__, double)
        setattr(front, behaviour.__name__, double)
    return simulation
