"""runtime.sources.address: which kind of source a name names, and what its query asks."""

from __future__ import annotations

import pytest

from fcn_edge.errors import UsageError
from runtime.sources.address import Kind, read_address
from runtime.sources.wishes import Fault, Wishes


@pytest.mark.parametrize(
    ("uri", "kind", "target"),
    [
        ("0", Kind.V4L2, "/dev/video0"),
        ("12", Kind.V4L2, "/dev/video12"),
        ("/dev/video0", Kind.V4L2, "/dev/video0"),
        ("/dev/v4l/by-id/usb-Maker_Webcam-video-index0", Kind.V4L2, "/dev/v4l/by-id/usb-Maker_Webcam-video-index0"),
        ("/dev/front-door", Kind.V4L2, "/dev/front-door"),
        ("csi://0", Kind.CSI, "0"),
        ("rtsp://host/live", Kind.RTSP, "rtsp://host/live"),
        ("RTSP://host/live", Kind.RTSP, "RTSP://host/live"),
        ("rtsps://host:322/live", Kind.RTSP, "rtsps://host:322/live"),
        ("rtsp+udp://host/live?channel=1", Kind.RTSP, "rtsp+udp://host/live?channel=1"),
        ("http://[fe80::1]:8080/video", Kind.HTTP, "http://[fe80::1]:8080/video"),
        ("https://host/video.mjpg", Kind.HTTP, "https://host/video.mjpg"),
        ("test://", Kind.TEST, "street"),
        ("video.mp4", Kind.PATH, "video.mp4"),
        ("folder/", Kind.PATH, "folder/"),
        ("a:b?c.mp4", Kind.PATH, "a:b?c.mp4"),
        ("/dev/shm/video.mp4", Kind.PATH, "/dev/shm/video.mp4"),
        ("/dev/fd/3", Kind.PATH, "/dev/fd/3"),
        ("007.mp4", Kind.PATH, "007.mp4"),
    ],
)
def test_a_name_says_how_it_is_read(uri: str, kind: Kind, target: str) -> None:
    address = read_address(uri)
    assert (address.kind, address.target, address.uri) == (kind, target, uri)
    assert address.is_live == (kind is not Kind.PATH)


@pytest.mark.parametrize(
    ("uri", "wishes"),
    [
        ("0?size=720x1280&rate=30&format=mjpeg", Wishes((720, 1280), 30.0, "mjpeg")),
        ("/dev/video2?rate=7.5", Wishes(rate=7.5)),
        ("csi://1?size=1080x1920", Wishes((1080, 1920))),
        ("test://?frames=9&seed=4", Wishes(frames=9, seed=4)),
        ("test://street?fault=stall@5,close@8.5", Wishes(faults=(Fault("stall", 5.0), Fault("close", 8.5)))),
        ("test://?", Wishes()),
        ("rtsp://host/live?size=1x1", Wishes()),
    ],
)
def test_what_follows_the_question_mark_is_asked_for(uri: str, wishes: Wishes) -> None:
    assert read_address(uri).wishes == wishes


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("ftp://host/x", "ftp://"),
        ("csi://front", "csi://0"),
        ("csi://0?format=mjpeg", "size, rate"),
        ("0?width=640", "'width'"),
        ("0?size=640", "HEIGHTxWIDTH"),
        ("0?size=0x640", "HEIGHTxWIDTH"),
        ("0?size=10000x10000", "50 megapixels"),
        ("0?rate=0", "rate="),
        ("0?rate=1e3", "rate="),
        ("0?rate=nan", "rate="),
        ("0?rate=30&rate=20", "twice"),
        ("0?format=MJPG", "mjpeg"),
        ("test://bars", "test://street"),
        ("test://?fault=explode@3", "KIND@SECONDS"),
        ("test://?fault=stall", "KIND@SECONDS"),
        ("test://?frames=-1", "a count"),
        ("rtsp://", "rtsp://HOST"),
        ("rtsp:///live", "rtsp://HOST"),
        ("http://user:password@/live", "http://HOST"),
        ("http://host:0/", "http://HOST"),
        ("http://host:65536/", "http://HOST"),
        ("http://host:port/", "http://HOST"),
        ("http://my host/", "%20"),
        ("http://host/\n", "%20"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_one_that_can(uri: str, words: str) -> None:
    with pytest.raises(UsageError) as refusal:
        read_address(uri)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value) and "password@" not in str(refusal.value)


def test_credentials_are_not_even_in_the_words_for_programmers() -> None:
    address = read_address("rtsp://admin:secret@host/live")
    assert address.shown == "rtsp://***@host/live"
    assert "secret" not in repr(address)


@pytest.mark.parametrize("slip", ["rtsp:/", "rtsp//", "rtsp:", "Tür=rtsp://", "https//"])
def test_a_slip_in_the_scheme_is_told_without_the_password(slip: str) -> None:
    with pytest.raises(UsageError, match="write rtsp://HOST/PATH") as refusal:
        read_address(f"{slip}admin:secret@host/live")
    assert "secret" not in str(refusal.value)
