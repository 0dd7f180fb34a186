"""A build under watch: TensorRT tells its steps and obeys a wish to stop; version 8 can do neither."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from export import build_progress
from export.build_progress import watched_build
from tests.export.small_tensorrt import Monitor, SmallTensorrt

Work = Callable[[Any], Any]


def watched(trt: Any, work: Work) -> Any:
    """What a build gives whose work is a function of its config."""
    builder = SimpleNamespace(build_serialized_network=lambda network, config: work(config))
    return watched_build(trt, builder, None, SimpleNamespace(progress_monitor=None), "building int8")


def tell_steps(config: Any, before_step: Callable[[int], None] = lambda step: None) -> str | None:
    """As TensorRT 10 tells them: a phase with others inside. None where it was asked to stop."""
    monitor = config.progress_monitor
    monitor.phase_start("Building", None, 2)
    monitor.phase_start("Timing", "Building", 30)
    for step in range(30):
        before_step(step)
        if not monitor.step_complete("Timing", step):
            return None
    monitor.phase_finish("Timing")
    monitor.step_complete("Building", 0)
    monitor.phase_finish("Building")
    return "plan"


def test_the_steps_of_a_build_are_told_with_their_phase(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fcn_edge.progress.LOG_EVERY_S", 0.0)
    assert watched(SmallTensorrt(10), tell_steps) == "plan"
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "building int8: 1 Timing 1/30" and told[-1] == "building int8: 31 Building 1/2"


def test_a_phase_of_which_nobody_spoke_is_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert watched(SmallTensorrt(10), lambda config: config.progress_monitor.step_complete("Late", 0)) is True


def test_version_8_tells_nothing_so_the_seconds_are_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fcn_edge.progress.LOG_EVERY_S", 0.0)
    monkeypatch.setattr(build_progress, "TICK_S", 0.05)

    def work(config: Any) -> Any:
        time.sleep(0.3)
        return config.progress_monitor

    assert watched(SmallTensorrt(8), work) is None
    told = capsys.readouterr().err.splitlines()
    assert told[:2] == ["building int8, seconds: 1", "building int8, seconds: 2"]


def press_ctrl_c() -> None:
    """And give the main thread time to hear it."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.3)


def test_ctrl_c_stops_a_build_between_two_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build_progress, "TICK_S", 0.05)
    before, steps = signal.getsignal(signal.SIGINT), []

    def pressed_in_the_third(step: int) -> None:
        steps.append(step)
        if step == 2:
            press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        watched(SmallTensorrt(10), lambda config: tell_steps(config, pressed_in_the_third))
    assert steps == [0, 1, 2]
    assert "stopping after this step of the build; once more to stop at once" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_version_8_cannot_be_stopped_and_the_wish_holds_after_its_build(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build_progress, "TICK_S", 0.05)
    with pytest.raises(KeyboardInterrupt):
        watched(SmallTensorrt(8), lambda config: press_ctrl_c())
    assert "which TensorRT 8 cannot break off; once more to stop at once" in capsys.readouterr().err


def test_what_goes_wrong_in_the_other_thread_is_raised_here() -> None:
    def fail(config: Any) -> None:
        raise TypeError("incompatible function arguments")

    with pytest.raises(TypeError, match="incompatible"):
        watched(SmallTensorrt(10), fail)


def test_a_build_outside_the_main_thread_works_too() -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(watched(SmallTensorrt(10), tell_steps)))
    thread.start()
    thread.join(10)
    assert found == ["plan"]


def test_the_monitor_is_of_tensorrts_own_kind() -> None:
    assert isinstance(watched(SmallTensorrt(11), lambda config: config.progress_monitor), Monitor)
