"""`fcn-edge bench`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from fcn_edge.datasets.street import draw_street
from fcn_edge.files import json_text, require_writable, write_json
from fcn_edge.images import fit_frame
from fcn_edge.interrupt import Interrupt
from fcn_edge.options import SIZE, NumberRange
from fcn_edge.progress import say
from fcn_edge.report import print_table
from runtime.bench.cold_start import cold_start
from runtime.bench.measure import Bench, BenchConfig, bench
from runtime.bench.plot import plot_sections
from runtime.bench.plot_file import require_plot, save_plot
from runtime.bench.result import BenchResult
from runtime.bench.told import lines, title
from runtime.latency import latency_rows
from runtime.segmenter import Segmenter
from runtime.serving_options import serving_options
from runtime.session import open_session

FILE = click.Path(path_type=Path)


@click.command(
    "bench",
    epilog="Example: fcn-edge bench bundle --precision int8-cpu; at a camera's pace: fcn-edge bench bundle --rate 25",
)
@click.argument("model", type=FILE)
@serving_options
@click.option("--rate", type=NumberRange(0, min_open=True), help="Frames a second by the clock, as a camera's.")
@click.option("--frame", "frame_hw", type=SIZE, help="Size of the camera's frames; default: the model's.")
@click.option("--frames", type=click.IntRange(1), help="Measure so many; default: 200 and more, until stable.")
@click.option(
    "--seconds", type=NumberRange(0, min_open=True), default=BenchConfig.most_s, show_default=True, help="At most."
)
@click.option("--warmup", type=NumberRange(0), default=BenchConfig.warmup_s, show_default=True, help="Seconds ...")
@click.option(
    "--warmup-frames",
    type=click.IntRange(0),
    default=BenchConfig.warmup_frames,
    show_default=True,
    help="... and frames before it.",
)
@click.option("--cold-start", "with_cold_start", is_flag=True, help="Also start three processes afresh.")
@click.option("--plot", type=FILE, help="Draw FILE.html or FILE.png.")
@click.option("--json", "json_path", type=FILE, help="Also write the figures to this file; - for stdout.")
def bench_command(
    model: Path,
    rate: float | None,
    frame_hw: tuple[int, int] | None,
    frames: int | None,
    seconds: float,
    warmup: float,
    warmup_frames: int,
    with_cold_start: bool,
    plot: Path | None,
    json_path: Path | None,
    **serving: Any,
) -> None:
    """Measure the latency of MODEL (a bundle, an ONNX file or an engine) on this machine.

    One drawn frame is segmented again and again: each as soon as the last one's mask is there (how fast it can go), or
    with --rate by the clock, newest first, as a camera's frames are. Then `total` counts for every frame from when it
    was due to the first mask that is of it or of a newer one, so a pause shows with all frames that came meanwhile.

    The figures are stable when the medians of three windows in a row, of a second each, agree within 10 %.

    Where trtexec's words are used they mean the same: latency is H2D + compute + D2H (our infer.gpu). Its throughput
    overlaps frames, ours does not; from TensorRT 11 on it leaves out transfers and spins unless told otherwise.
    """
    if plot:
        require_plot(plot)
    if json_path and str(json_path) != "-":
        require_writable(json_path.absolute().parent)
    config = BenchConfig(rate, warmup_frames, warmup, frames, seconds)
    interrupt = Interrupt("frame")
    with open_session(model, **serving) as session, interrupt.listening():
        frame = fit_frame(draw_street(0)[0], frame_hw or session.facts.size_hw)
        found = bench(
            Segmenter(session), frame, model, config, threads=serving["threads"], is_wished=lambda: interrupt.wished
        )
    if interrupt.wished:  # under no name where what was cut short could be taken for the whole
        _print(found.result)
        raise KeyboardInterrupt
    if with_cold_start:
        found = replace(found, result=replace(found.result, cold_start=cold_start(model, serving)))
    _tell(found, json_path, plot)


def _tell(found: Bench, json_path: Path | None, plot: Path | None) -> None:
    figures = found.result.to_json()
    if str(json_path) == "-":
        click.echo(json_text(figures))
    else:
        _print(found.result)
        if json_path:
            write_json(json_path, figures)
    if plot:
        save_plot(plot, title(found.result), plot_sections(found))
        say(f"drawn: {plot}")


def _print(result: BenchResult) -> None:
    print_table(f"{title(result)}: milliseconds", latency_rows(result.stages_ms))
    for line in lines(result):
        click.echo(line)
