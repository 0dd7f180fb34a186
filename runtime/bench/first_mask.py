"""A fresh process that opens a model, makes one mask and tells when: what `cold_start` starts.

python -m runtime.bench.first_mask MODEL SERVING, which are `open_session`'s, the latter as JSON.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np


def moments(model: Path, serving: dict[str, Any]) -> list[float]:
    """Monotonic seconds: imported, opened, first mask."""
    import_module("runtime.cli")  # what `fcn-edge run` loads before it opens its model
    from runtime.segmenter import Segmenter
    from runtime.session import open_session

    imported = monotonic()
    with open_session(model, **serving) as session:
        opened = monotonic()
        Segmenter(session)(np.zeros((*session.facts.size_hw, 3), np.uint8))
        return [imported, opened, monotonic()]


if __name__ == "__main__":
    print(json.dumps(moments(Path(sys.argv[1]), json.loads(sys.argv[2]))))
