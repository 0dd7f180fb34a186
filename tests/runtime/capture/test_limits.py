"""runtime.capture.limits: the usual ones keep the promise, and impossible ones are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import runtime.capture
from fcn_edge.errors import UsageError
from runtime.capture.limits import Limits
from runtime.capture.process import KILLED_WITHIN_S

STARTS_WITHIN_S = 1.0  # a child, on a small machine


def test_the_usual_limits_find_a_camera_that_is_back_within_15_seconds() -> None:
    limits = Limits()
    hanging_s = limits.connect_s + limits.grace_s + KILLED_WITHIN_S
    stalled_s = limits.stall_s + limits.grace_s + KILLED_WITHIN_S
    assert max(hanging_s, stalled_s, limits.retry_most_s) + STARTS_WITHIN_S < 15


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_that_cannot_be_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match="wanted stall_s of a source above 0, found"):
        Limits(stall_s=value)


def test_the_wall_clock_which_may_jump_is_never_asked() -> None:
    asked = re.compile(r"\btime\.time\b|\bimport time\(|from time import .*\btime\b(?!_)|datetime|localtime|gmtime")
    files = list(Path(runtime.capture.__file__).parent.glob("*.py"))
    assert len(files) > 10
    assert not [path.name for path in files if asked.search(path.read_text(encoding="utf-8"))]
