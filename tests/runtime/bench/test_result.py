"""runtime.bench.result: figures that come back from JSON as they were."""

from __future__ import annotations

import json

import pytest

from runtime.bench.result import OPEN, BenchResult
from tests.runtime.bench.results import RESULT, result


@pytest.mark.parametrize(
    "there",
    [RESULT, result(energy=(), cold_start=None), result(mode=OPEN, rate=25.0, dropped=3, late=4, stable=False)],
    ids=["all", "the least", "open loop"],
)
def test_a_result_comes_back_from_json(there: BenchResult) -> None:
    assert BenchResult.from_json(json.loads(json.dumps(there.to_json()))) == there


@pytest.mark.parametrize("content", [[], {}, None, {**RESULT.to_json(), "schema_version": 99}, {"schema_version": 1}])
def test_what_is_no_result_is_refused(content: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        BenchResult.from_json(content)


def test_what_a_newer_version_added_is_refused_rather_than_lost() -> None:
    with pytest.raises(TypeError, match="colour"):
        BenchResult.from_json({**RESULT.to_json(), "colour": "red"})
