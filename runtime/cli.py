"""`fcn-edge run` and `fcn-edge bench`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, TypeVar

import click

from fcn_edge.datasets.street import draw_street
from fcn_edge.errors import UsageError
from fcn_edge.files import json_text, write_json
from fcn_edge.images import IMAGE_SUFFIXES, fit_frame
from fcn_edge.interrupt import Interrupt
from fcn_edge.options import SIZE
from fcn_edge.progress import say
from fcn_edge.report import print_table
from runtime.bench import BenchConfig, bench
from runtime.latency import latency_rows
from runtime.overlay import VIEWS
from runtime.segmenter import Segmenter
from runtime.session import ENGINES, open_session
from runtime.sinks.opening import open_sink
from runtime.sinks.sink import SinkContext
from runtime.sources.opening import open_source
from runtime.stream.stream import StreamReport, run_stream

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


@click.command("run", epilog="Example: fcn-edge run drive.mp4 out.mkv masks/%06d.png --model bundle")
@click.argument("source")
@click.argument("sinks", nargs=-1, metavar="[SINK ...]")
@click.option("-m", "--model", type=MODEL, required=True, help="A bundle, an ONNX file or an engine.")
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
def run_command(
    source: str,
    sinks: tuple[str, ...],
    model: Path,
    view: str,
    alpha: float,
    **serving: Any,
) -> None:
    """Segment SOURCE into every SINK, with a latency table at the end.

    SOURCE: a video file, a picture, a folder of pictures, or a camera (0, /dev/video0).
    SINK: display://, out.mkv, out.mp4, masks/%06d.png, frames/%06d.jpg, json:-, json:FILE or null: (the default).
    """
    _require_distinct(source, sinks)
    interrupt = Interrupt("frame")
    with ExitStack() as stack:
        stack.enter_context(interrupt.listening())
        frames = stack.enter_context(closing(open_source(source)))
        session = stack.enter_context(open_session(model, **serving))
        say(f"model {model}: {session.facts.precision} on {session.device}")
        context = SinkContext(session.facts.labels, view, alpha, frames.rate)
        opened = [stack.enter_context(closing(open_sink(sink, context))) for sink in sinks or ("null:",)]
        report = run_stream(frames, Segmenter(session), opened, interrupt)
    _tell(report, ", stopped before its end" if interrupt.wished else "")


def _require_distinct(source: str, sinks: tuple[str, ...]) -> None:
    """No sink may overwrite the source, nor two write one file."""
    paths = [Path(sink.removeprefix("json:")).resolve() for sink in sinks]
    twice = next((sink for sink, path in zip(sinks, paths, strict=True) if paths.count(path) > 1), None)
    if twice:
        raise UsageError(f"wanted every sink once, found {twice} twice; leave one out")
    given, taken = Path(source).resolve(), dict(zip(paths, sinks, strict=True))
    folders = {path.parent: sink for path, sink in taken.items() if path.suffix.lower() in IMAGE_SUFFIXES}
    clash = taken.get(given) or (folders.get(given) if given.is_dir() else None)
    if clash:
        raise UsageError(f"wanted sinks beside the source {source}, found {clash} in its place; write elsewhere")


def _tell(report: StreamReport, stopped: str) -> None:
    bad = f", {report.bad} bad left out" if report.bad else ""
    dropped = f", {report.dropped} dropped" if report.dropped else ""
    say(f"{report.segmented} of {report.received} frames segmented{bad}{dropped}{stopped}, {report.fps:.1f} fps")
    if report.segmented:
        print_table("milliseconds per frame", latency_rows(report.times.summary()), stderr=True)


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
