"""runtime.sources.cameras: what `fcn-edge sources` lists, on a stand-in for the kernel's answers."""

from __future__ import annotations

import errno
import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import runtime.sources.cli
from runtime.sources.address import Kind, read_address
from runtime.sources.cameras import CameraFound, Mode, find_cameras
from runtime.sources.v4l2_calls import ENUM_FMT, ENUM_FRAMEINTERVALS, ENUM_FRAMESIZES, MOST, QUERYCAP
from tests.conftest import call_fcn_edge

CAPTURE, METADATA, STREAMING, DEVICE_CAPS = 0x1, 0x800000, 0x4000000, 0x80000000  # linux/videodev2.h
Size = tuple[int, int]


@dataclass
class Node:
    """A device as its driver answers: formats with their sizes, each with its rates; a pair of sizes is a range."""

    card: str = "HD Webcam"
    driver: str = "uvcvideo"
    caps: int = CAPTURE | STREAMING
    formats: Mapping[str, Mapping[Size | tuple[Size, Size], list[tuple[int, int]]]] = field(default_factory=dict)
    error: int = 0
    endless: bool = False


class Kernel:
    """ioctl on files that stand for devices."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes

    def __call__(self, fd: int, number: int, answer: bytearray) -> int:
        node = self._nodes[Path(os.readlink(f"/proc/self/fd/{fd}")).name]
        if node.error:
            raise OSError(node.error, os.strerror(node.error))
        asked = {QUERYCAP: capability, ENUM_FMT: format_of, ENUM_FRAMESIZES: size_of, ENUM_FRAMEINTERVALS: interval_of}
        try:
            asked[number](node, answer)
        except IndexError:
            raise OSError(errno.EINVAL, "no more") from None
        return 0


def capability(node: Node, answer: bytearray) -> None:
    whole = node.caps | METADATA | DEVICE_CAPS
    struct.pack_into(
        "=16s32s32s3I", answer, 0, node.driver.encode(), node.card.encode(), b"usb-1", 0x60000, whole, node.caps
    )


def format_of(node: Node, answer: bytearray) -> None:
    index, kind = struct.unpack_from("=2I", answer)
    assert kind == 1
    code = list(node.formats)[0 if node.endless else index]
    struct.pack_into("=3I32s4s", answer, 0, index, kind, 0, b"", code.encode())


def size_of(node: Node, answer: bytearray) -> None:
    index, code = struct.unpack_from("=I4s", answer)
    size = list(node.formats[code.decode()])[index]
    if isinstance(size[0], int):
        struct.pack_into("=3I", answer, 8, 1, size[1], size[0])
    else:
        (least_h, least_w), (most_h, most_w) = size
        struct.pack_into("=7I", answer, 8, 3, least_w, most_w, 2, least_h, most_h, 2)


def interval_of(node: Node, answer: bytearray) -> None:
    index, code, width, height = struct.unpack_from("=I4s2I", answer)
    sizes = node.formats[code.decode()]
    rates = next(rates for size, rates in sizes.items() if (height, width) in (size, size[1]))
    struct.pack_into("=3I", answer, 16, 1, *rates[index])


WEBCAM = Node(
    formats={
        "MJPG": {(720, 1280): [(1, 60), (1, 30)], (1080, 1920): [(1, 30)]},
        "YUYV": {(480, 640): [(1, 30), (2, 15)]},
    }
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "dev/v4l/by-id").mkdir(parents=True)
    (tmp_path / "dev/v4l/by-path").mkdir()
    return tmp_path


def plug(root: Path, nodes: Mapping[str, Node]) -> Kernel:
    for name in nodes:
        (root / "dev" / name).touch()
    return Kernel(nodes)


def name(root: Path, folder: str, link: str, node: str) -> None:
    (root / "dev/v4l" / folder / link).symlink_to(f"../../{node}")


def test_a_webcam_is_listed_with_its_modes(root: Path) -> None:
    kernel = plug(root, {"video0": WEBCAM})
    modes = (
        Mode("mjpeg", (720, 1280), (60.0, 30.0)),
        Mode("mjpeg", (1080, 1920), (30.0,)),
        Mode("yuyv422", (480, 640), (30.0, 7.5)),
    )
    assert find_cameras(root, kernel) == [CameraFound("/dev/video0", "HD Webcam", "usb-1", modes)]


def test_nodes_come_in_the_order_of_their_numbers(root: Path) -> None:
    kernel = plug(root, {"video10": WEBCAM, "video2": WEBCAM})
    assert [camera.source for camera in find_cameras(root, kernel)] == ["/dev/video2", "/dev/video10"]


def test_what_a_camera_is_names_it_rather_than_its_socket_and_that_rather_than_its_number(root: Path) -> None:
    kernel = plug(root, {"video0": WEBCAM, "video2": WEBCAM, "video4": WEBCAM})
    name(root, "by-id", "usb-Maker_Webcam-video-index0", "video2")
    name(root, "by-path", "pci-0-usb-1-video-index0", "video2")
    name(root, "by-path", "pci-0-usb-2-video-index0", "video4")
    assert [camera.source for camera in find_cameras(root, kernel)] == [
        "/dev/video0",
        "/dev/v4l/by-id/usb-Maker_Webcam-video-index0",
        "/dev/v4l/by-path/pci-0-usb-2-video-index0",
    ]


def test_every_name_is_an_address(root: Path) -> None:
    kernel = plug(root, {"video0": WEBCAM, "video1": Node(driver="tegra-video", card="vi-output, imx219 9-0010")})
    name(root, "by-id", "usb-Maker_Webcam-video-index0", "video0")
    kinds = [read_address(camera.source).kind for camera in find_cameras(root, kernel)]
    assert kinds == [Kind.V4L2, Kind.CSI]


def test_a_node_for_what_a_camera_knows_of_its_pictures_is_no_camera(root: Path) -> None:
    assert find_cameras(root, plug(root, {"video1": Node(caps=METADATA)})) == []


def test_the_sensors_of_a_jetson_are_numbered(root: Path) -> None:
    sensors = {f"video{n}": Node(driver="tegra-video", card=f"vi-output, imx219 {n}-0010") for n in (0, 1)}
    found = find_cameras(root, plug(root, sensors))
    assert [(camera.source, camera.name) for camera in found] == [
        ("csi://0", "vi-output, imx219 0-0010"),
        ("csi://1", "vi-output, imx219 1-0010"),
    ]


def test_a_device_that_scales_tells_its_least_and_most(root: Path) -> None:
    node = Node(formats={"NV12": {((32, 48), (2160, 3840)): [(1, 30)]}})
    [camera] = find_cameras(root, plug(root, {"video0": node}))
    assert camera.modes == (Mode("nv12", (32, 48), (30.0,), (2160, 3840)),)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "group video"), (errno.EBUSY, "another program"), (errno.EIO, "plug it in anew")],
)
def test_a_camera_that_cannot_be_asked_is_listed_with_the_cure(root: Path, number: int, words: str) -> None:
    [camera] = find_cameras(root, plug(root, {"video0": Node(error=number)}))
    assert camera.problem is not None and words in camera.problem


def test_a_driver_whose_list_never_ends_does_not_keep_us(root: Path) -> None:
    node = Node(formats={"MJPG": {(480, 640): [(1, 30)]}}, endless=True)
    [camera] = find_cameras(root, plug(root, {"video0": node}))
    assert len(camera.modes) == MOST


def test_letters_that_no_terminal_should_see_are_hidden(root: Path) -> None:
    [camera] = find_cameras(root, plug(root, {"video0": Node(card="a\x1b[2Jb", formats={"\x1bABC": {(1, 1): []}})}))
    assert (camera.name, camera.modes[0].format) == ("a?[2Jb", "?ABC")


def test_a_machine_without_cameras_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.sources.cli, "find_cameras", list)
    done = call_fcn_edge("sources")
    assert done.returncode == 0
    assert done.stdout.startswith("no camera is here")


def test_json_is_one_object(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    cameras = find_cameras(root, plug(root, {"video0": WEBCAM}))
    monkeypatch.setattr(runtime.sources.cli, "find_cameras", lambda: cameras)
    [camera] = json.loads(call_fcn_edge("sources", "--json").stdout)["cameras"]
    assert camera["source"] == "/dev/video0"
    assert camera["modes"][0] == {"format": "mjpeg", "size_hw": [720, 1280], "rates": [60, 30], "up_to_hw": None}


def test_a_listing_shows_how_a_mode_is_asked_for(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    cameras = find_cameras(root, plug(root, {"video0": WEBCAM, "video2": Node(error=errno.EACCES)}))
    monkeypatch.setattr(runtime.sources.cli, "find_cameras", lambda: cameras)
    assert call_fcn_edge("sources").stdout.splitlines() == [
        "/dev/video0  HD Webcam (usb-1)",
        "    mjpeg     720x1280 at 60/30, 1080x1920 at 30",
        "    yuyv422   480x640 at 30/7.5",
        "/dev/video2",
        "    this user may not open it; add the user to the group video and log in anew",
    ]


def test_this_machine_can_be_listed() -> None:
    done = call_fcn_edge("sources", "--json")
    assert done.returncode == 0
    assert isinstance(json.loads(done.stdout)["cameras"], list)
