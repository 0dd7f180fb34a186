"""What a sink is fed in tests of the web: drawn streets, and a status that changes as a real stream's does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from time import monotonic, monotonic_ns

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets.street import draw_street
from fcn_edge.datasets.synthetic import STREET_LABELS
from runtime.sinks.sink import Segmented, SinkContext
from runtime.sources.frame import Frame
from runtime.stream.status import (
    Counts,
    Reason,
    Second,
    SinkStatus,
    SourceState,
    SourceStatus,
    Spread,
    Status,
    StreamState,
)

STAGES_MS = {"decode": 2.1, "wait": 1.4, "resize": 0.6, "infer": 8.5, "infer.h2d": 0.5, "infer.compute": 7.6,
             "infer.d2h": 0.4, "restore": 0.3, "overlay": 1.8, "encode": 3.2}  # fmt: skip
NO_SIGNAL = Reason("NO_SIGNAL", "no frame for 12 s", "check its power, cable and address")


@lru_cache(maxsize=64)
def street(seed: int, moment: int, size_hw: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return draw_street(seed, 0.1 * moment, size_hw)


def segmented(index: int, source: str = "gate", size_hw: tuple[int, int] = (240, 320), seed: int = 5) -> Segmented:
    """A drawn street with its mask at half its size, as of a frame that came 15 ms ago."""
    image, mask = street(seed, index % 64, size_hw)
    small = np.asarray(cv2.resize(mask, (size_hw[1] // 2, size_hw[0] // 2), interpolation=cv2.INTER_NEAREST), np.uint8)
    now = monotonic_ns()
    frame = Frame(image, index, source, Fraction(index, 25), source, now - 15_000_000, now - 12_000_000)
    return Segmented(frame, mask, dict(STAGES_MS), small, now)


@dataclass
class DrawnStatus:
    """Called, it is a stream's status: figures wander, and every `fault_every_s` a source is gone for a while."""

    sources: tuple[str, ...] = ("gate",)
    fault_every_s: float = math.inf
    began: float = field(default_factory=monotonic)
    frames: int = 0  # segmented so far

    def __call__(self) -> Status:
        uptime = monotonic() - self.began
        is_gone = uptime % self.fault_every_s > 0.75 * self.fault_every_s
        reasons = [NO_SIGNAL] if is_gone else []
        return Status(
            state=StreamState.DEGRADED if reasons else StreamState.RUNNING,
            since_s=uptime % self.fault_every_s,
            reasons=reasons,
            uptime_s=uptime,
            model={
                "name": "bundle", "precision": "int8", "device": "CPU", "size_hw": [120, 160],
                "labels": STREET_LABELS.to_json(),
            },
            sources=[self._source(name, is_gone and name == self.sources[0]) for name in self.sources],
            sinks=[SinkStatus("out.mkv", "ok", self.frames, 2, 0, facts={"free_bytes": 123_000_000_000})],
            received_fps=25.0,
            segmented_fps=24.0 + math.sin(uptime),
            age_at_mask_ms=_spread(16, uptime),
            age_at_wire_ms=_spread(24, uptime),
            stages_ms={stage: _spread(mean, uptime) for stage, mean in STAGES_MS.items()},
            history=[_second(ago, uptime) for ago in range(60, 0, -1)],
            machine={"temperatures_c": {"cpu": 51.5 + 3 * math.sin(uptime / 20)}, "power_mode": "MAXN"},
            last_frame_s=0.03,
        )  # fmt: skip

    def _source(self, name: str, is_gone: bool) -> SourceStatus:
        shares = np.abs(np.sin(monotonic() / 9 + np.arange(len(STREET_LABELS)))) + 0.05
        return SourceStatus(
            name, f"rtsp://***@camera/{name}", True,
            SourceState.BACKOFF if is_gone else SourceState.STREAMING, 12.0,
            NO_SIGNAL if is_gone else None, (240, 320), 25.0, 1, 0,
            Counts(self.frames + 11, self.frames, {"truncated": 3}, {"overwritten": 6, "stale": 1}, 1),
            dict(zip(STREET_LABELS.names, (shares / shares.sum()).tolist(), strict=True)),
        )  # fmt: skip


def _spread(middle_ms: float, uptime: float) -> Spread:
    now = middle_ms * (1 + 0.1 * math.sin(uptime / 3))
    return Spread(250, now, 1.4 * now, 1.9 * now)


def _second(ago_s: int, uptime: float) -> Second:
    wave = 1 + 0.15 * math.sin((uptime - ago_s) / 4)
    stages = {stage: mean * wave for stage, mean in STAGES_MS.items()}
    return Second(ago_s, 24, int(wave > 1.1), stages, 16 * wave)


def drawn_context(status: Callable[[], Status] | None = None) -> SinkContext:
    return SinkContext(STREET_LABELS, "overlay", 0.5, Fraction(25), True, status)
