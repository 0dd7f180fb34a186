"""TensorRT's measurements of kernels, kept from one build to the next: a second build takes a fraction of the time.

They hold for one version of TensorRT and one kind of GPU, so each pair has a file of its own. The file is TensorRT's
bare cache, which trtexec's --timingCacheFile reads and writes too.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcn_edge.errors import OutputError
from fcn_edge.files import cache_folder, whole_file
from fcn_edge.progress import say
from runtime.cuda_driver import Gpu


@dataclass(frozen=True)
class TimingCache:
    """One file. Whatever is wrong with it, a build goes on without."""

    path: Path
    own: bool = True  # in fcn-edge's cache folder; what is unreadable there may be replaced

    def give(self, config: Any) -> None:
        """Let a trt.IBuilderConfig start from the file's measurements, or from none."""
        with _locked(fcntl.LOCK_SH):
            kept = _read(self.path)
        cache = _accepted(config, kept)
        if cache is None:
            if kept and not self.own:
                say(f"warning: {self.path} is no timing cache of this TensorRT and GPU; it is left as it is")
            config.set_timing_cache(config.create_timing_cache(b""), False)

    def take(self, config: Any) -> None:
        """Add what a build has measured to the file, together with what other builds wrote there meanwhile."""
        measured = config.get_timing_cache()
        if measured is None:
            return
        with suppress(OutputError), _locked(fcntl.LOCK_EX):  # a cache is no reason to fail
            kept = _read(self.path)
            if kept and not _combined(config, measured, kept) and not self.own:
                return
            with whole_file(self.path) as partial:
                partial.write_bytes(bytes(measured.serialize()))


def default_timing_cache(trt: Any, gpu: Gpu) -> TimingCache:
    """The file of this TensorRT and this kind of GPU."""
    name = f"{trt.__version__}-{gpu.name}-sm{gpu.compute_capability}"
    return TimingCache(cache_folder("timing") / f"{re.sub(r'[^A-Za-z0-9.]+', '-', name)}.cache")


def _accepted(config: Any, kept: bytes) -> Any:
    """The cache that the config now uses, or None where TensorRT finds it of another version or device, or damaged."""
    cache = config.create_timing_cache(kept) if kept else None
    return cache if cache is not None and config.set_timing_cache(cache, False) else None


def _combined(config: Any, measured: Any, kept: bytes) -> bool:
    other = config.create_timing_cache(kept)
    return other is not None and bool(measured.combine(other, False))


def _read(path: Path) -> bytes:
    """Empty where there is none that can be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


@contextmanager
def _locked(kind: int) -> Iterator[None]:
    """Hold the lock of all timing caches while the block runs, where one can be had.

    So two builds that end at once lose nothing, each adding to what the other wrote.
    """
    path = cache_folder("timing") / ".lock"  # not the cache itself, which is replaced whole and not changed
    with ExitStack() as stack:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            fcntl.flock(stack.enter_context(path.open("w")), kind)
        yield
