"""`fcn-edge run` and `fcn-edge bench`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from fcn_edge.datasets.street import draw_street
from fcn_edge.files import json_text, write_json
from fcn_edge.images import fit_frame
from fcn_edge.options import SIZE
from fcn_edge.progress import say
from fcn_edge.report import print_table
from runtime.bench import BenchConfig, bench
from runtime.latency import latency_rows
from runtime.overlay import VIEWS
from runtime.run import RunOptions, run
from runtime.segmenter import Segmenter
from runtime.session import ENGINES, open_session
from runtime.sinks.sink import SinkContext
from runtime.sources.naming import name_sources
from runtime.stream.report import StreamReport

MODEL = click.Path(path_type=Path)

# What `open_session` takes beside the model, by its own names.
SERVING = (
    click.option(
        "--engine",
        type=click.Choice(ENGINES),
        default="auto",
        show_default=True,
        help="auto: of a bundle the fastest here, measured once.",
    ),
    click.option("--precision", default="auto", show_default=True, help="Which file of the bundle."),
    click.option("--threads", type=click.IntRange(1), help="Of an engine on the CPU; default: all cores."),
    click.option(
        "--trust-engine", is_flag=True, help="Open a TensorRT engine that fcn-edge did not build: it is code, and runs."
    ),
    click.option(
        "--cuda-graph/--no-cuda-graph",
        default=True,
        show_default=True,
        help="Of TensorRT: launch a frame's work as one.",
    ),
)

Command = TypeVar("Command", bound=Callable[..., None])


def serving_options(command: Command) -> Command:
    """A command with the options of SERVING, in their order."""
    for option in reversed(SERVING):
        command = option(command)
    return command


@click.command("run", epilog="Example: fcn-edge run rtsp://camera/stream http://127.0.0.1:8080 --model bundle")
@click.argument("source")
@click.argument("sinks", nargs=-1, metavar="[SINK ...]")
@click.option("-m", "--model", type=MODEL, required=True, help="A bundle, an ONNX file or an engine.")
@click.option("--also", multiple=True, metavar="SOURCE", help="Another source, for the same model; may be repeated.")
@serving_options
@click.option(
    "--view",
    type=click.Choice(VIEWS),
    default="overlay",
    show_default=True,
    help="What videos, JPEGs and the window show.",
)
@click.option(
    "--alpha", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="The mask's share of the overlay."
)
@click.option("--max-fps", type=click.FloatRange(0, min_open=True), help="Frames a second of each camera, at most.")
@click.option("--fail-fast", is_flag=True, help="End with exit code 3 when a camera is lost or not there.")
def run_command(
    source: str,
    sinks: tuple[str, ...],
    model: Path,
    also: tuple[str, ...],
    view: str,
    alpha: float,
    max_fps: float | None,
    fail_fast: bool,
    **serving: Any,
) -> None:
    """Segment SOURCE into every SINK, with a latency table at the end.

    SOURCE: a video file, a picture, a folder of pictures; or a camera: 0, /dev/video0, csi://0, rtsp://HOST/PATH,
    http://HOST/PATH, test://. NAME=SOURCE gives a camera a name.

    SINK: display://, http://HOST:PORT, out.mkv, out.mp4, masks/%06d.png, frames/%06d.jpg, json:-, json:FILE or null:.
    """
    context = partial(SinkContext, view=view, alpha=alpha)
    named = name_sources([source, *also])
    run(RunOptions(named, sinks, model, context, serving, max_fps, retry=not fail_fast), _tell)


def _tell(report: StreamReport, was_stopped: bool) -> None:
    bad = f", {report.bad} bad left out" if report.bad else ""
    dropped = "".join(f", {count} dropped as {cause}" for cause, count in report.dropped.items() if count)
    stopped = ", stopped before its end" if was_stopped else ""
    say(f"{report.segmented} of {report.received} frames segmented{bad}{dropped}{stopped}, {report.fps:.1f} fps")
    if report.unaccounted:
        say(f"our bug: nobody knows what became of {report.unaccounted} frames; please report it")
    if report.segmented:
        print_table("milliseconds per frame", latency_rows(report.stages_ms), stderr=True)


@click.command("bench", epilog="Example: fcn-edge bench bundle --precision int8-cpu")
@click.argument("model", type=MODEL)
@serving_options
@click.option("--frame", "frame_hw", type=SIZE, help="Size of the camera's frames; default: the model's.")
@click.option("--frames", type=click.IntRange(1), default=BenchConfig.frames, show_default=True, help="Measured.")
@click.option("--warmup", type=click.FloatRange(0), default=BenchConfig.warmup_s, show_default=True, help="Seconds.")
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path), help="Also write the figures to this file; - for stdout."
)
def bench_command(
    model: Path,
    frame_hw: tuple[int, int] | None,
    frames: int,
    warmup: float,
    json_path: Path | None,
    **serving: Any,
) -> None:
    """Measure the latency of MODEL (a bundle, an ONNX file or an engine) here: a closed loop over one drawn frame."""
    with open_session(model, **serving) as session:
        frame = fit_frame(draw_street(0)[0], frame_hw or session.facts.size_hw)
        figures = bench(Segmenter(session), frame, BenchConfig(warmup_s=warmup, frames=frames))
    height, width = figures["frame_hw"]
    where = f"{figures['device']}, {figures['machine']['processor']}"
    title = f"{model} ({figures['precision']}), frames {height}x{width}, {where}"
    if str(json_path) == "-":
        click.echo(json_text(figures))
        return
    print_table(f"{title}: {figures['fps']:.1f} fps, milliseconds", latency_rows(figures["stages_ms"]))
    if json_path is not None:
        write_json(json_path, figures)
