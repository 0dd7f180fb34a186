"""The stream's status as Prometheus reads it. Names: prefix fcnedge_, base units, _total for what only grows.

Every label has few values: sources, sinks, states, stages, classes and codes of one stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from fcn_edge import __version__
from runtime.stream.status import Counts, SinkStatus, SourceState, SourceStatus, Spread, Status, StreamState

SINK_STATES = ("ok", "failed", "stuck")
QUANTILES = {"0.5": "p50", "0.95": "p95", "0.99": "p99"}


def exposition(status: Status, web: Mapping[str, float]) -> bytes:
    """All metrics as text; `web` are the page's own figures by name."""
    registry = CollectorRegistry()
    registry.register(StatusCollector(status, web))
    ProcessCollector(namespace="fcnedge", registry=registry)
    return generate_latest(registry)


class StatusCollector(Collector):
    """One status, as families of metrics."""

    def __init__(self, status: Status, web: Mapping[str, float]) -> None:
        self.status, self.web = status, web

    def collect(self) -> Iterator[Metric]:
        yield from _stream(self.status)
        yield from _sources(self.status.sources)
        yield from _sinks(self.status.sinks)
        yield _spreads("frame_age", "Age of frames in the last ten seconds", "at", _ages(self.status))
        yield _spreads("stage", "What stages took in the last ten seconds", "stage", self.status.stages_ms)
        yield from _machine(self.status.machine)
        yield from _web(self.web)


def _gauge(name: str, text: str, labels: Iterable[str] = ()) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"fcnedge_{name}", text, labels=tuple(labels))


def _counter(name: str, text: str, labels: Iterable[str] = ()) -> CounterMetricFamily:
    return CounterMetricFamily(f"fcnedge_{name}", text, labels=tuple(labels))


def _stream(status: Status) -> Iterator[Metric]:
    yield InfoMetricFamily("fcnedge_build", "What runs", value={"version": __version__, **_model_words(status.model)})
    yield GaugeMetricFamily("fcnedge_uptime_seconds", "Since the stream began", value=status.uptime_s)
    yield GaugeMetricFamily("fcnedge_ready", "Whether frames come out", value=float(status.is_ready))
    yield _states("state", "Where the stream is", StreamState, [((), status.state.value)])
    reasons = _gauge("reason", "What is wrong now", ["code"])
    for code in sorted({reason.code for reason in status.reasons}):
        reasons.add_metric([code], 1)
    yield reasons
    if status.last_frame_s is not None:
        text = "Since a frame was last segmented"
        yield GaugeMetricFamily("fcnedge_last_frame_age_seconds", text, value=status.last_frame_s)


def _model_words(model: Mapping[str, object]) -> dict[str, str]:
    return {word: str(model[word]) for word in ("precision", "device") if word in model}


def _states(
    name: str,
    text: str,
    states: Iterable[str | Enum],
    found: Iterable[tuple[tuple[str, ...], str]],
    labels: tuple[str, ...] = (),
) -> Metric:
    """1 for the state that each thing is in, 0 for all others."""
    family = _gauge(name, text, [*labels, "state"])
    for values, current in found:
        for state in (str(each.value) if isinstance(each, Enum) else each for each in states):
            family.add_metric([*values, state], float(state == current))
    return family


def _sources(sources: Iterable[SourceStatus]) -> Iterator[Metric]:
    sources = list(sources)
    found = [((source.name,), source.state.value) for source in sources]
    yield _states("source_state", "Where the source is", SourceState, found, ("source",))
    received = _counter("frames_received", "Frames that came", ["source"])
    outcomes = _counter("frames", "Frames by what became of them", ["source", "outcome", "cause"])
    in_flight = _gauge("frames_in_flight", "Frames received whose outcome is not known yet", ["source"])
    connects = _counter("source_connects", "Times that the source was reached", ["source"])
    shares = _gauge("class_ratio", "Share of the newest mask", ["source", "class"])
    for source in sources:
        received.add_metric([source.name], source.counts.received)
        for outcome, cause, count in _outcomes(source.counts):
            outcomes.add_metric([source.name, outcome, cause], count)
        in_flight.add_metric([source.name], source.counts.in_flight)
        connects.add_metric([source.name], source.connects)
        for name, share in source.class_shares.items():
            shares.add_metric([source.name, name], share)
    yield from (received, outcomes, in_flight, connects, shares)


def _outcomes(counts: Counts) -> Iterator[tuple[str, str, int]]:
    yield "segmented", "", counts.segmented
    yield from (("bad", why, count) for why, count in counts.bad.items())
    yield from (("dropped", cause, count) for cause, count in counts.dropped.items())


def _sinks(sinks: Iterable[SinkStatus]) -> Iterator[Metric]:
    sinks = list(sinks)
    found = [((sink.name,), sink.state) for sink in sinks]
    yield _states("sink_state", "How the sink is", SINK_STATES, found, ("sink",))
    written = _counter("sink_written", "Frames written", ["sink"])
    dropped = _counter("sink_dropped", "Frames that the sink was too slow for", ["sink"])
    waiting = _gauge("sink_waiting_frames", "Frames that wait for the sink", ["sink"])
    free = _gauge("disk_free_bytes", "Left where the sink writes", ["sink"])
    for sink in sinks:
        written.add_metric([sink.name], sink.written)
        dropped.add_metric([sink.name], sink.dropped)
        waiting.add_metric([sink.name], sink.waiting)
        if isinstance(left := sink.facts.get("free_bytes"), (int, float)):
            free.add_metric([sink.name], left)
    yield from (written, dropped, waiting, free)


def _ages(status: Status) -> Mapping[str, Spread]:
    return {"mask": status.age_at_mask_ms, "wire": status.age_at_wire_ms}


def _spreads(name: str, text: str, label: str, spreads: Mapping[str, Spread]) -> Metric:
    """A summary of quantiles alone: a window has no sum or count that grows."""
    family = Metric(f"fcnedge_{name}_seconds", text, "summary")
    for value, spread in spreads.items():
        for quantile, field in QUANTILES.items():
            if (milliseconds := getattr(spread, field)) is not None:
                labels = {label: value, "quantile": quantile}
                family.add_sample(f"fcnedge_{name}_seconds", labels, 1e-3 * milliseconds)
    return family


def _machine(machine: Mapping[str, object]) -> Iterator[Metric]:
    temperatures = _gauge("temperature_celsius", "Of the machine's parts", ["zone"])
    found = machine.get("temperatures_c")
    for zone, value in found.items() if isinstance(found, Mapping) else ():
        if isinstance(value, (int, float)):
            temperatures.add_metric([str(zone)], value)
    yield temperatures


# name of the metric -> the page's figure, and what it is
PAGE_NOW = {
    "viewers": ("viewers", "Who watches now"),
    "viewers_most": ("most_viewers", "Who may watch at once"),
    "web_connections": ("connections", "Connections that are open"),
}
PAGE_SO_FAR = {
    "viewer_frames_sent": ("frames_sent", "Frames sent to viewers"),
    "viewer_frames_dropped": ("frames_dropped", "Frames that viewers were too slow for"),
    "viewers_refused": ("viewers_refused", "Viewers for whom no place was left"),
    "web_connections_refused": ("connections_refused", "Connections for which no place was left"),
    "web_faults": ("faults", "Faults inside the page's server"),
}


def _web(web: Mapping[str, float]) -> Iterator[Metric]:
    for name, (figure, text) in PAGE_NOW.items():
        yield GaugeMetricFamily(f"fcnedge_{name}", text, value=web[figure])
    for name, (figure, text) in PAGE_SO_FAR.items():
        yield CounterMetricFamily(f"fcnedge_{name}", text, value=web[figure])
