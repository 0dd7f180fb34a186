"""What a bench found, for people: the verdict, under which conditions, what it cost; in lines, and with charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fcn_edge.report import Section
from runtime.bench.histogram_chart import histogram_chart
from runtime.bench.measure import Bench
from runtime.bench.result import OPEN, TOTAL, BenchResult, ColdStart, Energy, Memory
from runtime.bench.samples import GPU_SUM
from runtime.bench.stage_chart import stage_chart
from runtime.bench.time_chart import time_chart
from runtime.latency import latency_rows

MIB = 1 << 20
NOTABLY = 1.05  # times
NOISY_CORES = 0.1  # of other processes: less is what any system does beside


def title(result: BenchResult) -> str:
    """What was measured, on what."""
    height, width = result.settings.frame_hw
    return (
        f"{result.model.name} ({result.settings.precision}), frames {height}x{width}, {result.device}, "
        f"{result.machine['processor']}"
    )


def lines(result: BenchResult) -> list[str]:
    """The verdict first; a line for each thing that the machine tells."""
    return [
        verdict(result),
        *_open_loop(result),
        *_gpu(result),
        *conditions(result.state.get("during", {})),
        *_costs(result),
    ]


def plot_sections(bench: Bench) -> list[Section]:
    """For `plot_file`: latency over time, how often each came, where the time goes, with the words of the terminal."""
    result, samples = bench.result, bench.samples
    return [
        Section("Latency", "; ".join(lines(result)), latency_rows(result.stages_ms)),
        Section("Over time", svg=time_chart(samples.came_s, samples.totals_ms)),
        Section("How often", svg=histogram_chart(samples.totals_ms, result.stages_ms[TOTAL])),
        Section("Where the time goes", svg=stage_chart(samples.stages_ms)),
    ]


def verdict(result: BenchResult) -> str:
    total = result.stages_ms[TOTAL]
    p99 = "" if total["p99"] is None else f", {total['p99']:.1f} ms p99"
    steady = "stable" if result.stable else "not stable"
    return f"{total['p50']:.1f} ms p50{p99}, {result.fps:.1f} fps; {steady}: {result.stability}"


def _open_loop(result: BenchResult) -> Iterator[str]:
    if result.mode == OPEN:
        yield (
            f"by the clock at {result.rate:g} fps: of {result.frames} frames {result.dropped} made way for newer ones, "
            f"{result.late} had no mask as new when the next was due"
        )


def _gpu(result: BenchResult) -> Iterator[str]:
    if GPU_SUM in result.stages_ms:
        yield f"{GPU_SUM} is what trtexec calls latency: H2D + compute + D2H"


def conditions(state: Mapping[str, Any]) -> Iterator[str]:
    """What the figures must be read with; `state` as of `during`."""
    told = [*_clocks(state), *_heat(state), *_power_mode(state), *_noise(state)]
    if told:
        yield ", ".join(told)
    if "slowed" in state:
        yield state["slowed"]
    elif state.get("throttle"):
        yield f"held back at times: {', '.join(state['throttle'])}"


def _clocks(state: Mapping[str, Any]) -> Iterator[str]:
    for name, clock in state.get("clocks", {}).items():
        least, most = clock["least_mhz"], clock["most_mhz"]
        range_ = f"{least}" if least == most else f"{least} to {most}"
        yield f"{name.upper()} at {range_}" + (f" of {clock['max_mhz']} MHz" if clock["max_mhz"] else " MHz")


def _heat(state: Mapping[str, Any]) -> Iterator[str]:
    zones = state.get("temperatures_c", {})
    if zones:
        hottest = max(zones, key=lambda zone: zones[zone])
        yield f"{zones[hottest]:.0f} C at most ({hottest})"


def _power_mode(state: Mapping[str, Any]) -> Iterator[str]:
    if "power_mode" in state:
        yield f"power mode {state['power_mode']}"


def _noise(state: Mapping[str, Any]) -> Iterator[str]:
    if state.get("others_cores", 0.0) > NOISY_CORES:
        yield f"other processes kept {state['others_cores']:.1f} cores busy"


def _costs(result: BenchResult) -> Iterator[str]:
    if memory := "; ".join(_memory(result.memory)):
        yield memory
    if result.energy:
        yield ", ".join(map(energy_told, result.energy))
    if result.cold_start:
        yield cold_start_told(result.cold_start)


def _memory(memory: Memory) -> Iterator[str]:
    whole, serving = memory.process_bytes, memory.serving_bytes
    if whole or serving:
        opening = f", {_mib(whole)} to open" if whole and serving and whole > NOTABLY * serving else ""
        yield f"memory {_mib(serving or whole or 0)} at most{opening}"
    if memory.gpu_bytes is not None:
        yield f"GPU memory {_mib(memory.gpu_bytes)} at most, of all its processes"


def _mib(count: int) -> str:
    return f"{count / MIB:.0f} MiB"


def energy_told(energy: Energy) -> str:
    idle = "" if energy.idle_watts is None else f", {energy.idle_watts:.1f} W at rest"
    return f"{energy.joules_per_frame:.3g} J a frame ({energy.source}: {energy.watts:.1f} W{idle})"


def cold_start_told(start: ColdStart) -> str:
    parts = f"imports {start.import_s:.2f}, open {start.open_s:.2f}, mask {start.first_mask_s:.2f}"
    return f"cold start to the first mask {start.total_s:.2f} s: {parts} (median of {start.starts})"
