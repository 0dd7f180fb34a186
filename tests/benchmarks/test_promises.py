"""The table of promises, out of results as the scripts write them."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.promises import promises, table
from runtime.machine import machine

HERE = machine()
SPREAD = {"median": 4.1, "p10": 4.0, "p90": 4.3}
LIMITS = [
    {"promise": "times as fast", "wanted": 6.0, "reached": SPREAD, "at_limit": 4.4, "kept": False},
    {"promise": "times as long", "wanted": 5.0, "reached": SPREAD, "at_limit": 1.0, "kept": True},
]
RESULTS = {
    "limits.edge": {"size_hw": [360, 480], "promises": LIMITS},
    "stream": {"allowed_p50_ms": 10.0, "ms_p50_p95_p99": {"frame to mask in the stream": [11.0, 12.0, 13.0]}},
    "opening": {"b, onnxruntime, int8-cpu": {"no cache": {"ms": 240.0}}, "b, openvino, int8-cpu": {}},
    "engines": {
        "pictures": 9,
        "rows": [
            {"precision": "fp32", "engine": "openvino", "mean_iou_drop": 0.1},
            {"precision": "int8-cpu", "engine": "openvino", "mean_iou_drop": 0.004},
        ],
    },
}


def test_each_promise_stands_with_what_was_reached_and_when(tmp_path: Path) -> None:
    for name, figures in RESULTS.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"date": "2026-01-02", "machine": HERE, **figures}))
    found = list(promises(tmp_path, HERE))
    assert [one.is_kept for one in found] == [False, True, False, True, False]
    assert {one.when for one in found} == {"2026-01-02"}
    assert found[-1].reached == "0.40 points"
    assert "| **not kept** | stream, 2026-01-02 |" in table(iter(found))


def test_what_another_machine_reached_is_nothing_of_this_one(tmp_path: Path) -> None:
    figures = {"date": "2026-01-02", "machine": {**HERE, "processor": "Z80"}, **RESULTS["stream"]}
    (tmp_path / "stream.json").write_text(json.dumps(figures))
    assert list(promises(tmp_path, HERE)) == []
