"""A build that takes minutes, watched: progress while TensorRT works, and Ctrl-C as a wish that it obeys.

TensorRT works in a thread of its own, for a signal reaches Python only in a main thread that waits for nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from typing import Any

from fcn_edge.interrupt import Interrupt
from fcn_edge.progress import Step, progress

TICK_S = 1.0  # how soon a signal is seen, and the step of the clock that is shown where TensorRT tells nothing


def watched_build(trt: Any, builder: Any, network: Any, config: Any, title: str) -> Any:
    """`builder.build_serialized_network`: a trt.IHostMemory, or None where TensorRT failed.

    Raises KeyboardInterrupt when the user stopped it: TensorRT 10 and later end between two steps, 8.x only with the
    build itself. The second signal ends the process at once.
    """
    told = hasattr(trt, "IProgressMonitor")
    interrupt = Interrupt("step of the build" if told else "build, which TensorRT 8 cannot break off")
    with _listening(interrupt), progress(title if told else f"{title}, seconds", None) as step:
        if told:
            config.progress_monitor = _monitor(trt, step, interrupt)
        with ThreadPoolExecutor(1) as thread:
            building = thread.submit(builder.build_serialized_network, network, config)
            _wait(building, None if told else step)
    if interrupt.wished:
        raise KeyboardInterrupt
    return building.result()


@contextmanager
def _listening(interrupt: Interrupt) -> Iterator[None]:
    """Signals are the main thread's; from any other a build is not interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with interrupt.listening():
        yield


def _wait(building: Future[Any], clock: Step | None) -> None:
    while not wait_for([building], TICK_S).done:
        if clock:
            clock()


def _monitor(trt: Any, tell: Step, interrupt: Interrupt) -> Any:
    """A trt.IProgressMonitor, whose base is known only once TensorRT is imported. Called from several threads."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}  # phase -> how many it has
            self.lock = threading.Lock()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            with self.lock:
                tell(f"{phase_name} {step + 1}/{self.steps.get(phase_name, '?')}")
            return not interrupt.wished

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

    return Monitor()
