"""`fcn-edge bench`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from fcn_edge.datasets import KINDS
from fcn_edge.datasets.street import draw_street
from fcn_edge.errors import ModelError, UsageError
from fcn_edge.files import json_text, require_writable, write_json
from fcn_edge.images import fit_frame
from fcn_edge.interrupt import Interrupt
from fcn_edge.options import SIZE, NumberRange
from fcn_edge.progress import say
from fcn_edge.report import print_table
from runtime.bench.card_cli import AgainstOptions, bench_against, card_options, keep_card
from runtime.bench.cold_start import cold_start
from runtime.bench.compare_cli import CompareOptions, compare_models, compare_options
from runtime.bench.contestants import Contestant, contestant_served
from runtime.bench.measure import Bench, BenchConfig, bench
from runtime.bench.modes import COMPARE, is_given, mode_of
from runtime.bench.plot_file import require_plot, save_plot
from runtime.bench.result import BenchResult
from runtime.bench.shots import Shots, one_frame
from runtime.bench.shots import pictures as shots_of
from runtime.bench.spells import Pace
from runtime.bench.told import lines, plot_sections, title
from runtime.latency import latency_rows
from runtime.segmenter import Segmenter
from runtime.serving_options import serving_options
from runtime.session import open_session

FILE = click.Path(path_type=Path)


@click.command(
    "bench",
    epilog=f"KIND:FOLDER is one of {KINDS}.\n\n"
    "Example: fcn-edge bench bundle --precision int8-cpu; at a camera's pace: fcn-edge bench bundle --rate 25; "
    "to choose: fcn-edge bench --compare bundle bundle,fp32,onnxruntime other --data camvid:data/camvid",
)
@click.argument("models", nargs=-1, required=True, metavar="MODEL ...")
@serving_options
@click.option("--rate", type=NumberRange(0, min_open=True), help="Frames a second by the clock, as a camera's.")
@click.option("--frame", "frame_hw", type=SIZE, help="Size of the drawn frame; default: the model's.")
@click.option("--pictures", type=FILE, help="Instead, a picture or a folder of them, decoded anew for each frame.")
@click.option("--frames", type=click.IntRange(1), help="Measure so many; default: 200 and more, until stable.")
@click.option(
    "--seconds",
    type=NumberRange(0, min_open=True),
    default=BenchConfig.most_s,
    show_default=f"{BenchConfig.most_s:g}, with --compare {Pace.limit_s:g}",
    help="At most; --compare measures three spells in any case.",
)
@click.option("--warmup", type=NumberRange(0), default=BenchConfig.warmup_s, show_default=True, help="Seconds ...")
@click.option(
    "--warmup-frames",
    type=click.IntRange(0),
    default=BenchConfig.warmup_frames,
    show_default=True,
    help="... and frames before it.",
)
@compare_options
@card_options
@click.option("--cold-start", "with_cold_start", is_flag=True, help="Also start three processes afresh; --card does.")
@click.option("--plot", type=FILE, help="Draw FILE.html or FILE.png.")
@click.option("--json", "json_path", type=FILE, help="Also write the figures to this file; - for stdout.")
def bench_command(
    models: tuple[str, ...],
    rate: float | None,
    frame_hw: tuple[int, int] | None,
    pictures: Path | None,
    frames: int | None,
    seconds: float,
    warmup: float,
    warmup_frames: int,
    compare: bool,
    data: str | None,
    split: str,
    card: Path | None,
    against: Path | None,
    allow_other_model: bool,
    fail_if_slower: float | None,
    with_cold_start: bool,
    plot: Path | None,
    json_path: Path | None,
    **serving: Any,
) -> None:
    """Measure the latency of MODEL (a bundle, an ONNX file or an engine) on this machine.

    One drawn frame is segmented again and again, or with --pictures a camera's, JPEGs say: each as soon as the last
    one's mask is there (how fast it can go), or with --rate by the clock, newest first, as a camera's frames are. Then
    `total` counts for every frame from when it was due to the first mask that is of it or of a newer one, so a pause
    shows with all frames that came meanwhile.

    With --compare several models take turns, each as MODEL[,PRECISION][,ENGINE][,threads=N], until the 95 % intervals
    of how many times as long they take are within 3 %. --card keeps a model's figures; with --against, here or on
    another machine, the model is measured as its card says: faster, slower, the same, or too noisy to tell.

    The figures are stable when the medians of the last three windows, of a second and ten frames at least, and that of
    all frames agree within 10 %.

    Where trtexec's words are used they mean the same: latency is H2D + compute + D2H (our infer.gpu). Its throughput
    overlaps frames, ours does not; from TensorRT 11 on it leaves out transfers and spins unless told otherwise.
    """
    context, model = click.get_current_context(), Path(models[0])
    mode = mode_of(context)
    if plot:
        require_plot(plot)
    for path in (json_path, card):
        if path and str(path) != "-":
            require_writable(path.absolute().parent)
    if mode == COMPARE:
        most_s = seconds if is_given(context, "seconds") else Pace.limit_s
        compare_models(models, serving, CompareOptions(frame_hw, data, split, plot, most_s, json_path))
        return
    if against:
        options = AgainstOptions(against, allow_other_model, fail_if_slower, json_path)
        bench_against(model, options, trust_engine=serving["trust_engine"])
        return
    if pictures and frame_hw:
        raise UsageError("wanted --pictures or --frame, found both; pictures have sizes of their own")
    given = shots_of(pictures) if pictures else None
    config = BenchConfig(rate, warmup_frames, warmup, frames, seconds)
    found, contestant = _measured(model, serving, config, given, frame_hw)
    if with_cold_start or card:
        try:
            found = replace(found, result=replace(found.result, cold_start=cold_start(model, serving)))
        except ModelError:
            _tell(found, json_path, plot)  # what was measured is not lost
            raise
    _tell(found, json_path, plot)
    if card:
        keep_card(card, contestant, frame_hw, found.result)


def _measured(
    model: Path, serving: dict[str, Any], config: BenchConfig, given: Shots | None, frame_hw: tuple[int, int] | None
) -> tuple[Bench, Contestant]:
    """What was found, and how the model was served; where the user wished to stop, that is printed and no more done."""
    interrupt = Interrupt("frame")
    with open_session(model, **serving) as session, interrupt.listening():
        shots = given or one_frame(fit_frame(draw_street(0)[0], frame_hw or session.facts.size_hw))
        found = bench(
            Segmenter(session), shots, model, config, threads=serving["threads"], is_wished=lambda: interrupt.wished
        )
        contestant = contestant_served(model, serving).settled(session)
    if interrupt.wished:  # under no name where what was cut short could be taken for the whole
        _print(found.result)
        raise KeyboardInterrupt
    return found, contestant


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
