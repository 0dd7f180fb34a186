"""What the tests of cameras must not take for their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.runtime.capture.watching import STRANGERS, children


@pytest.fixture(autouse=True)
def strangers() -> Iterator[None]:
    """Processes that were there before are nobody's leak here."""
    STRANGERS.clear()
    STRANGERS.update(children())
    yield
    STRANGERS.clear()
