"""fcn_edge.telemetry: no verb lets onnxruntime report to its vendor, unless the user wants it to."""

from __future__ import annotations

import os

import pytest

from tests.conftest import call_fcn_edge


@pytest.mark.parametrize(("users", "found"), [(None, "1"), ("0", "0"), ("1", "1")])
def test_every_verb_refuses_telemetry_unless_the_user_said_otherwise(
    monkeypatch: pytest.MonkeyPatch, users: str | None, found: str
) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", users or "")
    if users is None:
        monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    call_fcn_edge("--version")
    assert os.environ["ORT_DISABLE_TELEMETRY"] == found
