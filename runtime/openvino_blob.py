"""A model as OpenVINO's CPU plugin compiled it, kept for the next start: a quarter less time to the first mask
(benchmarks/opening.py).

OpenVINO's own CACHE_DIR does not serve here: with it the ONNX file is read all the same, which for the paper's full
FCN-8s is most of the time, and a damaged entry is taken for a whole one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from runtime.model_cache import being_kept, drop, kept, key_of


@dataclass(frozen=True)
class Compiled:
    """A compiled model, and the memory in which its weights may lie: whoever has the one must have the other."""

    model: Any
    memory: Any = None


def kept_or_compiled(
    openvino: Any, core: Any, sha256: str, options: Mapping[str, object], compile_model: Callable[[], Any]
) -> Compiled:
    """The kept one of the file with this digest, or `compile_model()`, which is then kept; raises what that raises."""
    key = key_of(library=f"openvino {openvino.__version__}", sha256=sha256, options=dict(options))
    entry = kept(key)
    if entry:
        try:
            return _imported(openvino, core, entry, options)
        except Exception:  # OpenVINO's exceptions share no base class of their own
            drop(entry)
    model = compile_model()
    with suppress(OSError, RuntimeError), being_kept(key) as place:  # the latter: a plugin that cannot export
        content = model.export_model()
        place.write_bytes(content.getbuffer() if isinstance(content, BytesIO) else content)
    return Compiled(model)


def _imported(openvino: Any, core: Any, entry: Path, options: Mapping[str, object]) -> Compiled:
    content = np.fromfile(entry, np.uint8)
    try:
        tensor = openvino.Tensor(content)
        return Compiled(core.import_model(tensor, "CPU", dict(options)), tensor)
    except TypeError:  # older ones (2024.6) take bytes alone
        return Compiled(core.import_model(content.tobytes(), "CPU", dict(options)))
