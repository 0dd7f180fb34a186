"""TensorRT's Python bindings: loaded where they can work, an engine read from its plan, what an engine takes and gives.

Every failure is a ModelError of one line. One code path serves TensorRT 8.5 to 11.4.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from fcn_edge.errors import ModelError, first_line
from runtime.cuda import keep_for_ever
from runtime.cuda_driver import Gpu, find_gpu
from runtime.engine_facts import EngineTensor, build_command

# By the names of trt.DataType. (Its own map, trt.nptype, fails in 8.5 with numpy 1.24 and later.)
NUMPY_NAMES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
    "UINT8": "uint8",
}

KEPT = 50  # messages of each kind: a failing build repeats itself


def load_tensorrt() -> Any:
    """The module tensorrt; raises NoGpu, or ModelError where the package or one of its libraries is missing.

    The driver is asked first: without one, the Runtime and Builder of TensorRT 11 crash the process.
    """
    gpu = find_gpu()
    try:
        import tensorrt

        tensorrt.Runtime  # noqa: B018 - a folder of that name imports too, but holds none
    except (ImportError, OSError, AttributeError) as error:
        raise ModelError(
            f"wanted the package tensorrt, found: {first_line(error)}; {_cure(gpu)}, or choose another --engine"
        ) from None
    return tensorrt


def _cure(gpu: Gpu) -> str:
    if gpu.integrated:  # a Jetson, whose TensorRT belongs to JetPack
        return "sudo apt install python3-libnvinfer, and make the virtual environment with --system-site-packages"
    return "install it: pip install 'fcn-edge[tensorrt]'"


@cache
def logger_of(trt: Any) -> Any:
    """The trt.ILogger of this process, silent: it keeps the newest messages in `errors` and `warnings` (list[str]).

    There is one, for TensorRT itself keeps the first that it is given and warns of every other. Clear the lists before
    a work whose messages you want.
    """
    errors = (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR)

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.warnings: list[str] = []

        def log(self, severity: Any, text: str) -> None:
            kept = self.errors if severity in errors else self.warnings if severity == trt.ILogger.WARNING else None
            if kept is not None:
                kept.append(" ".join(text.split()))
                del kept[:-KEPT]

    return Log()


def reason_of(log: Any) -> str:
    """Why TensorRT failed, by the first error it told: those after it tend to be its consequences."""
    return log.errors[0] if log.errors else "no reason told"


def started(trt: Any, kind: str, gpu: Gpu, where: Path) -> Any:
    """A trt.Runtime or trt.Builder, by its name, to work for the file at `where`; raises ModelError.

    Where CUDA cannot be initialised (most often the driver is older than the CUDA that TensorRT was built with), up to
    10 it gives nothing. 11 gives an object that crashes at its first use, and at its end too: only the log tells.
    """
    log = logger_of(trt)
    log.errors.clear()
    log.warnings.clear()
    try:
        made = getattr(trt, kind)(log)
    except TypeError as error:  # pybind11's answer where the library gives nothing; 8.5 tells why in a warning alone
        log.errors += [*log.warnings[-1:], first_line(error)]
    else:
        if not log.errors:
            return made
        keep_for_ever(made)
    raise ModelError(
        f"{where}: wanted TensorRT {trt.__version__} to start, found: {reason_of(log)}; take one for CUDA "
        f"{gpu.driver_cuda}, which the driver serves, or for an older one, and see `fcn-edge doctor`"
    )


def engine_from_plan(trt: Any, plan: bytes, where: Path) -> Any:
    """The trt.ICudaEngine of a plan, which must be trusted: TensorRT checks little of it. Raises NoGpu or ModelError.

    The bindings keep the Runtime alive as long as the engine lives (`py::keep_alive<0, 1>` in pyCore.cpp), and the
    logger as long as the Runtime. Host code inside a plan stays forbidden, as is TensorRT's own default.
    """
    engine = started(trt, "Runtime", find_gpu(), where).deserialize_cuda_engine(plan)
    if engine is None:
        raise ModelError(
            f"{where}: wanted an engine that TensorRT {trt.__version__} opens, found: {reason_of(logger_of(trt))}; "
            f"build it again here with `{build_command(where)}`"
        )
    return engine


def tensors_of(trt: Any, engine: Any) -> tuple[EngineTensor, ...]:
    """The engine's inputs and outputs in its own order. A type that numpy lacks goes by TensorRT's name: bf16."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    return tuple(
        EngineTensor(
            name,
            "input" if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT else "output",
            tuple(engine.get_tensor_shape(name)),
            numpy_name(engine.get_tensor_dtype(name)),
        )
        for name in names
    )


def numpy_name(dtype: Any) -> str:
    """numpy's name of a trt.DataType: uint8 of UINT8."""
    name = str(dtype.name)
    return NUMPY_NAMES.get(name, name.lower())
