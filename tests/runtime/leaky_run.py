"""A run that leaks: a sink that keeps of some frames the picture, a descriptor and a thread. As `commanded_model` else.

The soak's judge must find each of them.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from fcn_edge.__main__ import main
from runtime.sinks.json_lines import JsonFileSink
from runtime.sinks.sink import Segmented, Times
from tests.runtime.commanded_model import install

EVERY = 8  # frames
kept: list[Any] = []
never = threading.Event()


class Leaky(JsonFileSink):
    def write(self, segmented: Segmented) -> Times:
        if segmented.frame.index % EVERY == 0:
            kept.extend([np.ones(500_000, np.uint8), open(os.devnull)])
            threading.Thread(target=never.wait, daemon=True).start()
        return super().write(segmented)


if __name__ == "__main__":
    import runtime.sinks.opening

    runtime.sinks.opening.JsonFileSink = Leaky  # type: ignore[misc]
    install(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
