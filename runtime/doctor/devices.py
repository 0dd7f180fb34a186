"""Which cameras, displays and NVIDIA cards Linux knows of. None of them is opened."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fcn_edge.errors import printable
from runtime.system_files import number_of, paths_of, text_of

NVIDIA, DISPLAY_CLASS = "0x10de", "0x03"  # of PCI: the vendor, and the class of graphics cards and 3D controllers


@dataclass(frozen=True)
class Camera:
    """A V4L2 device that gives frames."""

    path: str
    name: str
    may_open: bool  # by this user


def cameras(root: Path = Path("/")) -> list[Camera]:
    """A camera's further nodes, which give metadata rather than frames, are left out: their index is not 0."""
    nodes = [node for node in paths_of(root, "sys/class/video4linux/video*") if not number_of(node / "index")]
    devices = [(root / "dev" / node.name, node) for node in sorted(nodes, key=lambda node: (len(node.name), node.name))]
    return [
        Camera(
            f"/dev/{device.name}",
            printable(text_of(node / "name") or "no name"),
            os.access(device, os.R_OK | os.W_OK),
        )
        for device, node in devices
        if device.exists()
    ]


def has_nvidia_card(root: Path = Path("/")) -> bool:
    """Whether one sits on the PCI bus, with or without a driver."""
    return any(
        text_of(device / "vendor") == NVIDIA and (text_of(device / "class") or "").startswith(DISPLAY_CLASS)
        for device in paths_of(root, "sys/bus/pci/devices/*")
    )


def display(environment: Mapping[str, str]) -> str | None:
    """Where a window would appear: ":0", "wayland-0"; None without a desktop."""
    return environment.get("WAYLAND_DISPLAY") or environment.get("DISPLAY") or None
