"""runtime.web.metrics: what Prometheus reads, by the rules that it has for names."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from runtime.stream.status import Spread, StreamState
from runtime.web.metrics import exposition
from tests.runtime.web.drawn_stream import DrawnStatus, segmented
from tests.runtime.web.serving import serving, wait_until

UNITS = ("seconds", "bytes", "celsius", "ratio", "info", "total")
COUNTED = (
    "ready",
    "state",
    "reason",
    "in_flight",
    "frames",
    "viewers",
    "viewers_most",
    "connections",
    "threads",
    "fds",
)
WEB = {
    "viewers": 1, "most_viewers": 8, "frames_sent": 9, "frames_dropped": 2, "viewers_refused": 0, "connections": 3,
    "connections_refused": 0, "faults": 0,
}  # fmt: skip
STATUS = DrawnStatus(("gate", "yard"), frames=100)()


def samples(text: bytes) -> list[Sample]:
    return [sample for family in text_string_to_metric_families(text.decode()) for sample in family.samples]


def value(name: str, **labels: str) -> float:
    found = [
        sample.value for sample in samples(exposition(STATUS, WEB)) if (sample.name, sample.labels) == (name, labels)
    ]
    assert len(found) == 1
    return found[0]


def test_metrics_are_served_as_prometheus_reads_them() -> None:
    with serving() as page:
        with page.connect(page.upgrade()):
            page.sink.write(segmented(0))
            wait_until(lambda: page.facts()["frames_sent"] == 1)
            answer = page.ask("/metrics")
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/plain; version=")
    found = {sample.name: sample.value for sample in samples(answer.body)}
    assert (found["fcnedge_viewers"], found["fcnedge_viewer_frames_sent_total"]) == (1, 1)


def test_names_keep_the_rules() -> None:
    families = list(text_string_to_metric_families(exposition(STATUS, WEB).decode()))
    assert len(families) > 20
    for family in families:
        assert family.documentation
        for sample in family.samples:
            assert re.fullmatch(r"fcnedge_[a-z0-9_]+", sample.name)
            assert sample.name.endswith(UNITS + COUNTED), sample.name
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name
            assert not re.search(r"_(ms|ns|percent|milliseconds|fps)(_|$)", sample.name)


def test_labels_are_bounded() -> None:
    labels = {name for sample in samples(exposition(STATUS, WEB)) for name in sample.labels}
    assert labels == {
        "at", "cause", "class", "device", "outcome", "precision", "quantile", "sink", "source", "stage", "state",
        "version", "zone",
    }  # fmt: skip


def test_no_sample_is_told_twice() -> None:
    told = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in samples(exposition(STATUS, WEB))]
    assert len(told) == len(set(told))


def test_every_frame_received_has_an_outcome() -> None:
    found = samples(exposition(STATUS, WEB))
    for source in ("gate", "yard"):
        mine = [sample for sample in found if sample.labels.get("source") == source]
        received = sum(sample.value for sample in mine if sample.name == "fcnedge_frames_received_total")
        outcomes = sum(sample.value for sample in mine if sample.name == "fcnedge_frames_total")
        in_flight = sum(sample.value for sample in mine if sample.name == "fcnedge_frames_in_flight")
        assert received == outcomes + in_flight == 111


def test_milliseconds_are_told_in_seconds() -> None:
    assert value("fcnedge_stage_seconds", stage="infer.compute", quantile="0.95") == pytest.approx(
        1e-3 * (STATUS.stages_ms["infer.compute"].p95 or 0)
    )
    assert value("fcnedge_frame_age_seconds", at="mask", quantile="0.5") == pytest.approx(
        1e-3 * (STATUS.age_at_mask_ms.p50 or 0)
    )


@pytest.mark.parametrize("state", StreamState)
def test_one_state_is_the_streams(state: StreamState) -> None:
    found = samples(exposition(replace(STATUS, state=state), WEB))
    ones = [sample.labels["state"] for sample in found if sample.name == "fcnedge_state" and sample.value == 1]
    assert ones == [state.value]


def test_figures_that_are_not_known_are_left_out() -> None:
    bare = replace(STATUS, age_at_wire_ms=Spread(), stages_ms={"infer": Spread(5, 2.0)}, last_frame_s=None, machine={})
    found = samples(exposition(bare, WEB))
    assert not [sample for sample in found if sample.labels.get("at") == "wire"]
    stages = [sample for sample in found if sample.name == "fcnedge_stage_seconds"]
    assert [(sample.labels["quantile"], sample.value) for sample in stages] == [("0.5", 0.002)]
    assert not [sample for sample in found if "last_frame" in sample.name or "temperature" in sample.name]


def test_odd_names_are_escaped() -> None:
    odd = 'a"b\\c\nd'
    status = replace(STATUS, sources=[replace(STATUS.sources[0], name=odd)])
    assert odd in {sample.labels.get("source") for sample in samples(exposition(status, WEB))}
