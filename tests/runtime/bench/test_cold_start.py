"""runtime.bench.cold_start: fresh processes, each to its first mask."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fcn_edge.errors import ModelError
from runtime.bench import cold_start as module
from runtime.bench.cold_start import cold_start
from runtime.bench.result import ColdStart
from tests.conftest import call_fcn_edge

SERVING = {"engine": "onnxruntime", "precision": "fp32", "threads": 1, "trust_engine": False, "cuda_graph": True}


def test_a_fresh_process_tells_how_long_each_part_took(tiny_bundle: Path) -> None:
    start = cold_start(tiny_bundle, SERVING)
    assert start.total_s == pytest.approx(start.import_s + start.open_s + start.first_mask_s)
    assert min(start.import_s, start.open_s, start.first_mask_s) > 0 and start.starts == 3


def test_the_start_in_the_middle_is_told_with_its_own_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = iter(ColdStart(total, total - 2, 1.0, 1.0, 3) for total in (9.0, 3.0, 4.0))
    monkeypatch.setattr(module, "_start", lambda *words: next(starts))
    assert cold_start(Path("model"), {}) == ColdStart(4.0, 2.0, 1.0, 1.0, 3)


def test_a_start_that_fails_is_told_in_one_line_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no_such_model"):
        cold_start(tmp_path / "no_such_model", SERVING)


def test_a_start_that_does_not_end_is_given_up(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_S", 0.05)
    with pytest.raises(ModelError, match="wanted a first mask within"):
        cold_start(tiny_bundle, SERVING)


def test_what_was_measured_before_a_start_that_fails_is_not_lost(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_S", 0.05)
    figures = tmp_path / "bench.json"
    done = call_fcn_edge("bench", tiny_bundle, "--frames", 3, "--warmup", 0, "--cold-start", "--json", figures)
    assert done.returncode == 4 and "wanted a first mask within" in done.stderr
    assert "ms p50" in done.stdout and json.loads(figures.read_text())["frames"] == 3
