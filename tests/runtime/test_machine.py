"""runtime.machine: what figures must be read with."""

from __future__ import annotations

import os

from runtime.machine import machine


def test_the_machine_is_described_by_what_this_process_may_use() -> None:
    described = machine()
    assert described["cores"] == len(os.sched_getaffinity(0))
    assert described["processor"] and described["system"] and described["python"]
