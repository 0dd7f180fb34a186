"""`fcn-edge sources`: the cameras of this machine, by the names that `fcn-edge run` takes, and what each offers."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby

import click

from fcn_edge.files import json_text
from runtime.sources.cameras import CameraFound, Mode, find_cameras

NONE_HERE = (
    "no camera is here: nothing under /dev/video* gives pictures\n"
    "plug one in, or name a network camera: fcn-edge run rtsp://HOST/PATH; a trial needs none: fcn-edge run test://"
)


@click.command("sources", epilog="Example: fcn-edge sources --json")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def sources_command(as_json: bool) -> None:
    """List the cameras of this machine, with their formats, sizes (height x width) and rates.

    A choice is named as in /dev/video0?size=720x1280&rate=30&format=mjpeg.
    """
    cameras = find_cameras()
    if as_json:
        click.echo(json_text({"cameras": [asdict(camera) for camera in cameras]}))
    else:
        click.echo("\n".join(map(_told, cameras)) or NONE_HERE)


def _told(camera: CameraFound) -> str:
    """A camera's name, who it is, and a line for each format."""
    who = f"{camera.name} ({camera.bus})" if camera.name else ""
    lines = [f"{camera.source}  {who}".rstrip()]
    lines += [f"    {camera.problem}"] if camera.problem else []
    for name, modes in groupby(camera.modes, lambda mode: mode.format):
        lines.append(f"    {name:8}  {', '.join(map(_mode, modes))}")
    return "\n".join(lines)


def _mode(mode: Mode) -> str:
    size = "x".join(map(str, mode.size_hw))
    size += f" to {'x'.join(map(str, mode.up_to_hw))}" if mode.up_to_hw else ""
    return f"{size} at {'/'.join(f'{rate:g}' for rate in mode.rates)}" if mode.rates else size
