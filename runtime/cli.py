"""`fcn-edge run`."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import click

from fcn_edge.options import NumberRange
from fcn_edge.progress import say
from fcn_edge.report import print_table
from runtime.capture.limits import Limits
from runtime.latency import latency_rows
from runtime.overlay import VIEWS
from runtime.run import RunOptions, run
from runtime.run_config import RunConfig, chosen_sources, config_option
from runtime.serving_options import serving_options
from runtime.sinks.recording import RecordingOptions
from runtime.sinks.sink import SinkContext
from runtime.stream.report import StreamReport
from runtime.web.options import WebOptions, is_host_name

MODEL = click.Path(path_type=Path)
GIB = 1 << 30
SCREENS = ("display://", "http://")  # they show the newest frame: one that made room for it is no loss


class HostName(click.ParamType[str]):
    """As a type, so that a settings file's is refused with its line."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not is_host_name(str(value)):
            self.fail(f"{value!r} is no name as in jetson.local, without scheme and port", param, ctx)
        return str(value)


@click.command("run", epilog="Example: fcn-edge run rtsp://camera/stream http://127.0.0.1:8080 --model bundle")
@click.argument("source", required=False)
@click.argument("sinks", nargs=-1, metavar="[SINK ...]")
@click.option("-m", "--model", type=MODEL, required=True, help="A bundle, an ONNX file or an engine.")
@click.option("--also", multiple=True, metavar="SOURCE", help="One more source for the same model; repeatable.")
@config_option
@click.option("--check", is_flag=True, help="Only tell whether the configuration is one; open nothing.")
@serving_options
@click.option(
    "--view",
    type=click.Choice(VIEWS),
    default="overlay",
    show_default=True,
    help="What videos, JPEGs and the window show.",
)
@click.option(
    "--alpha", type=NumberRange(0, 1), default=0.5, show_default=True, help="The mask's share of the overlay."
)
@click.option("--legend/--no-legend", default=True, show_default=True, help="Name the classes in the picture.")
@click.option(
    "--smooth",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Masks in a row that must agree before a pixel of a still picture changes its class.",
)
@click.option("--max-fps", type=NumberRange(0, min_open=True), help="Frames a second of each camera, at most.")
@click.option("--fail-fast", is_flag=True, help="End with exit code 3 when a camera is lost or not there.")
@click.option(
    "--stall-after",
    type=NumberRange(0.5),
    default=Limits.stall_s,
    show_default=True,
    help="Seconds without a picture after which a camera is connected anew.",
)
@click.option(
    "--connect-within",
    type=NumberRange(0.5),
    default=Limits.connect_s,
    show_default=True,
    help="Seconds that a camera may take to its first picture.",
)
@click.option(
    "--segment",
    type=NumberRange(1),
    default=RecordingOptions.segment_s,
    show_default=True,
    help="Seconds per file of a recording whose name holds the time.",
)
@click.option("--keep-gib", type=NumberRange(0, min_open=True), help="Of such recordings; the oldest are deleted.")
@click.option("--free-gib", type=NumberRange(0), help="Left on the disk of recordings; default 1, or a twentieth.")
@click.option("--snapshots", type=MODEL, default=".", help="Folder of the pictures that the window's key s saves.")
@click.option("--token-file", type=MODEL, help="Of the live page, wherever it listens: the secret that viewers need.")
@click.option(
    "--max-viewers",
    type=click.IntRange(1),
    default=WebOptions.max_viewers,
    show_default=True,
    help="Of each source on the live page.",
)
@click.option("--allow-host", multiple=True, type=HostName(), help="A name under which browsers reach the live page.")
@click.option("--no-token", is_flag=True, help="Anybody in the network may watch the live page.")
def run_command(
    source: str | None,
    sinks: tuple[str, ...],
    model: Path,
    also: tuple[str, ...],
    config: RunConfig | None,
    check: bool,
    view: str,
    alpha: float,
    legend: bool,
    smooth: int,
    max_fps: float | None,
    fail_fast: bool,
    stall_after: float,
    connect_within: float,
    segment: float,
    keep_gib: float | None,
    free_gib: float | None,
    snapshots: Path,
    token_file: Path | None,
    max_viewers: int,
    allow_host: tuple[str, ...],
    no_token: bool,
    **serving: Any,
) -> None:
    """Segment SOURCE into every SINK, with a latency table at the end.

    SOURCE: a video file, a picture, a folder of pictures; or a camera: 0, /dev/video0, csi://0, rtsp://HOST/PATH,
    http://HOST/PATH, test://. NAME=SOURCE gives a camera a name.

    SINK: display://, http://HOST:PORT (the live page), out.mkv, out.mp4, masks/%06d.png, masks/%06d.npz,
    frames/%06d.jpg, json:-, json:FILE, null:; of a camera also rec/%Y%m%d-%H%M%S.mkv. {source} in a name stands for
    the source's.
    """
    recording = RecordingOptions(segment, _bytes(free_gib), _bytes(keep_gib))
    given = [source, *also]
    if config and source and source.startswith(("null:", "json:", "display:")):  # the file has the sources
        given, sinks = list(also), (source, *sinks)
    sources = chosen_sources(given, config)
    web = WebOptions(
        token_file=token_file,
        allowed_hosts=allow_host,
        allow_no_token=no_token,
        max_viewers=max_viewers * len(sources),  # a viewer's page asks for each
    )
    options = RunOptions(
        sources,
        sinks,
        model,
        partial(
            SinkContext,
            view=view,
            alpha=alpha,
            has_legend=legend,
            recording=recording,
            web=web,
            snapshots=snapshots,
        ),
        serving,
        smooth=smooth,
        most_fps=max_fps,
        retry=not fail_fast,
        limits=Limits(connect_s=connect_within, stall_s=stall_after),
    )
    with config.naming(sources, sinks) if config else nullcontext():
        options.require_possible()
    if check:
        options.require_there()
        say(f"{config or 'the command line'} can be run")
    else:
        run(options, _tell)


def _bytes(gib: float | None) -> int | None:
    return None if gib is None else int(gib * GIB)


def _tell(report: StreamReport, was_stopped: bool) -> None:
    bad = f", {report.bad} bad left out" if report.bad else ""
    dropped = "".join(f", {count} dropped as {cause}" for cause, count in report.dropped.items() if count)
    stopped = ", stopped before its end" if was_stopped else ""
    say(f"{report.segmented} of {report.received} frames segmented{bad}{dropped}{stopped}, {report.fps:.1f} fps")
    for sink in report.sinks:
        if sink.dropped and not sink.name.startswith(SCREENS):
            say(f"sink {sink.name}: {sink.written} written, {sink.dropped} lost")
    if report.unaccounted and not report.abandoned:  # a model that hangs holds the last one
        say(f"our bug: nobody knows what became of {report.unaccounted} frames; please report it")
    if report.segmented:
        print_table("milliseconds per frame", latency_rows(report.stages_ms), stderr=True)
