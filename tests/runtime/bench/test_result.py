"""runtime.bench.result: figures that come back from JSON as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fcn_edge.errors import SourceError
from fcn_edge.files import write_json
from runtime.bench.result import OPEN, BenchResult, read_result
from tests.runtime.bench.results import RESULT, result


@pytest.mark.parametrize(
    "there",
    [RESULT, result(energy=(), cold_start=None), result(mode=OPEN, rate=25.0, dropped=3, late=4, stable=False)],
    ids=["all", "the least", "open loop"],
)
def test_a_result_comes_back_from_its_file(there: BenchResult, tmp_path: Path) -> None:
    write_json(tmp_path / "bench.json", there.to_json())
    assert read_result(tmp_path / "bench.json") == there


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", json.dumps({**RESULT.to_json(), "schema_version": 99}), json.dumps({"schema_version": 1})],
)
def test_a_file_that_holds_no_result_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    path.write_text(text)
    with pytest.raises(SourceError, match="measure again") as caught:
        read_result(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_result_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="found nothing at"):
        read_result(tmp_path / "none.json")


def test_what_a_newer_version_added_is_refused_rather_than_lost(tmp_path: Path) -> None:
    write_json(tmp_path / "bench.json", {**RESULT.to_json(), "colour": "red"})
    with pytest.raises(SourceError, match="colour"):
        read_result(tmp_path / "bench.json")
