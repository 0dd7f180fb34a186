"""Why a live source cannot be read: a code of a small set, what was found and what to do."""

from __future__ import annotations

from runtime.stream.status import Reason


class CaptureFailure(Exception):
    """A source could not be opened, or was lost. Text and cure hold no credentials."""

    def __init__(self, code: str, text: str, cure: str) -> None:
        super().__init__(text)
        self.code, self.text, self.cure = code, text, cure

    def __reduce__(self) -> tuple[type[CaptureFailure], tuple[str, str, str]]:
        return CaptureFailure, (self.code, self.text, self.cure)

    @property
    def reason(self) -> Reason:
        return Reason(self.code, self.text, self.cure)
