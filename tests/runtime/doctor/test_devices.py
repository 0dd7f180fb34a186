"""runtime.doctor.devices: cameras, displays and cards, from samples of /sys and /dev."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.doctor.devices import Camera, cameras, display, has_nvidia_card
from tests.runtime.jetson_samples import write_files

V4L = "sys/class/video4linux"
WEBCAM = {
    f"{V4L}/video0/name": "Logitech StreamCam\n",
    f"{V4L}/video0/index": "0\n",
    f"{V4L}/video1/name": "Logitech StreamCam\n",  # its metadata
    f"{V4L}/video1/index": "1\n",
    f"{V4L}/video10/name": "vi-output, imx219 9-0010\n",
    f"{V4L}/video2/name": "\x1b[31mred\0",
    f"{V4L}/video3/name": "a camera that went away",
    **{f"dev/video{number}": "" for number in (0, 1, 2, 10)},
}


def test_cameras_are_told_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    assert cameras(write_files(tmp_path, WEBCAM)) == [
        Camera("/dev/video0", "Logitech StreamCam", True),
        Camera("/dev/video2", "?[31mred", True),
        Camera("/dev/video10", "vi-output, imx219 9-0010", True),
    ]


def test_a_camera_that_this_user_may_not_open_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK | os.W_OK)
    assert [camera.may_open for camera in cameras(write_files(tmp_path, WEBCAM))] == [False] * 3


@pytest.mark.parametrize(
    ("vendor", "kind", "found"),
    [
        ("0x10de", "0x030200", True),
        ("0x10de", "0x030000", True),
        ("0x10de", "0x040300", False),
        ("0x1002", "0x030000", False),
    ],
)
def test_a_card_is_known_by_its_vendor_and_class(tmp_path: Path, vendor: str, kind: str, found: bool) -> None:
    device = "sys/bus/pci/devices/0000:01:00.0"
    assert has_nvidia_card(write_files(tmp_path, {f"{device}/vendor": vendor, f"{device}/class": kind})) is found


def test_a_machine_without_anything_has_none(tmp_path: Path) -> None:
    assert cameras(tmp_path) == [] and not has_nvidia_card(tmp_path)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"DISPLAY": ":1"}, ":1"),
        ({"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, "wayland-0"),
        ({"DISPLAY": ""}, None),
    ],
)
def test_a_display_is_what_the_desktop_names(environment: dict[str, str], told: str | None) -> None:
    assert display(environment) == told
