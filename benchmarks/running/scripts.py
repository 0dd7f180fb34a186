"""The scripts of this folder as `make bench` runs them, the most wanted first, and why it leaves some out.

Rounds are fewer than each script's own default, so that all ends within half an hour on two cores.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

FOLDER = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Script:
    """`arguments` may name material: {checkpoint}, {bundle}, {data}, {drive}."""

    name: str  # of its file
    arguments: str
    minutes: float  # that it takes on two cores; it is cut off after LATE times as many
    unfit: Callable[[], str] = lambda: ""  # why not on this machine

    @property
    def command(self) -> str:
        return f"benchmarks/{self.name}.py {self.arguments}".strip()

    def words(self, known: Mapping[str, str]) -> list[str]:
        """The file and its arguments; all of its material must be known."""
        return [str(FOLDER / f"{self.name}.py"), *(word.format(**known) for word in shlex.split(self.arguments))]

    @property
    def material(self) -> list[str]:
        """The names of what it works on."""
        return [name for _, name, _, _ in Formatter().parse(self.arguments) if name]

    def lacks(self, known: Mapping[str, str]) -> str:
        """The material that is not there, in words."""
        return ", ".join(f"no {name}" for name in self.material if name not in known)


LATE = 2.5  # times as long as it should take


def _no_real_data() -> str:
    return "" if os.environ.get("FCN_EDGE_DATA") else "FCN_EDGE_DATA names no folder with camvid and video in it"


def _no_gpu() -> str:
    return "" if shutil.which("nvidia-smi") or Path("/dev/nvhost-gpu").exists() else "no NVIDIA GPU"


SCRIPTS = (
    Script("limits", "{checkpoint} {data} --size 360x480", 1.0),
    Script("peers", "{checkpoint} {data} --size 360x480 --rounds 7", 2.0),
    Script("limits", "full {data} --size 352x480 --rounds 7 --frames 3", 1.5),
    Script("peers", "full {data} --size 352x480 --rounds 3 --frames 2", 3.0),
    Script("gpu/measure", "{bundle} {data} -o runs/bench/gpu", 9.5, _no_gpu),
    Script("scaling", "--rounds 2", 5.0),
    Script("stream", "{bundle} --rounds 3 --seconds 10", 1.5),
    Script("end_to_end", "{bundle} --seconds 15", 1.2),
    Script("engines", "{checkpoint} {bundle} {data}", 1.0),
    Script("rewrites", "{checkpoint} {data}", 1.0),
    Script("opening", "{bundle} --rounds 5", 1.5),
    Script("spinning", "{bundle} {drive} --rounds 2", 1.5),
    Script("handover", "", 0.8),
    Script("overlay", "", 0.4),
    Script("recording", "--kills 5", 1.2),
    Script("reconnects", "--connections 150", 1.0),
    Script("smoothing", "{bundle}", 1.0, _no_real_data),
    Script("loader", "{data}", 1.5),
    Script("full_size", "{data}", 5.0),
)

# What takes longer than all of these together.
LEFT_OUT = {
    "benchmarks/agreement.py": "a quarter of an hour of comparisons: python -m benchmarks.agreement BUNDLE",
    "benchmarks/soak.py": "half an hour of faults: python -m benchmarks.soak BUNDLE",
    "benchmarks/camvid": "trainings on CamVid: see its README",
}
