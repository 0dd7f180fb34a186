"""The table of peers: whoever fails or computes something else is seen."""

from __future__ import annotations

import numpy as np

from benchmarks.peers import EAGER, REFERENCE, measured, table


def _fails() -> None:
    raise RuntimeError("(5) unsupported operator TopK\nat somewhere.cpp")


def test_a_peer_that_fails_is_told_and_the_others_are_measured() -> None:
    right, wrong = np.zeros((4, 4), np.uint8), np.eye(4, dtype=np.uint8)
    openers = {
        EAGER: lambda: lambda frame: right,
        REFERENCE: lambda: lambda frame: right,
        "does not open": _fails,
        "does not run": lambda: lambda frame: _fails(),
        "another network": lambda: lambda frame: wrong,
    }
    told = measured(openers, np.zeros((4, 4, 3), np.uint8), rounds=2, frames=1)
    assert list(told) == list(openers)
    assert "unsupported operator TopK" in told["does not open"]["error"]
    assert "unsupported operator TopK" in told["does not run"]["error"]
    assert told[REFERENCE]["ratio"] == 1.0
    assert told["another network"]["agreement"] == 0.75
    assert "unsupported operator TopK" in table(told, threads=1)
