"""service: what a service manager's socket hears, and when. The socket is ours."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

from runtime.stream.service import Service


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Manager:
    """A service manager's end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@fcn-edge-test-{os.getpid()}"
    listening = Manager(address)
    yield listening
    listening.socket.close()


def environment(manager: Manager, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": manager.address, **more}


def test_it_tells_that_it_is_ready_and_that_it_stops(manager: Manager) -> None:
    service = Service.from_environment(environment(manager))
    service.ready()
    service.stopping()
    assert manager.heard() == ["READY=1", "STOPPING=1"]


def test_the_status_is_told_every_five_seconds(manager: Manager) -> None:
    clock = Clock()
    service = Service(manager.address, clock=clock)
    for second in range(11):
        service.tick(f"second {second}")
        clock.now_s += 1
    assert manager.heard() == ["STATUS=second 0", "STATUS=second 5", "STATUS=second 10"]


def test_a_sign_of_life_is_given_three_times_in_what_the_watchdog_allows(manager: Manager) -> None:
    clock = Clock()
    service = Service(manager.address, watchdog_s=30.0, clock=clock)
    signs = []
    for _ in range(60):
        service.tick("")
        signs.append("WATCHDOG=1" in manager.heard())
        clock.now_s += 1
    assert [second for second, given in enumerate(signs) if given] == [0, 10, 20, 30, 40, 50]


def test_while_nobody_ticks_there_is_no_sign_of_life(manager: Manager) -> None:
    service = Service(manager.address, watchdog_s=0.001)
    service.ready()
    assert manager.heard() == ["READY=1"]


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_what_systemd_set_for_this_process(
    manager: Manager, told: dict[str, str], seconds: float | None
) -> None:
    assert Service.from_environment(environment(manager, **told)).watchdog_s == seconds


def test_words_of_a_camera_cannot_add_a_message_of_their_own(manager: Manager) -> None:
    Service(manager.address).tick("gate:\nSTOPPING=1\0\x1b[2J")
    assert manager.heard() == ["STATUS=gate: STOPPING=1??[2J"]


@pytest.mark.parametrize("address", [None, "", "vsock:2:1", "relative"])
def test_outside_of_systemd_nothing_is_told(address: str | None) -> None:
    service = Service.from_environment({"WATCHDOG_USEC": "1"} | ({} if address is None else {"NOTIFY_SOCKET": address}))
    for tell in told_by(service):
        tell()
    assert service.address is None and service.watchdog_s is None


def told_by(service: Service) -> list[Callable[[], None]]:
    return [service.ready, lambda: service.tick("fine"), service.stopping]


def test_a_manager_that_has_gone_is_no_fault_of_the_stream(tmp_path: Path) -> None:
    for tell in told_by(Service(str(tmp_path / "gone"), watchdog_s=30.0)):
        tell()


def test_a_manager_that_does_not_read_holds_nobody_up_for_long(tmp_path: Path) -> None:
    deaf = Manager(str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        filler.setblocking(False)
        with pytest.raises(BlockingIOError):
            for _ in range(10_000):
                filler.sendto(b"x", deaf.address)
        before = monotonic()
        Service(deaf.address).ready()
        assert monotonic() - before < 5
    deaf.socket.close()
