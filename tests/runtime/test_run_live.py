"""`fcn-edge run` of cameras, as a process: how it ends whatever it is at, what it survives, what it leaves."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from benchmarks.soaking.held import descendants
from tests.runtime import small_disk
from tests.runtime.cameras.http_camera import Fault, HttpCamera
from tests.runtime.commanded_model import OPENING, Command
from tests.runtime.live_run import LiveRun, ended_together
from tests.runtime.small_disk import SmallDisk

PROMISED_END_S, PROMISED_RECOVERY_S = 5.0, 15.0
COMMANDED = (sys.executable, "-m", "tests.runtime.commanded_model")
PAGE = "http://127.0.0.1:0"


def free_port() -> int:
    """That nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as once:
        return int(once.getsockname()[1])


def commanded(tmp_path: Path, name: str, **command: Any) -> tuple[str, ...]:
    """The program with a model that obeys."""
    path = tmp_path / f"{name}.command"
    Command(**command).write(path)
    return (*COMMANDED, str(path))


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Whole lines of what may still grow."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def seconds_of(path: Path) -> float:
    """Of a video, from its first frame to the last that a player shows."""
    with av.open(str(path)) as container:
        packets = (packet for packet in container.demux(video=0) if packet.size and not packet.is_corrupt)
        shown = [frame.time for packet in packets for frame in packet.decode()]
    return max(shown) - min(shown)


# -- how it ends ----------------------------------------------------------------------------------------------------


@contextmanager
def in_every_state(tmp_path: Path, model: Path) -> Iterator[dict[str, LiveRun]]:
    """Runs by what they are at."""
    with ExitStack() as stack:
        deaf, calm, silent = (stack.enter_context(HttpCamera()) for _ in range(3))
        deaf.fault = Fault.NO_ANSWER

        def begin(name: str, *words: object, **options: Any) -> LiveRun:
            run = LiveRun(tmp_path / f"{name}.log", *words, "--model", model, **options)
            return stack.enter_context(run)

        fast = "test://?rate=300"
        hangs = commanded(tmp_path, "hangs", delay_s=60)
        opens = commanded(tmp_path, "opens", open_s=60)
        runs = {
            "CONNECTING": begin("connecting", deaf.uri, PAGE, "--connect-within", 60),
            "BACKOFF": begin("backoff", f"http://127.0.0.1:{free_port()}/video", "null:"),
            "STREAMING": begin("streaming", calm.uri, tmp_path / "out.mkv"),
            "STALLED": begin("stalled", silent.uri, "null:", "--stall-after", 60),
            "a sink that hangs": begin("sink", fast, "json:-", "null:", stdout=subprocess.PIPE),
            "a model that hangs": begin("model", fast, "null:", program=hangs),
            "a model that opens": begin("opening", fast, "null:", program=opens),
        }
        runs["STALLED"].until("STREAMING")
        silent.fault = Fault.SILENCE
        for state in ("BACKOFF", "STREAMING", "STALLED"):
            runs[state].until(state)
        runs["CONNECTING"].until(lambda: deaf.connections)
        runs["a sink that hangs"].until("STREAMING")
        runs["a model that hangs"].until("STREAMING")
        runs["a model that opens"].until(OPENING)
        time.sleep(2)  # three hundred lines a second have filled the pipe long since
        yield runs


def test_a_signal_ends_it_in_order_whatever_it_is_at(tmp_path: Path, tiny_bundle: Path) -> None:
    with in_every_state(tmp_path, tiny_bundle) as runs:
        ends = dict(zip(runs, ended_together(list(runs.values())), strict=True))
        told = {state: run.told for state, run in runs.items()}
    print({state: f"{code} in {seconds:.1f} s" for state, (code, seconds) in ends.items()})
    assert {state: code for state, (code, _) in ends.items()} == dict.fromkeys(runs, 0), told
    assert max(seconds for _, seconds in ends.values()) < PROMISED_END_S, ends
    assert not [state for state, words in told.items() if "Traceback" in words or "our bug" in words], told
    assert "left behind what did not stop in time: the sink json:-" in told["a sink that hangs"]
    assert "left behind what did not stop in time: the model" in told["a model that hangs"]


def test_a_second_signal_ends_it_at_once(tmp_path: Path, tiny_bundle: Path) -> None:
    program = commanded(tmp_path, "hangs", delay_s=60)
    with LiveRun(tmp_path / "log", "test://", "null:", "--model", tiny_bundle, program=program) as run:
        run.until("STREAMING")
        run.process.send_signal(signal.SIGINT)
        run.until("once more to stop at once")
        code, seconds = run.end(signal.SIGINT)
    assert code == 130 and seconds < 1.5, run.told


def test_a_model_that_hangs_asks_for_a_restart_and_shows_all_stacks(tmp_path: Path, tiny_bundle: Path) -> None:
    program = commanded(tmp_path, "hangs", hang_least_s=1)
    with LiveRun(tmp_path / "log", "test://", tmp_path / "out.mkv", "--model", tiny_bundle, program=program) as run:
        run.until("RUNNING")
        Command(delay_s=60).write(tmp_path / "hangs.command")
        assert run.process.wait(30) == 75, run.told
        assert "in work_that_was_told_to_take_long" in run.told and "in _watch" in run.told, "one stack is missing"
        assert "the model has hung for" in run.told.splitlines()[-1]


def test_the_stacks_are_shown_on_demand_and_the_stream_goes_on(tmp_path: Path, tiny_bundle: Path) -> None:
    with LiveRun(tmp_path / "log", "test://", f"json:{tmp_path}/out.jsonl", "--model", tiny_bundle) as run:
        run.until(lambda: lines_of(tmp_path / "out.jsonl"))
        run.process.send_signal(signal.SIGUSR1)
        run.until("most recent call first")
        told = len(lines_of(tmp_path / "out.jsonl"))
        run.until(lambda: len(lines_of(tmp_path / "out.jsonl")) > told + 10)
        assert run.end()[0] == 0, run.told


# -- how it begins --------------------------------------------------------------------------------------------------


def test_a_camera_that_is_not_there_ends_a_run_that_wants_it_at_once(tmp_path: Path, tiny_bundle: Path) -> None:
    source = f"http://viewer:secret@127.0.0.1:{free_port()}/video"
    with LiveRun(tmp_path / "log", source, "null:", "--fail-fast", "--model", tiny_bundle) as run:
        assert run.process.wait(30) == 3
    *_, last = run.told.splitlines()
    assert last.startswith("fcn-edge: wanted pictures, found "), run.told
    assert "secret" not in run.told and "Traceback" not in run.told


def test_a_sink_that_lost_frames_is_told_at_the_end(tmp_path: Path, tiny_bundle: Path) -> None:
    full, whole = tmp_path / "full.jsonl", tmp_path / "whole.jsonl"
    full.symlink_to("/dev/full")
    words = ("test://?rate=10", f"json:{full}", f"json:{whole}", "--model", tiny_bundle)
    with LiveRun(tmp_path / "log", *words) as run:
        run.until(lambda: len(lines_of(whole)) > 5)
        assert run.end()[0] == 0, run.told
    ends = [line for line in run.told.splitlines() if " lost" in line]
    assert ends == [f"sink json:{full}: 0 written, {len(lines_of(whole))} lost"]


def test_a_run_begins_when_its_camera_appears(tmp_path: Path, tiny_bundle: Path) -> None:
    with HttpCamera() as camera:
        camera.refuse()
        with LiveRun(tmp_path / "log", camera.uri, f"json:{tmp_path}/out.jsonl", "--model", tiny_bundle) as run:
            run.until("BACKOFF")
            camera.listen()
            run.until(lambda: lines_of(tmp_path / "out.jsonl"), PROMISED_RECOVERY_S)
            assert run.end()[0] == 0, run.told


def test_two_runs_on_one_port_is_refused_in_one_line(tmp_path: Path, tiny_bundle: Path) -> None:
    with LiveRun(tmp_path / "log", "test://", PAGE, "--model", tiny_bundle) as run:
        page = f"http://127.0.0.1:{run.port}"
        with LiveRun(tmp_path / "second.log", "test://", page, "--model", tiny_bundle) as second:
            assert second.process.wait(30) == 2
        last = second.told.splitlines()[-1]
        assert last.startswith(f"fcn-edge: wanted to listen at 127.0.0.1 port {run.port} for the live page, found: ")
        assert "Traceback" not in second.told
        run.until("RUNNING")
        assert run.end()[0] == 0, run.told


def test_systemd_hears_that_it_is_ready_lives_and_stops(tmp_path: Path, tiny_bundle: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(0.1)
        heard: list[str] = []

        def hear(word: str) -> bool:
            with suppress(TimeoutError):
                while word not in heard:
                    heard.append(manager.recv(4096).decode())
            return word in heard

        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000"}
        words = (f"http://127.0.0.1:{free_port()}/video", "null:", "--model", tiny_bundle)
        with LiveRun(tmp_path / "log", *words, environment=environment) as run:
            run.until(lambda: hear("READY=1"))  # though no camera is there
            run.until(lambda: hear("WATCHDOG=1"))
            assert run.end()[0] == 0, run.told
            assert hear("STOPPING=1") and any(word.startswith("STATUS=") for word in heard), heard


# -- what it leaves -------------------------------------------------------------------------------------------------


def test_recordings_survive_a_kill_to_within_a_second(tmp_path: Path, tiny_bundle: Path) -> None:
    videos, lines = [tmp_path / "a.mkv", tmp_path / "b.mp4"], tmp_path / "out.jsonl"
    words = ("test://?rate=20", *videos, f"json:{lines}", "--model", tiny_bundle)
    with LiveRun(tmp_path / "log", *words) as run:
        run.until(lambda: len(lines_of(lines)) > 60)
        readers = descendants(run.process.pid)
        run.process.kill()
        run.process.wait()
        assert readers and _all_gone(readers), "a process that read a camera outlives the run"
    told = lines_of(lines)
    lasted_s = told[-1]["time_s"] - told[0]["time_s"]
    left = sorted(tmp_path.glob(".*.part"), key=lambda path: path.name)
    assert [path.name[:6] for path in left] == [".a.mkv", ".b.mp4"]
    assert lasted_s > 2 and min(seconds_of(path) for path in left) > lasted_s - 1.0
    with LiveRun(tmp_path / "next.log", *words) as run:
        for video in videos:
            run.until(f"{video}: recovered a recording that was cut short")
        run.until(lambda: len(lines_of(lines)) > len(told) + 5)
        assert run.end()[0] == 0, run.told
    assert min(seconds_of(video) for video in videos) > lasted_s - 1.0
    assert min(seconds_of(tmp_path / name) for name in ("a-0001.mkv", "b-0001.mp4")) > 0
    assert not list(tmp_path.glob(".*"))


def _all_gone(pids: list[int], within_s: float = PROMISED_END_S) -> bool:
    ends_s = time.monotonic() + within_s
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < ends_s:
        time.sleep(0.05)
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.skipif(small_disk.why_not() is not None, reason=str(small_disk.why_not()))
def test_a_disk_that_fills_up_stops_its_sinks_alone_and_they_go_on_when_it_is_freed(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    def sink(name: str) -> dict[str, Any]:
        return next(sink for sink in run.state()["sinks"] if name in sink["name"])

    with SmallDisk(tmp_path / "disk", 8 << 20) as disk:
        sinks = (disk.folder / "out.mkv", f"json:{disk.folder}/out.jsonl", PAGE)
        words = ("test://?rate=20", *sinks, "--free-gib", 0.001, "--model", tiny_bundle)
        program = (*disk.enter, sys.executable, "-m", "fcn_edge")
        with LiveRun(tmp_path / "log", *words, program=program) as run:
            run.until(lambda: sink("mkv")["written"] > 20)
            disk.fill()
            run.until(lambda: sink("mkv")["reason"] and sink("jsonl")["reason"], PROMISED_RECOVERY_S)
            before = run.state()
            assert sink("mkv")["reason"]["code"] == "DISK_FULL"
            run.until(lambda: run.state()["sources"][0]["counts"]["segmented"] > _segmented(before) + 20)
            disk.free()
            run.until(lambda: not sink("mkv")["reason"] and not sink("jsonl")["reason"], PROMISED_RECOVERY_S)
            written = sink("mkv")["written"]
            run.until(lambda: sink("mkv")["written"] > written + 20)
            assert run.end()[0] == 0, run.told
        assert sorted(path.name for path in disk.seen.glob("*.mkv")) == ["out-0001.mkv", "out.mkv"]
        assert min(seconds_of(path) for path in disk.seen.glob("*.mkv")) > 0.5
        indices = [line["index"] for line in lines_of(disk.seen / "out.jsonl")]
        assert indices == sorted(set(indices)) and len(indices) > 40
        assert (disk.seen / "out.jsonl").read_bytes().endswith(b"}\n")
    assert "Traceback" not in run.told


def _segmented(state: dict[str, Any]) -> int:
    return int(state["sources"][0]["counts"]["segmented"])


def test_lines_tell_how_many_frames_were_dropped_before_each(tmp_path: Path, tiny_bundle: Path) -> None:
    lines = tmp_path / "out.jsonl"
    words = ("test://?rate=30", f"json:{lines}", PAGE, "--model", tiny_bundle)
    with LiveRun(tmp_path / "log", *words, program=commanded(tmp_path, "slow", delay_s=0.15)) as run:
        run.until(lambda: len(lines_of(lines)) > 15)
        assert run.end()[0] == 0, run.told
    told = lines_of(lines)
    dropped = sum(line["dropped_before"] for line in told)
    segmented, received = map(int, run.told.split(" frames segmented")[0].split("\n")[-1].split(" of "))
    assert segmented == len(told) and dropped > 2 * segmented
    assert received - 3 <= segmented + dropped <= received, "but for those after the last line"


def test_each_source_has_sinks_of_its_own(tmp_path: Path, tiny_bundle: Path) -> None:
    words = ("gate=test://?rate=20&size=96x128", "--also", "yard=test://?rate=5&size=64x96", "--model", tiny_bundle)
    sinks = (f"json:{tmp_path}/{{source}}.jsonl", f"{tmp_path}/{{source}}.mkv", f"json:{tmp_path}/all.jsonl")
    with LiveRun(tmp_path / "log", *words[:1], *sinks, *words[1:]) as run:
        run.until(lambda: len(lines_of(tmp_path / "yard.jsonl")) > 5)
        assert run.end()[0] == 0, run.told
    told = {name: lines_of(tmp_path / f"{name}.jsonl") for name in ("gate", "yard", "all")}
    assert {name: {line["source"] for line in lines} for name, lines in told.items()} == {
        "gate": {"gate"},
        "yard": {"yard"},
        "all": {"gate", "yard"},
    }
    assert len(told["all"]) == len(told["gate"]) + len(told["yard"])
    for name, size_hw in (("gate", (96, 128)), ("yard", (64, 96))):
        with av.open(str(tmp_path / f"{name}.mkv")) as container:
            assert (container.streams.video[0].height, container.streams.video[0].width) == size_hw
            assert sum(1 for _ in container.decode(video=0)) == len(told[name])


# -- what changes nothing -------------------------------------------------------------------------------------------


@pytest.fixture
def wall_clock(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """The file that holds how many seconds the wall clock is ahead, and the environment of a process that obeys it."""
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler: no wall clock that jumps")
    library, ahead = tmp_path / "wall_clock.so", tmp_path / "ahead"
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(Path(__file__).with_name("wall_clock.c"))]
    subprocess.run(command, check=True, timeout=60)
    ahead.write_text("0")
    return ahead, {"LD_PRELOAD": str(library), "WALL_CLOCK_FILE": str(ahead)}


def test_a_wall_clock_that_jumps_changes_nothing_but_names(
    tmp_path: Path, tiny_bundle: Path, wall_clock: tuple[Path, dict[str, str]]
) -> None:
    """An hour ahead, an hour back, and while a camera is lost."""
    ahead, environment = wall_clock
    lines, videos = tmp_path / "out.jsonl", tmp_path / "{source}-%d-%H%M%S.mkv"
    with HttpCamera(rate=10) as lost:
        words = ("still=test://?rate=20", "--also", f"lost={lost.uri}", "--model", tiny_bundle)
        sinks = (videos, f"json:{lines}", PAGE)
        with LiveRun(tmp_path / "log", words[0], *sinks, *words[1:], environment=environment) as run:
            run.until(lambda: {line["source"] for line in lines_of(lines)} == {"still", "lost"})
            ahead.write_text("3600")
            _advance(run, lines)
            lost.refuse()
            run.until("lost: STREAMING -> ")
            ahead.write_text("-3600")
            _advance(run, lines)
            lost.listen()
            told = len(lines_of(lines))
            back = lambda: any(line["source"] == "lost" for line in lines_of(lines)[told:])  # noqa: E731
            run.until(back, PROMISED_RECOVERY_S)
            state = run.state()
            assert run.end()[0] == 0, run.told
    still = [line for line in lines_of(lines) if line["source"] == "still"]
    times_s = [line["time_s"] for line in still]
    assert max(after - before for before, after in pairwise(times_s)) < 2 < times_s[-1] - times_s[0] < 300
    assert all(0 <= line["age_ms"] < 1000 for line in lines_of(lines))
    assert 0 < state["uptime_s"] < 300 and 0 <= state["sources"][0]["since_s"] < 300
    named = {int(path.stem.split("-")[2][:2]) for path in tmp_path.glob("still-*.mkv")}
    for seconds in (-3600, 3600):  # from now, or from before the hour struck
        assert named & {time.localtime(time.time() + seconds - ago_s).tm_hour for ago_s in (0, 120)}, named
    assert "Traceback" not in run.told


def _advance(run: LiveRun, lines: Path) -> None:
    """Until a second of video has come since the clock jumped."""
    told = len(lines_of(lines))
    run.until(lambda: len(lines_of(lines)) > told + 25, PROMISED_RECOVERY_S)


@contextmanager
def viewers_that_never_read(port: int, count: int) -> Iterator[None]:
    head = f"Host: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
    with ExitStack() as stack:
        for number in range(count):
            viewer = stack.enter_context(socket.socket())
            viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            viewer.connect(("127.0.0.1", port))
            asked = f"/live HTTP/1.1\r\n{head}{upgrade}{'A' * 22}==" if number % 2 else f"/stream HTTP/1.1\r\n{head}"
            viewer.sendall(f"GET {asked.strip()}\r\n\r\n".encode())
        yield


def test_twenty_viewers_that_never_read_take_less_than_a_twentieth_of_the_rate(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    """With and without them in turns; a machine that has others to serve may need to be asked again."""

    def passed() -> tuple[float, float]:
        """Frames and seconds of a while."""
        before = run.state()
        time.sleep(1.0)
        after = run.state()
        return _segmented(after) - _segmented(before), after["uptime_s"] - before["uptime_s"]

    def rates() -> tuple[float, float]:
        alone, watched = [], []
        for _ in range(6):
            alone.append(passed())
            with viewers_that_never_read(run.port, 20):
                watched.append(passed())
                assert run.state()["sinks"][0]["facts"]["viewers"] > 0
        return _rate(alone), _rate(watched)

    with LiveRun(tmp_path / "log", "test://?rate=25", PAGE, "--model", tiny_bundle) as run:
        run.until("RUNNING")
        found: list[tuple[float, float]] = []
        while len(found) < 3 and not (found and found[-1][1] > 0.95 * found[-1][0]):
            found.append(rates())
        assert run.end()[0] == 0, run.told
    print(f"frames a second, without and with them: {found}")
    assert found[-1][1] > 0.95 * found[-1][0] > 0, found


def _rate(windows: list[tuple[float, float]]) -> float:
    frames, seconds = (sum(column) for column in zip(*windows, strict=True))
    return frames / seconds
