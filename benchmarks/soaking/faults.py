"""What is made to fail: cameras, the processes that read them, the disk, the model, the peace of the live page.

A victim is well, then one of its faults is drawn and lasts for a while, then it is waited for until it works again.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.soaking.held import command_of, descendants
from benchmarks.soaking.record import Outage
from benchmarks.soaking.viewers import Viewer, visit
from tests.runtime.cameras.http_camera import Fault, HttpCamera
from tests.runtime.cameras.rtsp_server import RtspServer
from tests.runtime.commanded_model import Command
from tests.runtime.small_disk import SmallDisk

State = Mapping[str, Any]  # what /state tells
Act = Callable[[], None]

FRAMES_AFTER = 3  # so many new ones, and it works again
SIZES_HW = ((240, 320), (180, 320), (360, 480))


@dataclass(frozen=True)
class Trouble:
    """A fault: how it begins and how it is taken back. One that `lasts` not is over when it has begun."""

    begin: Act
    take_back: Act = lambda: None
    lasts: bool = True


class Victim:
    """`step` it a few times a second; it makes trouble while that is wanted."""

    def __init__(
        self, name: str, troubles: Mapping[str, Trouble], progress: Callable[[State], int | None], chance: random.Random
    ) -> None:
        """`progress`: how much it has done, as the page tells; None while it does not work."""
        self.name, self._troubles, self._progress, self._chance = name, troubles, progress, chance
        self.outages: list[Outage] = []
        self._fault: str | None = None
        self._next_s = self._began_s = self._returned_s = 0.0
        self._done_at_return: int | None = None

    @property
    def is_well(self) -> bool:
        return self._fault is None

    @property
    def is_awaited(self) -> bool:
        """Its fault was taken back, and it does not work yet."""
        return self._fault is not None and self._returned_s > 0

    def step(self, now_s: float, state: State | None, *, wanted: bool, longest_s: float) -> None:
        if self.is_awaited:
            if state is not None:
                self._look(now_s, state)
        elif self._fault is not None:
            if now_s >= self._next_s or not wanted:
                self._take_back(now_s)
        elif wanted and now_s >= self._next_s:
            self._begin(now_s, longest_s)

    def make_well(self) -> None:
        """Nothing is left as a fault made it."""
        if self._fault is not None and not self.is_awaited:
            self._troubles[self._fault].take_back()

    def _begin(self, now_s: float, longest_s: float) -> None:
        self._fault = self._chance.choice(list(self._troubles))
        trouble = self._troubles[self._fault]
        self._began_s, self._returned_s, self._done_at_return = now_s, 0.0, None
        self._next_s = now_s + (self._chance.uniform(0.2, longest_s) if trouble.lasts else 0.0)
        trouble.begin()

    def _take_back(self, now_s: float) -> None:
        assert self._fault
        self._troubles[self._fault].take_back()
        self._returned_s = now_s

    def _look(self, now_s: float, state: State) -> None:
        """It works when it does more than when it was first seen after its return."""
        assert self._fault
        done = self._progress(state)
        if self._done_at_return is None and done is not None:
            self._done_at_return = done
        elif done is not None and done >= (self._done_at_return or 0) + FRAMES_AFTER:
            self._close(now_s, now_s)
        if self._fault and now_s > self._returned_s + 60:
            self._close(now_s, None)  # the judge hears of it

    def _close(self, now_s: float, recovered_s: float | None) -> None:
        assert self._fault
        self.outages.append(Outage(self.name, self._fault, self._began_s, self._returned_s, recovered_s))
        self._fault, self._next_s = None, now_s + self._chance.uniform(0.5, 4)


def _good(name: str) -> Callable[[State], int | None]:
    """Good pictures that came of a camera: what becomes of them is the model's affair, which may be slow just then."""

    def progress(state: State) -> int | None:
        source = next(source for source in state["sources"] if source["name"] == name)
        counts = source["counts"]
        good = int(counts["received"]) - sum(counts["bad"].values())
        return good if source["state"] == "STREAMING" else None

    return progress


def _all_segmented(state: State) -> int:
    return sum(source["counts"]["segmented"] for source in state["sources"])


def _reader_of(pid: int, uri: str) -> list[int]:
    """The processes that read this address for a run."""
    found = []
    for child in descendants(pid):
        with suppress(OSError):
            found += [child] if uri in command_of(child) else []
    return found


def _signals(pid: int, uri: str, number: signal.Signals) -> Act:
    def act() -> None:
        for child in _reader_of(pid, uri):
            with suppress(ProcessLookupError):
                os.kill(child, number)

    return act


def _of_the_reader(pid: int, uri: str) -> dict[str, Trouble]:
    return {
        "its reader is killed": Trouble(_signals(pid, uri, signal.SIGKILL), lasts=False),
        "its reader crashes": Trouble(_signals(pid, uri, signal.SIGSEGV), lasts=False),
        "its reader hangs": Trouble(_signals(pid, uri, signal.SIGSTOP), lasts=False),
    }


def http_victim(name: str, camera: HttpCamera, pid: int, chance: random.Random) -> Victim:
    def be(attribute: str, value: Any, well: Any) -> Trouble:
        return Trouble(lambda: setattr(camera, attribute, value), lambda: setattr(camera, attribute, well))

    def another_size() -> None:
        camera.size_hw = chance.choice([size for size in SIZES_HW if size != camera.size_hw])

    troubles = {
        **{fault.value: be("fault", fault, Fault.NONE) for fault in Fault if fault is not Fault.NONE},
        **{f"answers {status}": be("status", status, 200) for status in (401, 404, 503)},
        "refuses": Trouble(camera.refuse, camera.listen),
        "hangs up": Trouble(camera.hang_up, lasts=False),
        "another size": Trouble(another_size, lasts=False),
        **_of_the_reader(pid, camera.uri),
    }
    # An answer is asked for when a connection begins: those that stand are broken, or they would not notice.
    for words in (
        "answers 401",
        "answers 404",
        "answers 503",
        Fault.GARBAGE.value,
        Fault.ENDLESS.value,
        Fault.HTML.value,
    ):
        troubles[words] = Trouble(_both(troubles[words].begin, camera.hang_up), troubles[words].take_back)
    return Victim(name, troubles, _good(name), chance)


def _both(first: Act, second: Act) -> Act:
    def act() -> None:
        first()
        second()

    return act


def rtsp_victim(name: str, server: RtspServer, pid: int, chance: random.Random) -> Victim:
    troubles = {
        "silence": Trouble(server.pause, server.go_on),
        "gone": Trouble(server.kill, server.start),
        **_of_the_reader(pid, server.uri),
    }
    return Victim(name, troubles, _good(name), chance)


def disk_victim(disk: SmallDisk, sinks: str, chance: random.Random) -> Victim:
    """`sinks`: what is part of the names of those that write to it."""

    def written(state: State) -> int | None:
        there = [sink for sink in state["sinks"] if sinks in sink["name"]]
        works = any(not sink["reason"] for sink in there)  # the others may be waiting for their cameras
        return sum(sink["written"] for sink in there) if works else None

    return Victim("disk", {"full": Trouble(disk.fill, disk.free)}, written, chance)


def model_victim(command: Path, chance: random.Random) -> Victim:
    def told(**words: Any) -> Act:
        return lambda: Command(**words).write(command)

    troubles = {
        "slow": Trouble(told(delay_s=0.2), told()),
        "very slow": Trouble(told(delay_s=1.0), told()),
        "fails": Trouble(told(fails=3), told()),
    }
    return Victim("model", troubles, _all_segmented, chance)


def page_victim(port: int, sources: list[str], chance: random.Random) -> Victim:
    """Crowds that come and go."""
    there: list[Viewer] = []

    def come() -> None:
        visitors = (visit(port, chance, chance.choice(sources)) for _ in range(chance.randint(1, 20)))
        there.extend(visitor for visitor in visitors if visitor)

    def go() -> None:
        while there:
            there.pop().leave()

    return Victim("page", {"a crowd": Trouble(come, go)}, _all_segmented, chance)
