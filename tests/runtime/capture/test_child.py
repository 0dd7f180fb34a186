"""runtime.capture.child: it waits for nobody, and dies with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from runtime.capture.child import Outbox
from runtime.capture.frame_ring import SLOTS, FrameRing, create_ring_file
from runtime.capture.messages import Filled, Freed, Gone, Unusable, receive, send, socket_pair
from tests.runtime.capture.readers import FACTORY, picture
from tests.runtime.capture.watching import children, is_running, until


class Pair:
    """An outbox, and the parent's end of its socket."""

    def __init__(self) -> None:
        descriptor = create_ring_file()
        self.ring = FrameRing(descriptor)
        os.close(descriptor)
        self.parent, self.child = socket_pair()
        self.outbox = Outbox(self.child, self.ring)

    def told(self) -> list[object]:
        messages = []
        while message := receive(self.parent):
            messages.append(message)
        return messages


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.parent.close()
    pair.child.close()


def filled(told: list[object]) -> list[Filled]:
    return [message for message in told if isinstance(message, Filled)]


def test_each_picture_gets_a_slot_of_its_own(pair: Pair) -> None:
    for level in range(SLOTS):
        pair.outbox.put(picture(level))
    told = filled(pair.told())
    assert sorted(message.slot for message in told) == list(range(SLOTS))
    assert [int(pair.ring.picture(message.slot, message.size_hw)[0, 0, 0]) for message in told] == list(range(SLOTS))


def test_without_a_free_slot_pictures_are_dropped_and_told_with_the_next(pair: Pair) -> None:
    for level in range(SLOTS + 3):
        pair.outbox.put(picture(level))
    told = filled(pair.told())
    assert len(told) == SLOTS
    send(pair.parent, Freed(told[0].slot))
    pair.outbox.put(picture(99))
    (last,) = filled(pair.told())
    assert (last.slot, last.dropped) == (told[0].slot, 3)


def test_a_dropped_picture_never_touches_a_slot_of_the_parent(pair: Pair) -> None:
    for level in range(SLOTS + 20):
        pair.outbox.put(picture(level))
    told = filled(pair.told())
    assert [int(pair.ring.picture(message.slot, message.size_hw).max()) for message in told] == list(range(SLOTS))


def test_a_parent_that_does_not_listen_is_not_waited_for(pair: Pair) -> None:
    started_s = time.monotonic()
    for _ in range(3000):
        pair.outbox.spoil("truncated")
    assert time.monotonic() - started_s < 10
    told = pair.told()
    pair.outbox.put(picture(1))
    told += pair.told()
    spoiled = [message.spoiled.get("truncated", 0) for message in told if isinstance(message, Filled | Unusable)]
    assert sum(spoiled) == 3000


def test_content_is_summed_up_now_and_then(pair: Pair) -> None:
    pair.outbox.put(picture(1))
    pair.outbox.put(picture(1))
    time.sleep(0.55)
    pair.outbox.put(picture(1))
    time.sleep(0.55)
    moved = picture(1)
    moved.image[8:20] = 200
    pair.outbox.put(moved)
    first, second, third, fourth = (message.content for message in filled(pair.told()))
    assert second is None and first is not None and first == third != fourth


def test_a_picture_that_is_none_is_the_reader_s_fault(pair: Pair) -> None:
    wrong = picture(1)
    object.__setattr__(wrong, "image", np.zeros((4, 4, 3), np.float32))
    with pytest.raises(TypeError):
        pair.outbox.put(wrong)


def test_a_parent_that_is_gone_is_noticed(pair: Pair) -> None:
    pair.parent.close()
    with pytest.raises(Gone):
        pair.outbox.put(picture(1))


PARENT = """
import sys, time
from pathlib import Path
from runtime.capture.camera import Camera
from runtime.sources.address import read_address
from runtime.stream.counts import FrameCounts

camera = Camera("front", read_address(sys.argv[1]), FrameCounts(), lambda: None, factory=sys.argv[2])
camera.start()
while not camera.counts.now().received and "silent" not in sys.argv[1]:
    time.sleep(0.01)
Path(sys.argv[3]).touch()
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["parent", "silent", "deaf"])
def test_it_dies_with_its_parent_and_with_all_that_it_has_started(
    kind: str, number: signal.Signals, tmp_path: Path
) -> None:
    ready, note = tmp_path / "ready", tmp_path / "pid"
    words = ["-c", PARENT, f"http://camera/{kind}?pid={note}", FACTORY, str(ready)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, *words], env=environment) as parent:
        try:
            until(ready.exists, 30)
            family = 2 if kind == "parent" else 1
            until(lambda: len(children(parent.pid)) == family)
            ours = children(parent.pid)
        finally:
            os.kill(parent.pid, number)
    until(lambda: not any(map(is_running, ours)))
