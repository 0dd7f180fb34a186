"""A session on onnxruntime: its CPU provider, or CUDA's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import ModelError, UsageError, first_line
from fcn_edge.telemetry import refuse_telemetry
from runtime.model_cache import being_kept, drop, kept, key_of
from runtime.model_file import onnx_facts

ERRORS_ONLY = 3  # of onnxruntime's log: what matters to the user comes as an exception

PROVIDERS = {"CPU": "CPUExecutionProvider", "CUDA": "CUDAExecutionProvider"}

# Threads that wait for work without sleeping keep the cores from whoever else needs them. At ten frames a second, with
# others at work on two cores, that doubled latency and processor time; frame after frame it saves 4 % of the latency
# (benchmarks/spinning.py).
CONFIG = {"session.intra_op.allow_spinning": "0"}

# TF32, CUDA's default, rounds what it multiplies to 10 bits, and a float graph's masks change.
CUDA_OPTIONS = {"use_tf32": "0"}

# Only of a float graph is the optimised form quicker to open than the file itself (benchmarks/opening.py).
KEPT_PRECISIONS = ("fp32",)


class OrtSession:
    """One of our ONNX files, opened; the file's own metadata tells classes and size."""

    parts_ms: Mapping[str, float] = {}

    def __init__(
        self, path: Path, threads: int | None = None, device: str = "CPU", *, sha256: str | None = None
    ) -> None:
        """`threads` None: as many as there are cores. Raises ModelError if the file is not such a graph.

        `device` is CPU or CUDA; the latter was never run. With the file's `sha256` the graph as optimised for the CPU
        is kept for the next start, where that helps. Raises UsageError without the package onnxruntime.
        """
        self.facts = onnx_facts(path)
        library = onnxruntime_library()
        _require_provider(library, device, path)
        opener = _Opener(library, threads, device)
        if sha256 and device == "CPU" and self.facts.precision in KEPT_PRECISIONS:
            self._session = opener.kept_or_optimised(path, sha256)
        else:
            self._session = opener.optimised(path)
        self._require_contract(path)
        self._require_active(device, path)
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name
        told = f"{threads} threads" if threads else "all cores"
        self.device = f"onnxruntime {library.__version__}, {device}, {told}"

    def _require_contract(self, path: Path) -> None:
        """A uint8 frame (1, H, W, 3) in, a uint8 mask (1, H, W) out."""
        height, width = self.facts.size_hw
        wanted = [("tensor(uint8)", [1, height, width, 3]), ("tensor(uint8)", [1, height, width])]
        ends = [*self._session.get_inputs(), *self._session.get_outputs()[:1]]
        found = [(end.type, end.shape) for end in ends]
        if found != wanted:
            raise ModelError(f"{path}: wanted a graph from {wanted[0]} to {wanted[1]}, found {found}; export it again")

    def _require_active(self, device: str, path: Path) -> None:
        """onnxruntime goes on with the CPU alone where a provider does not load, and says so in a log."""
        active = self._session.get_providers()
        if PROVIDERS[device] not in active:
            raise ModelError(
                f"{path}: wanted onnxruntime to compute on {device}, found that it took {', '.join(active)}; see "
                "`fcn-edge doctor`, or choose another --engine"
            )

    def infer(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A frame (H, W, 3) BGR uint8 to its mask (H, W) uint8, a fresh array."""
        if self._session is None:
            raise RuntimeError("this session is closed")
        mask: NDArray[np.uint8] = self._session.run([self._output], {self._input: frame[None]})[0][0]
        return mask

    def close(self) -> None:
        self._session = None

    def __enter__(self) -> OrtSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def onnxruntime_library() -> Any:
    """The package onnxruntime; raises UsageError where it is missing or does not load."""
    refuse_telemetry()
    try:
        import onnxruntime

        onnxruntime.InferenceSession  # noqa: B018 - a folder of that name imports too, but holds none
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"wanted the package onnxruntime, found: {first_line(error)}; "
            "install it: pip install onnxruntime, or choose another --engine"
        ) from None
    return onnxruntime


def _require_provider(library: Any, device: str, path: Path) -> None:
    available = library.get_available_providers()
    if PROVIDERS[device] not in available:
        raise ModelError(
            f"{path}: wanted onnxruntime with {PROVIDERS[device]}, found {', '.join(available)}; install a build for "
            f"{device}, or choose another --engine"
        )


class _Opener:
    """How files are opened with these choices."""

    def __init__(self, library: Any, threads: int | None, device: str) -> None:
        self._library, self._threads = library, threads
        cpu = PROVIDERS["CPU"]
        self._providers = [cpu] if device == "CPU" else [(PROVIDERS[device], CUDA_OPTIONS), cpu]

    def optimised(self, path: Path) -> Any:
        """Raises ModelError if onnxruntime does not open the file."""
        try:
            return self._session(path, self._options())
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            raise ModelError(
                f"{path}: wanted an ONNX file that onnxruntime opens, found: {first_line(error)}; export it again"
            ) from None

    def kept_or_optimised(self, path: Path, sha256: str) -> Any:
        """As `optimised`, but from what an earlier start made of the file with this digest, if that is there."""
        key = key_of(library=f"onnxruntime {self._library.__version__}", sha256=sha256)
        try:
            return self._kept(key) or self._optimised_and_kept(path, key)
        except Exception:  # no place to keep it at, most likely; what the file itself is refused for, is told now
            return self.optimised(path)

    def _kept(self, key: str) -> Any:
        entry = kept(key)
        if entry is None:
            return None
        options = self._options()
        options.graph_optimization_level = self._library.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            return self._session(entry, options)
        except Exception:
            drop(entry)
            return None

    def _optimised_and_kept(self, path: Path, key: str) -> Any:
        options = self._options()
        with being_kept(key) as place:
            options.optimized_model_filepath = str(place)
            return self._session(path, options)

    def _session(self, path: Path, options: Any) -> Any:
        # With its fallback, a provider that fails is reported on standard output and left out.
        return self._library.InferenceSession(path, options, providers=self._providers, enable_fallback=0)

    def _options(self) -> Any:
        options = self._library.SessionOptions()
        options.log_severity_level = ERRORS_ONLY
        options.intra_op_num_threads = self._threads or 0
        for name, value in CONFIG.items():
            options.add_session_config_entry(name, value)
        return options
