"""A bench of one opened model: at rest, warm-up, then frames in one of the two loops until the figures are stable."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import sleep

from fcn_edge import __version__
from fcn_edge.files import sha256_of
from fcn_edge.progress import say
from runtime.bench.contestants import engine_of
from runtime.bench.during import during
from runtime.bench.loops import Answer, closed_loop, open_loop, warm_up
from runtime.bench.memory import peak_bytes, reset_peak
from runtime.bench.power import mean_watts
from runtime.bench.result import CLOSED, OPEN, BenchResult, BenchSettings, Energy, Memory, ModelDigest, now_told
from runtime.bench.samples import Samples
from runtime.bench.served_file import served_file
from runtime.bench.shots import Shot, Shots
from runtime.bench.watch import Watch
from runtime.gpu_state import nvml_gpu
from runtime.machine import machine
from runtime.segmenter import Segmenter
from runtime.session_protocol import Session

FEWEST_FRAMES = 200  # unless told otherwise: two of them lie beyond a p99
SIGN_OF_LIFE_S = 10.0  # a moving bar would take time from what is measured
REST_S = 1.0  # of looking at the power at rest, where anybody tells it


@dataclass(frozen=True)
class BenchConfig:
    """How frames come, and for how long; warm-up ends when both its limits are met."""

    rate: float | None = None  # frames a second by the clock; None: as fast as it can go
    warmup_frames: int = 10
    warmup_s: float = 1.0  # clocks, caches and thread pools settle within a second
    frames: int | None = None  # exactly so many; None: until the figures are stable
    most_s: float = 30.0
    window_s: float = 1.0


@dataclass(frozen=True)
class Bench:
    """What was found, and the samples behind it, for plots."""

    result: BenchResult
    samples: Samples


@dataclass(frozen=True)
class Seen:
    """What was seen of the machine around the loop and beside it."""

    rest: Watch  # the model open, nothing to do
    beside: Watch
    after: Watch
    memory: Memory


def bench(
    segmenter: Segmenter,
    shots: Shots,
    model: Path,
    config: BenchConfig = BenchConfig(),
    *,
    threads: int | None = None,
    root: Path = Path("/"),
    is_wished: Callable[[], bool] = lambda: False,
) -> Bench:
    """Pass frames again and again, at least one; the user's wish to stop ends it early.

    `model` and `threads` are what the segmenter's session was opened of. Linux's files are read below `root`.
    """
    digest, settings = _digest(model, segmenter.session), _settings(segmenter.session, shots(), config, threads)
    with nvml_gpu() as gpu:
        with Watch(root, gpu) as rest:
            rest.wait_for_a_look()
            sleep(REST_S if any(look.sources for look in rest.power) else 0.0)
        warm_up(segmenter, shots, config.warmup_frames, config.warmup_s, is_wished)
        opening_bytes, is_reset = peak_bytes(root), reset_peak(root)
        with Watch(root, gpu) as beside:
            samples = measured(segmenter, shots, config, is_wished)
        peak = peak_bytes(root)
        with Watch(root, gpu) as after:
            after.wait_for_a_look()
    memory = Memory(
        max(opening_bytes or 0, peak or 0) or None, peak if is_reset else None, max(beside.gpu_bytes, default=None)
    )
    result = _result(settings, digest, segmenter.session.device, config, samples, Seen(rest, beside, after, memory))
    return Bench(result, samples)


def measured(
    segmenter: Segmenter, shots: Shots, config: BenchConfig, is_wished: Callable[[], bool] = lambda: False
) -> Samples:
    """The loop alone, without a warm-up."""
    samples, told_s = Samples(config.window_s), 0.0
    for answer in _answers(segmenter, shots, config):
        samples.add(answer)
        if is_wished() or _is_enough(samples, config):
            break
        if samples.seconds - told_s >= SIGN_OF_LIFE_S and samples.windows_ms:
            told_s = samples.seconds
            say(f"measuring: {told_s:.0f} s so far, {samples.windows_ms[-1]:.1f} ms")
    return samples


def _answers(segmenter: Segmenter, shots: Shots, config: BenchConfig) -> Iterator[Answer]:
    if config.rate is None:
        return closed_loop(segmenter, shots)
    return open_loop(segmenter, shots, config.rate, config.frames or math.ceil(config.most_s * config.rate))


def _is_enough(samples: Samples, config: BenchConfig) -> bool:
    """The open loop ends by itself, with the last frame that is due: to stop by the clock would leave out those that
    came while the model paused."""
    if config.frames:
        return samples.frames >= config.frames
    if config.rate is None and samples.seconds >= config.most_s:
        return True
    return samples.frames >= FEWEST_FRAMES and samples.is_stable


def _digest(model: Path, session: Session) -> ModelDigest:
    """Of the file behind a session that was opened of `model`."""
    precision = session.facts.precision
    file = served_file(model, engine_of(session), precision)
    assert file, f"a session of {precision}, which {model} does not hold"
    return ModelDigest(file.path.name, sha256_of(file.path), file.path.stat().st_size)


def _settings(session: Session, shot: Shot, config: BenchConfig, threads: int | None) -> BenchSettings:
    return BenchSettings(
        engine=engine_of(session),
        precision=session.facts.precision,
        threads=threads,
        frame_hw=(shot.image.shape[0], shot.image.shape[1]),
        model_hw=session.facts.size_hw,
        warmup_s=config.warmup_s,
        warmup_frames=config.warmup_frames,
        frames=config.frames,
        most_s=config.most_s,
        window_s=config.window_s,
    )


def _result(
    settings: BenchSettings, digest: ModelDigest, device: str, config: BenchConfig, samples: Samples, seen: Seen
) -> BenchResult:
    verdict = samples.stability()
    return BenchResult(
        date=now_told(),
        version=__version__,
        mode=CLOSED if config.rate is None else OPEN,
        rate=config.rate,
        settings=settings,
        model=digest,
        device=device,
        machine=machine(),
        stages_ms=samples.summary(),
        windows_ms=tuple(samples.windows_ms),
        stable=verdict.stable,
        stability=verdict.why,
        fps=samples.masks / samples.seconds,
        frames=samples.frames,
        dropped=samples.frames - samples.masks,
        late=samples.late(config.rate) if config.rate else 0,
        state={"before": seen.rest.last(), "during": during(seen.beside), "after": seen.after.last()},
        energy=_energy(seen, samples),
        memory=seen.memory,
    )


def _energy(seen: Seen, samples: Samples) -> tuple[Energy, ...]:
    idle, busy = mean_watts(seen.rest.power), mean_watts(seen.beside.power)
    frame_s = samples.seconds / samples.masks
    return tuple(Energy(source, watts, idle.get(source), watts * frame_s) for source, watts in busy.items())
