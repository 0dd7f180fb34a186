"""From an ONNX file to a TensorRT engine, on TensorRT 8.5 to 11.4 by one code path.

The file says what is computed in which type: on TensorRT 10 and later the network is strongly typed, on 8.x a builder
flag permits what the file asks for. INT8 goes through QuantizeLinear and DequantizeLinear alone: there is no
calibrator, which TensorRT 11 no longer has. (8.x takes types for hints and may compute a float16 file's float32 layers
in float16 too; scoring the engine tells whether that matters.)

Not yet run on a GPU: its tests run the bindings of six versions, with stand-ins for TensorRT's libraries and driver.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from export.build_progress import watched_build
from export.layer_report import LayerReport, layer_report
from export.timing_cache import TimingCache, default_timing_cache
from fcn_edge import __version__
from fcn_edge.errors import ModelError, UsageError, printable
from fcn_edge.files import sha256_of, whole_file
from fcn_edge.manifest import ModelFacts
from fcn_edge.progress import say
from runtime.cuda_driver import Gpu, find_gpu
from runtime.engine_facts import BuiltWith, EngineFacts, close_to_others
from runtime.onnx_outline import require_plain_onnx
from runtime.tensorrt_library import (
    engine_from_plan,
    load_tensorrt,
    logger_of,
    reason_of,
    started,
    tensors_of,
)

PRECISIONS = ("fp32", "fp16", "int8")  # whose ONNX files are for TensorRT

# What TensorRT 8 must be permitted to use beside float32; later versions take the file's types as they are.
PERMITTED_ON_8 = {"fp32": (), "fp16": ("FP16",), "int8": ("INT8",)}

# Libraries whose kernels TensorRT 8 tries by default, 10 does not, and 11 no longer names. Left out everywhere: one
# behaviour for all, less memory, and they may be absent.
FOREIGN_TACTICS = ("CUBLAS", "CUBLAS_LT", "CUDNN")

MIB = 1 << 20


@dataclass(frozen=True)
class BuildOptions:
    """What a user may choose. The rest is TensorRT's default."""

    workspace_mib: int | None = None  # scratch memory that a kernel may use; None: as much as the GPU has
    level: int | None = None  # of optimisation, 0 (fast to build) to 5 (long search); None: TensorRT's own, 3
    timing_cache: Path | None = None  # None: the one of this TensorRT and GPU
    use_timing_cache: bool = True

    def to_json(self) -> dict[str, Any]:
        """As the sidecar keeps it: what shaped the engine, and no path of this machine."""
        return {"workspace_mib": self.workspace_mib, "level": self.level}


@dataclass(frozen=True)
class BuiltEngine:
    """An engine on disk, not scored yet."""

    path: Path
    facts: EngineFacts  # without scores
    layers: LayerReport
    seconds: float  # of the build


def engine_from_onnx(onnx: Path, engine: Path, options: BuildOptions) -> BuiltEngine:
    """Build an exported ONNX file into a plan at `engine`, whole or not at all; its sidecar is the caller's.

    Raises ModelError where the file is refused or TensorRT is missing, OutputError, and KeyboardInterrupt when the
    user stops the build.
    """
    outline = require_plain_onnx(onnx)
    model = ModelFacts.from_metadata(outline.metadata, onnx)
    require_for_tensorrt(model.precision, onnx)
    trt, gpu, onnx_sha256 = load_tensorrt(), find_gpu(), sha256_of(onnx)
    started = perf_counter()
    plan = _plan(trt, gpu, onnx, model.precision, options)
    seconds = perf_counter() - started
    with whole_file(engine) as partial:
        partial.write_bytes(plan)
        close_to_others(partial)
    opened = engine_from_plan(trt, plan, engine)
    layers = layer_report(_inspected(trt, opened), outline.quantised_convolutions)
    facts = EngineFacts(
        model=model,
        engine_sha256=sha256_of(engine),
        engine_bytes=len(plan),
        onnx_name=onnx.name,
        onnx_sha256=onnx_sha256,
        built_with=_built_with(trt, gpu),
        tensors=tensors_of(trt, opened),
        options=options.to_json(),
        layers=layers.to_json(),
    )
    return BuiltEngine(engine, facts, layers, seconds)


def require_for_tensorrt(precision: str, where: Path) -> None:
    """Raises UsageError for a file that is not TensorRT's."""
    if precision not in PRECISIONS:
        raise UsageError(
            f"{where}: wanted a file for TensorRT ({', '.join(PRECISIONS)}), found {printable(precision)}; "
            "give another --precision"
        )


def _plan(trt: Any, gpu: Gpu, onnx: Path, precision: str, options: BuildOptions) -> bytes:
    """The serialised engine. Everything that the build holds on the GPU goes when this returns."""
    builder, log = started(trt, "Builder", gpu, onnx), logger_of(trt)
    network = _network(trt, builder, log, onnx)
    config = _config(trt, builder, precision, options)
    cache = _timing_cache(trt, gpu, options)
    if cache:
        cache.give(config)
    plan = watched_build(trt, builder, network, config, f"building {precision}")
    if plan is None:
        raise _failed(trt, onnx, reason_of(log))
    if cache:
        cache.take(config)
    return bytes(plan)


def _network(trt: Any, builder: Any, log: Any, onnx: Path) -> Any:
    """The file's graph as a trt.INetworkDefinition."""
    network = builder.create_network(_network_flags(trt))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(onnx)):
        errors = "; ".join(_parser_errors(parser)) or reason_of(log)
        raise _failed(trt, onnx, errors, "see `fcn-edge check`")
    return network


def _network_flags(trt: Any) -> int:
    """By name, for the numbers mean other things in other versions; none of the two is needed from 11 on."""
    named = trt.NetworkDefinitionCreationFlag.__members__
    wanted = [named[name] for name in ("STRONGLY_TYPED", "EXPLICIT_BATCH") if name in named]
    return 1 << int(wanted[0]) if wanted else 0


def _is_weakly_typed(trt: Any) -> bool:
    """Whether this is TensorRT 8: later ones can be told to be strongly typed, or always are."""
    named = trt.NetworkDefinitionCreationFlag.__members__
    return "EXPLICIT_BATCH" in named and "STRONGLY_TYPED" not in named


def _parser_errors(parser: Any) -> Iterator[str]:
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        # From 10 on the node is told by name, before that by its place in the file alone.
        node = error.node_name() if hasattr(error, "node_name") else error.node()
        yield printable(f"node {node}: {' '.join(error.desc().split())}")


def _config(trt: Any, builder: Any, precision: str, options: BuildOptions) -> Any:
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # or the inspector tells names alone
    # What a file keeps in float32 is computed so: TF32 keeps 10 of its 23 bits, and small differences decide a mask.
    config.clear_flag(trt.BuilderFlag.TF32)
    if _is_weakly_typed(trt):
        for name in PERMITTED_ON_8[precision]:
            config.set_flag(getattr(trt.BuilderFlag, name))
    _leave_out_foreign_tactics(trt, config)
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib * MIB)
    if options.level is not None:
        _set_level(trt, config, options.level)
    return config


def _leave_out_foreign_tactics(trt: Any, config: Any) -> None:
    named = trt.TacticSource.__members__
    foreign = sum(1 << int(named[name]) for name in FOREIGN_TACTICS if name in named)
    if foreign:
        config.set_tactic_sources(config.get_tactic_sources() & ~foreign)


def _set_level(trt: Any, config: Any, level: int) -> None:
    if hasattr(config, "builder_optimization_level"):
        config.builder_optimization_level = level
    else:
        say(f"warning: TensorRT {trt.__version__} has no levels of optimisation; --level is left out")


def _timing_cache(trt: Any, gpu: Gpu, options: BuildOptions) -> TimingCache | None:
    if not options.use_timing_cache:
        return None
    return TimingCache(options.timing_cache, own=False) if options.timing_cache else default_timing_cache(trt, gpu)


def _failed(
    trt: Any,
    onnx: Path,
    found: str,
    cure: str = "free memory of the GPU, try `fcn-edge build --workspace 1024`, or see `fcn-edge check`",
) -> ModelError:
    return ModelError(f"{onnx}: wanted an engine of TensorRT {trt.__version__}, found: {found}; {cure}")


def _inspected(trt: Any, engine: Any) -> str:
    """The inspector's JSON of all layers."""
    return str(engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON))


def _built_with(trt: Any, gpu: Gpu) -> BuiltWith:
    return BuiltWith(
        tensorrt=str(trt.__version__),
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        integrated=gpu.integrated,
        driver_cuda=gpu.driver_cuda,
        machine=platform.machine(),
        fcn_edge=__version__,
    )
