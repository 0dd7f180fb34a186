"""The stream's state and the reasons for it, from the states of its parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic

from runtime.stream.status import Reason, SinkStatus, SourceState, SourceStatus, StreamState

MODEL_FAILURE_TOLD_S = 10.0  # how long one failure of the model degrades the stream
NO_FRAME_YET_S = 10.0  # a stream that has waited so long for its first frame is not starting any more


def reasons_of(
    sources: Iterable[SourceStatus], sinks: Iterable[SinkStatus], others: Iterable[Reason | None]
) -> list[Reason]:
    """All that is wrong now, worst first: no frames, a model that fails, a sink, the machine."""
    found = [source.reason or _absent(source) for source in sources if source.live and _is_wrong(source)]
    return [reason for reason in (*found, *others, *(sink.reason for sink in sinks)) if reason]


def _is_wrong(source: SourceStatus) -> bool:
    if source.reason:
        return True
    return source.state is SourceState.CONNECTING and source.since_s > NO_FRAME_YET_S


def _absent(source: SourceStatus) -> Reason:
    return Reason(
        "NO_SIGNAL",
        f"{source.name}: no frame for {source.since_s:.0f} s",
        "check its power, cable and address",
    )


def model_reason(failed_at_s: float | None) -> Reason | None:
    """While the model's last failure is recent."""
    if failed_at_s is None or monotonic() - failed_at_s > MODEL_FAILURE_TOLD_S:
        return None
    return Reason("MODEL_FAILED", "the model failed on a frame", "see the log; if it goes on the process is restarted")


class StateClock:
    """The stream's state, and since when it has been in it. Safe for many threads: it only ever replaces one pair."""

    def __init__(self) -> None:
        self._began = StreamState.STARTING, monotonic()

    def now(self, *, has_frames: bool, is_stopping: bool, reasons: Sequence[Reason]) -> tuple[StreamState, float]:
        state, since = self._began
        found = _state(has_frames, is_stopping, reasons)
        if found is not state:
            state, since = found, monotonic()
            self._began = state, since
        return state, monotonic() - since


def _state(has_frames: bool, is_stopping: bool, reasons: Sequence[Reason]) -> StreamState:
    if is_stopping:
        return StreamState.STOPPING
    if reasons:
        return StreamState.DEGRADED
    return StreamState.RUNNING if has_frames else StreamState.STARTING
