"""What is said of a stream in words: a line for what changed, and one for how it goes. Pure; `teller` prints them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from fcn_edge.credentials import redact
from fcn_edge.errors import printable
from runtime.stream.status import Reason, SourceState, SourceStatus, Spread, Status

STREAM = "stream"
WELL = ("ok", "STARTING", "STOPPING")  # not worth a first line
TRYING = {SourceState.CONNECTING.value, SourceState.BACKOFF.value}


@dataclass(frozen=True)
class Condition:
    """How a source, a sink or the whole stream is."""

    state: str
    reasons: tuple[Reason, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """Texts hold seconds that count up: another code is another reason, another text is not."""
        return tuple(reason.code for reason in self.reasons)


def lines_for(before: Status | None, now: Status) -> list[str]:
    """A line for every source, sink or stream whose state or reason is another than before."""
    was = conditions(before) if before else {}
    found = (line_for(name, was.get(name), condition) for name, condition in conditions(now).items())
    return [line for line in found if line]


def conditions(status: Status) -> dict[str, Condition]:
    """By name; of the stream only the reasons that no source and no sink has."""
    sources = {source.name: Condition(source.state.value, _one(source.reason)) for source in status.sources}
    sinks = {f"sink {sink.name}": Condition(sink.state, _one(sink.reason)) for sink in status.sinks}
    told = {reason for condition in (*sources.values(), *sinks.values()) for reason in condition.reasons}
    own = tuple(reason for reason in status.reasons if reason not in told)
    return {**sources, **sinks, STREAM: Condition(status.state.value, own)}


def _one(reason: Reason | None) -> tuple[Reason, ...]:
    return (reason,) if reason else ()


def line_for(name: str, before: Condition | None, now: Condition) -> str | None:
    """`gate: STREAMING -> STALLED: no frame for 5 s; check its cable`; None where nothing changed.

    A source that tries again and again goes from CONNECTING to BACKOFF and back: only another reason is news.
    """
    if before is None:
        return None if now.state in WELL else said(name, now.state, now.reasons)
    now = carried(before, now)
    if now.codes == before.codes and (now.state == before.state or {now.state, before.state} == TRYING):
        return None
    states = now.state if now.state == before.state else f"{before.state} -> {now.state}"
    return said(name, states, now.reasons)


def carried(before: Condition | None, now: Condition) -> Condition:
    """A new attempt does not know yet what is wrong: what was wrong before is."""
    if before and not now.reasons and {now.state, before.state} <= TRYING:
        return replace(now, reasons=before.reasons)
    return now


def said(name: str, states: str, reasons: Iterable[Reason] = ()) -> str:
    why = "".join(f": {reason.text}; {reason.cure}" for reason in reasons)
    return _fit_to_print(f"{name}: {states}{why}")


def headline(status: Status) -> str:
    """How it goes, in one line: `RUNNING: 25.0 fps in, 24.8 out, age 31 ms (p95 45), 12 dropped (stale 12)`."""
    parts = [
        f"{status.received_fps:.1f} fps in, {status.segmented_fps:.1f} out",
        _age(status.age_at_mask_ms),
        _lost("dropped", (source.counts.dropped for source in status.sources)),
        _lost("bad", (source.counts.bad for source in status.sources)),
        *(_absent(source) for source in status.sources if source.live),
        *(f"sink {sink.name} {sink.state}" for sink in status.sinks if sink.state != "ok"),
    ]
    return _fit_to_print(f"{status.state.value}: {', '.join(part for part in parts if part)}")


def _age(age_ms: Spread) -> str:
    if age_ms.p50 is None:
        return ""
    return f"age {age_ms.p50:.0f} ms" + (f" (p95 {age_ms.p95:.0f})" if age_ms.p95 is not None else "")


def _lost(how: str, of_sources: Iterable[Mapping[str, int]]) -> str:
    causes = sum(map(Counter, of_sources), Counter[str]())
    told = ", ".join(f"{cause} {count}" for cause, count in causes.most_common())
    return f"{causes.total()} {how} ({told})" if causes else ""


def _absent(source: SourceStatus) -> str:
    if source.state is SourceState.STREAMING:
        return ""
    return f"{source.name} {source.state.value} for {source.since_s:.0f} s"


def _fit_to_print(line: str) -> str:
    """Some of its words are a camera's or a driver's."""
    return printable(redact(" ".join(line.split())), most=500)
