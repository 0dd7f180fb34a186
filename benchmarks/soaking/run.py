"""One soak: a run of `fcn-edge run`, rounds of faults with calm between them, and everything that was seen of it."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import av

from benchmarks.soaking.faults import State, Victim, disk_victim, http_victim, model_victim, page_victim, rtsp_victim
from benchmarks.soaking.held import held_by
from benchmarks.soaking.judge import FEWEST_CALM
from benchmarks.soaking.record import Counted, Ending, Outage, Sample, Soak
from tests.runtime.cameras import rtsp_server
from tests.runtime.cameras.http_camera import HttpCamera
from tests.runtime.cameras.rtsp_server import RtspServer
from tests.runtime.live_run import LiveRun
from tests.runtime.small_disk import SmallDisk
from tests.runtime.small_disk import why_not as why_no_disk

CAMERAS = ("gate", "yard", "dock")
RATE = 8  # frames a second of each: five sources leave a small machine time for others
DISK_BYTES = 48 << 20
SETTINGS = ("--segment", 10, "--keep-gib", 0.004, "--free-gib", 0.004, "--threads", 1)
LOOK_S, SAMPLE_S = 0.25, 1.0
CALM_WITHIN_S = 60.0  # longer than any promise: the judge tells how long it took


@dataclass(frozen=True)
class Plan:
    """How long, and how hard."""

    model: Path
    seconds: float
    seed: int = 0
    chaos_s: float = 40.0  # of a round
    calm_s: float = 6.0  # after each
    longest_fault_s: float = 12.0
    program: Sequence[str] = (sys.executable, "-m", "tests.runtime.commanded_model")


def soak(plan: Plan, folder: Path, tell: Callable[[str], object] = lambda line: None) -> Soak:
    """Raises AssertionError where the run ends by itself. Leaves its log in `folder`."""
    with ExitStack() as stack:
        scene = Scene(plan, folder, stack)
        rounds, ends_s = 0, time.monotonic() + plan.seconds
        with scene.cameras():
            scene.calm()
            while time.monotonic() + plan.calm_s < ends_s:
                scene.chaos(min(plan.chaos_s, ends_s - time.monotonic() - plan.calm_s))
                scene.calm()
                rounds += 1
                tell(f"round {rounds}: {scene.told()}")
            ending = scene.end()
    outages = [outage for victim in scene.victims for outage in victim.outages]
    return Soak(scene.samples, [*outages, *scene.rounds], ending)


class Scene:
    """The run, what it is given, and what makes it hard."""

    def __init__(self, plan: Plan, folder: Path, stack: ExitStack) -> None:
        self._plan, self._chance = plan, random.Random(plan.seed)
        self.samples: list[Sample] = []
        self.rounds: list[Outage] = []  # from the end of the faults until all was well
        self._cameras = {name: stack.enter_context(HttpCamera(rate=RATE)) for name in CAMERAS}
        self._rtsp = None if rtsp_server.why_not() else stack.enter_context(RtspServer())
        self._disk = None if why_no_disk() else stack.enter_context(SmallDisk(folder / "disk", DISK_BYTES))
        self._recordings = self._disk.seen if self._disk else folder / "disk"
        self._command = folder / "command.json"
        self._run = stack.enter_context(self._start(folder))
        self._port = self._run.port
        self._began_s, self._sample_due_s = time.monotonic(), 0.0
        self._state: State | None = None
        self.victims = list(self._victims())

    def _start(self, folder: Path) -> LiveRun:
        plan, enter = self._plan, self._disk.enter if self._disk else ()
        sources = {"still": f"test://?rate={RATE}", **{name: camera.uri for name, camera in self._cameras.items()}}
        if self._rtsp:
            sources["lane"] = self._rtsp.uri
        self._sources = list(sources)
        first, *others = (f"{name}={uri}" for name, uri in sources.items())
        sinks = ("http://127.0.0.1:0", folder / "disk" / "{source}-%d-%H%M%S.mkv", f"json:{folder}/lines.jsonl")
        also = [word for other in others for word in ("--also", other)]
        words = (first, *sinks, *also, *SETTINGS, "--model", plan.model)
        return LiveRun(folder / "run.log", *words, program=(*enter, *plan.program, str(self._command)))

    def _victims(self) -> Iterator[Victim]:
        pid = self._run.process.pid
        for name, camera in self._cameras.items():
            yield http_victim(name, camera, pid, self._chance)
        if self._rtsp:
            yield rtsp_victim("lane", self._rtsp, pid, self._chance)
        if self._disk:
            yield disk_victim(self._disk, ".mkv", self._chance)
        yield model_victim(self._command, self._chance)
        yield page_victim(self._port, self._sources, self._chance)

    @contextmanager
    def cameras(self) -> Iterator[None]:
        """Whatever becomes of the run, nothing is left as a fault made it."""
        try:
            yield
        finally:
            for victim in self.victims:
                victim.make_well()

    def chaos(self, seconds: float) -> None:
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            self._step(is_calm=False, wanted=True)

    def calm(self) -> None:
        """Faults are taken back, all becomes well, and then it is looked at in peace."""
        began_s = self._now_s()
        while not self._is_well() and self._now_s() < began_s + CALM_WITHIN_S:
            self._step(is_calm=False, wanted=False)
        recovered_s = self._now_s() if self._is_well() else None
        self.rounds.append(
            Outage("everything", "a round" if self.rounds else "the start", began_s, began_s, recovered_s)
        )
        ends_s, before = time.monotonic() + self._plan.calm_s, len(self.samples)
        while time.monotonic() < ends_s or len(self.samples) < before + FEWEST_CALM:  # a busy machine looks less often
            self._step(is_calm=True, wanted=False)

    def _is_well(self) -> bool:
        if self._state is None or not all(victim.is_well for victim in self.victims):
            return False
        sources, sinks = self._state["sources"], self._state["sinks"]
        streams = all(source["state"] == "STREAMING" and not source["reason"] for source in sources)
        watched = any(sink["facts"].get("viewers") for sink in sinks)
        return streams and not watched and not any(sink["reason"] for sink in sinks)

    def _now_s(self) -> float:
        return time.monotonic() - self._began_s

    def _step(self, *, is_calm: bool, wanted: bool) -> None:
        assert self._run.process.poll() is None, f"it ended with {self._run.process.returncode}:\n{self._run.told}"
        now_s = self._now_s()
        is_due = now_s >= self._sample_due_s
        if is_due or not is_calm:
            self._state = self._ask()
        if is_due:
            self._sample_due_s = now_s + SAMPLE_S
            self.samples.append(self._sample(now_s, is_calm=is_calm))
        for victim in self.victims:
            victim.step(self._now_s(), self._state, wanted=wanted, longest_s=self._plan.longest_fault_s)
        time.sleep(LOOK_S)

    def _ask(self) -> State | None:
        with suppress(OSError, ValueError, HTTPException):
            return self._run.state()
        return None

    def _sample(self, now_s: float, *, is_calm: bool) -> Sample:
        held = held_by(self._run.process.pid)
        if self._state is None:
            return Sample(now_s, is_calm, held)
        counts = {source["name"]: _counted(source["counts"]) for source in self._state["sources"]}
        return Sample(now_s, is_calm, held, self._state["segmented_fps"], counts)

    def told(self) -> str:
        last = self.samples[-1]
        outages = sum(len(victim.outages) for victim in self.victims)
        memory_mb = last.held.own_bytes / 1e6
        return f"{last.at_s:.0f} s, {outages} faults, {memory_mb:.1f} MB, {last.held.descriptors} descriptors"

    def end(self) -> Ending:
        code, seconds = self._run.end()
        videos = {path.name: _frames(path) for path in sorted(self._recordings.glob("*.mkv"))}
        left = [path.name for path in self._recordings.glob("*.part*")]
        sent = {name: camera.pictures for name, camera in self._cameras.items()}
        return Ending(code, seconds, self._run.told, videos, left, sent)


def _counted(counts: State) -> Counted:
    bad, dropped = sum(counts["bad"].values()), sum(counts["dropped"].values())
    return Counted(counts["received"], counts["segmented"], bad, dropped, counts["in_flight"])


def _frames(path: Path) -> int:
    """That a player shows."""
    try:
        with av.open(str(path)) as container:
            return sum(1 for _ in container.decode(video=0))
    except (av.error.FFmpegError, OSError):
        return 0
