"""What benchmarks share: figures of many values, tables, and what a child process measured."""

from __future__ import annotations

import subprocess

import cv2
import pytest
import torch

from benchmarks.child import NO_CACHE, figures_of
from benchmarks.processors import threads
from benchmarks.told import markdown, medians, percentiles, spread


def test_a_spread_leaves_out_a_tenth_at_either_end() -> None:
    assert spread(range(11)) == {"median": 5.0, "p10": 1.0, "p90": 9.0}
    assert percentiles([1.0, 2.0], (50, 95)) == {"p50": 1.5, "p95": pytest.approx(1.95)}


def test_the_median_is_of_each_figure_by_itself() -> None:
    assert medians([{"ms": 1.0, "mb": 9.0}, {"ms": 5.0, "mb": 8.0}, {"ms": 3.0, "mb": 7.0}]) == {"ms": 3.0, "mb": 8.0}


def test_a_table_has_its_numbers_on_the_right() -> None:
    assert markdown([["model", "ms"], ["fp32", "1.0"]]) == "| model | ms |\n| --- | ---: |\n| fp32 | 1.0 |"


def test_a_childs_figures_are_read_and_its_failure_is_none() -> None:
    program = "import json, os, sys; print(json.dumps({sys.argv[1]: len(os.environ['XDG_CACHE_HOME'])}))"
    assert figures_of("-c", program, "length", XDG_CACHE_HOME=NO_CACHE) == {"length": len(NO_CACHE)}
    with pytest.raises(subprocess.CalledProcessError):
        figures_of("-c", "raise SystemExit(3)")


def test_threads_are_as_before_after_the_block() -> None:
    before = torch.get_num_threads(), cv2.getNumThreads()
    with pytest.raises(KeyError), threads(3):
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (3, 3)
        raise KeyError
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before
