"""`fcn-edge demo`: the whole pipeline on data that it draws itself, by the very commands a user would type."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import click

from fcn_edge.datasets.street import draw_street
from fcn_edge.datasets.synthetic import SIZE_HW
from fcn_edge.errors import FcnEdgeError, UsageError
from fcn_edge.files import require_writable
from fcn_edge.manifest import Manifest, read_manifest
from fcn_edge.progress import say, tracked
from fcn_edge.report import percent, print_table
from runtime.sinks.recorder import Recorder

MARK = ".fcn-edge-demo"  # only a folder that a demo made is ever emptied by one
RATE = Fraction(25)
VIDEO_FRAMES = 200
VIDEO_SEED = 300_000  # a street that no split of the dataset holds


class DemoFailed(FcnEdgeError):
    """A step ended badly; its own message stands above."""

    def __init__(self, command: str, code: int) -> None:
        super().__init__(f"the demo stopped: `{command}` ended with exit code {code}; its message stands above")
        self.exit_code = code


@click.command("demo", epilog="Example: fcn-edge demo -o demo")
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=1.5, show_default=True, help="Of training.")
def demo_command(folder: Path, minutes: float) -> None:
    """Train, export, run and measure on data that it makes itself, in about five minutes on two cores."""
    _start_afresh(folder)
    height, width = SIZE_HW
    run, bundle, video, masked = folder / "run", folder / "bundle", folder / "drive.mp4", folder / "overlay.mp4"
    sheet = folder / "contact-sheet.png"
    small = ["--width", "0.25", "--fc-dim", "128", "--batch-size", "4", "--crop", f"{height - height % 32}x{width}"]
    _do("train", "synthetic:", "-o", run, *small, "--epochs", 12, "--max-minutes", minutes, "--validate-every", 3)
    # Hardly trained weights may lose more than the budget; the demo shows what is done about it and goes on.
    proof = ["--size", f"{height}x{width}", "--data", "synthetic:", "--calibration-count", 32, "--no-sensitivity"]
    _do("export", run / "best.safetensors", "-o", bundle, *proof, "--repair", "--allow-drop")
    _draw_video(video)
    _do("run", video, masked, "--model", bundle)
    _do("eval", bundle, "synthetic:", "--sheet", sheet)
    manifest = read_manifest(bundle)
    here = [file.precision for file in manifest.files if not file.proxy]
    latencies = {precision: folder / f"latency.{precision}.json" for precision in here}
    for precision, path in latencies.items():
        _do("bench", bundle, "--precision", precision, "--json", path)
    _tell_table(bundle, manifest, latencies)
    _tell_files([masked, sheet, bundle / "report.html", *latencies.values(), bundle, run / "best.safetensors"])


def _start_afresh(folder: Path) -> None:
    if folder.exists() and not (folder / MARK).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"wanted a folder for the demo, found {folder} in use by something else; choose another -o")
    shutil.rmtree(folder, ignore_errors=True)
    require_writable(folder)
    (folder / MARK).touch()


def _do(*arguments: object) -> None:
    """Run one verb as its own process, as a user would."""
    words = [str(argument) for argument in arguments]
    command = shlex.join(["fcn-edge", *words])
    say(f"\n$ {command}")
    done = subprocess.run([sys.executable, "-m", "fcn_edge", *words], check=False)
    if done.returncode:
        raise DemoFailed(command, done.returncode)


def _draw_video(path: Path) -> None:
    """A drive down a street that the network has not seen."""
    say(f"\ndrawing {path}")
    with closing(Recorder(path, RATE)) as recorder:
        for index in tracked(range(VIDEO_FRAMES), "drawing", VIDEO_FRAMES):
            image, _ = draw_street(VIDEO_SEED, index / float(RATE), SIZE_HW)
            recorder.write(image, index / RATE, index)
        recorder.finish()


def _tell_table(bundle: Path, manifest: Manifest, latencies: Mapping[str, Path]) -> None:
    """What the bundle's files are worth: accuracy on streets not seen in training, size, latency here."""
    rows = [["file", "mean IoU %", "masks agree %", "MB", "p50 ms", "p99 ms"]]
    for file in manifest.files:
        scores = [percent(file.scores["mean_iou"]), percent(file.scores["agreement"])]
        rows.append([file.name, *scores, f"{file.bytes / 1e6:.2f}", *_percentiles(latencies.get(file.precision))])
    click.echo()
    print_table(f"{bundle}, frames {manifest.size_hw[0]}x{manifest.size_hw[1]}, frame to mask", rows)


def _percentiles(path: Path | None) -> list[str]:
    """p50 and p99 of a measured file; of one that is for TensorRT, nothing."""
    if path is None:
        return ["", ""]
    total = json.loads(path.read_text(encoding="utf-8"))["stages_ms"]["total"]
    return ["-" if total[name] is None else f"{total[name]:.2f}" for name in ("p50", "p99")]


def _tell_files(made: Sequence[Path]) -> None:
    click.echo("made:")
    for path in made:
        click.echo(f"  {path}")
