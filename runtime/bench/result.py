"""What a bench found, with all that its figures must be read with; and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

SCHEMA_VERSION = 1

CLOSED, OPEN = "closed", "open"  # a frame follows the last mask; a frame comes by the clock

TOTAL = "total"  # the row of `stages_ms` that latency is told of
HW = tuple[int, int]


@dataclass(frozen=True)
class BenchSettings:
    """What was measured and for how long."""

    engine: str  # the one that computed, by its name in `runtime.engines`
    precision: str
    threads: int | None  # asked for; None: as many as the engine's library takes
    frame_hw: HW  # of the first frame
    model_hw: HW
    warmup_s: float  # the warm-up ends when both its limits are met
    warmup_frames: int
    frames: int | None  # exactly so many were asked for; None: until stable, `most_s` at most
    most_s: float
    window_s: float


@dataclass(frozen=True)
class ModelDigest:
    """The file that was opened: of a bundle, the one that was chosen."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Energy:
    """What the board, the GPU or the processor told of its power while frames were measured."""

    source: str  # whose power it is: a Jetson's rail "VDD_IN", "GPU", "package-0"; others may have drawn from it too
    watts: float
    idle_watts: float | None  # before, with the model open and at rest
    joules_per_frame: float  # per mask, the power at rest included


@dataclass(frozen=True)
class Memory:
    """Peaks. What nobody tells is None."""

    process_bytes: int | None = None  # from the process's start on: to open a model may take more than to serve it
    serving_bytes: int | None = None  # while frames were measured
    gpu_bytes: int | None = None  # of all processes on the GPU, while frames were measured


@dataclass(frozen=True)
class ColdStart:
    """Seconds from exec to the first mask of a fresh process, its files in the page cache: the median of `starts`."""

    total_s: float
    import_s: float  # the interpreter and our imports
    open_s: float
    first_mask_s: float
    starts: int


@dataclass(frozen=True)
class BenchResult:
    """One bench of one model.

    `stages_ms`: stage -> n, mean, p50, p90, p95, p99, max. `total` is the sum of a frame's stages in the closed loop;
    in the open loop it is counted for every frame from when it was due to the first mask that is of it or of a newer
    frame. `windows_ms` are the medians of `total` of one stretch of time after the other, of `settings.window_s`, or
    longer where that holds too few frames.
    """

    date: str  # ISO 8601, with the offset from UTC
    version: str  # fcn-edge's
    mode: str  # closed, open
    rate: float | None  # frames a second in the open loop
    settings: BenchSettings
    model: ModelDigest
    device: str
    machine: Mapping[str, Any]
    stages_ms: Mapping[str, Mapping[str, float | None]]
    windows_ms: Sequence[float]
    stable: bool
    stability: str  # why, in words
    fps: float  # masks a second
    frames: int  # that were due, or taken in the closed loop
    dropped: int = 0  # of them, for a newer one: open loop alone
    late: int = 0  # of them, without a mask when the next was due: open loop alone
    state: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of the machine: before, during, after
    energy: Sequence[Energy] = ()  # of each that tells its power; they may overlap
    memory: Memory = Memory()
    cold_start: ColdStart | None = None  # where it was asked for

    def to_json(self) -> dict[str, Any]:
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, content: Any) -> BenchResult:
        """Back from `to_json`, by way of JSON; raises KeyError, TypeError or ValueError."""
        told = dict(content)
        if (version := told.pop("schema_version")) != SCHEMA_VERSION:
            raise ValueError(f"schema {version}, not {SCHEMA_VERSION}")
        settings = dict(told["settings"])
        settings |= {name: _hw(settings[name]) for name in ("frame_hw", "model_hw")}
        return cls(
            **{
                **told,
                "settings": BenchSettings(**settings),
                "model": ModelDigest(**told["model"]),
                "windows_ms": tuple(float(value) for value in told["windows_ms"]),
                "energy": tuple(Energy(**one) for one in told["energy"]),
                "memory": Memory(**told["memory"]),
                "cold_start": ColdStart(**told["cold_start"]) if told["cold_start"] else None,
            }
        )


def now_told() -> str:
    """ISO 8601, with the offset from UTC."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _hw(sides: Sequence[Any]) -> HW:
    height, width = (int(side) for side in sides)
    return height, width
