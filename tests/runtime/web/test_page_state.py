"""What the live page tells of the stream, of its parts, and of a server that is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic, sleep

import pytest

from runtime.stream.status import (
    Counts,
    Reason,
    SinkStatus,
    SourceState,
    SourceStatus,
    Spread,
    Status,
    StreamState,
)
from runtime.web.options import WebOptions
from tests.runtime.web.browser import Browser, Page
from tests.runtime.web.conftest import Live

MakeLive = Callable[..., Live]

SHOWN = "window.fcnEdge.lastShown"
STALLED = Reason("TIMEOUT", "gate: no frame came for 12 s", "check its power and cable")
PLAIN = str.maketrans({"\u00a0": " ", "\u2013": "-", "\u2212": "-"})
DISK_FULL = Reason("DISK_FULL", "out.mkv: 0.9 GB are free", "free some space")


def text(page: Page, selector: str) -> str:
    """What a reader sees there, with plain spaces and dashes."""
    return str(page.evaluate(f"document.querySelector({selector!r}).innerText")).translate(PLAIN)


def wait_for_text(page: Page, selector: str, wanted: str, within_s: float = 10.0) -> str:
    page.wait_for(f"document.querySelector({selector!r})?.innerText.includes({wanted!r})", within_s)
    return text(page, selector)


def lost_source(status: Status) -> Status:
    (source,) = status.sources
    source = replace(source, state=SourceState.STALLED, since_s=12.3, reason=STALLED)
    return replace(status, state=StreamState.DEGRADED, since_s=12.3, reasons=[STALLED], sources=[source])


def starting(status: Status) -> Status:
    sources = [
        SourceStatus(source.name, source.uri, True, SourceState.CONNECTING, since_s=3.0) for source in status.sources
    ]
    nothing = Spread()
    return replace(
        status, state=StreamState.STARTING, sources=sources, last_frame_s=None, history=[], stages_ms={},
        age_at_mask_ms=nothing, age_at_wire_ms=nothing, received_fps=0.0, segmented_fps=0.0,
    )  # fmt: skip


def test_a_stream_that_runs_says_so(page: Page, live: MakeLive) -> None:
    page.go(live().url)
    wait_for_text(page, "#state-name", "RUNNING")
    assert text(page, "#reasons") == "All is well."
    assert page.evaluate("document.title") == "RUNNING · fcn-edge"
    assert not page.evaluate("document.querySelector('.banner').checkVisibility()")


def test_a_stream_that_starts_tells_what_it_waits_for(page: Page, live: MakeLive) -> None:
    page.go(live(change=starting, silent={"gate"}).url)
    wait_for_text(page, "#state-name", "STARTING")
    assert "Connecting to rtsp://***@camera/gate" in wait_for_text(page, ".banner", "Connecting")
    assert text(page, "#mask-p50") == "-"
    assert page.complaints == []


def test_a_lost_source_keeps_its_last_picture_below_a_banner_with_the_cure(page: Page, live: MakeLive) -> None:
    street = live()
    page.go(street.url)
    page.wait_for(SHOWN)
    street.silent.add("gate")
    street.change = lost_source
    banner = wait_for_text(page, ".banner", "No signal for")
    assert banner.endswith("gate: no frame came for 12 s. Check its power and cable.")
    assert page.evaluate("document.querySelector('.tile').dataset.lost") == "true"
    assert text(page, "#state-name") == "DEGRADED"
    assert text(page, "#reasons") == "gate: no frame came for 12 s. Check its power and cable."
    assert page.evaluate("document.getElementById('camera-1').width") > 16  # the picture is still there
    street.silent.clear()
    street.change = lambda status: status
    page.wait_for("!document.querySelector('.banner').checkVisibility()")


def test_a_stall_is_told_by_the_seconds_that_pass(page: Page, live: MakeLive) -> None:
    page.go(live(change=lost_source, silent={"gate"}).url)
    assert "No signal for 12 s" in wait_for_text(page, ".banner", "No signal")


def test_a_source_that_was_never_there_is_missed_since_the_start(page: Page, live: MakeLive) -> None:
    def refused(status: Status) -> Status:
        source = replace(status.sources[0], state=SourceState.BACKOFF, since_s=0.4, connects=0, reason=STALLED)
        return replace(status, sources=[source], uptime_s=200 + status.uptime_s)

    page.go(live(change=refused, silent={"gate"}).url)
    assert "No signal for 3 min" in wait_for_text(page, ".banner", "No signal")


def test_figures_are_those_of_the_status(page: Page, live: MakeLive) -> None:
    def with_losses(status: Status) -> Status:
        counts = Counts(12_345, 12_000, {"truncated": 5}, {"overwritten": 300, "stale": 39}, 1)
        sources = [replace(status.sources[0], counts=counts)]
        return replace(status, received_fps=30.0, segmented_fps=24.5, age_at_mask_ms=Spread(9, 1.234, 56.7, None),
                       sources=sources)  # fmt: skip

    page.go(live(change=with_losses).url)
    wait_for_text(page, "#fps-in", "30.0")
    assert [text(page, f"#{name}") for name in ("fps-out", "mask-p50", "mask-p95", "mask-p99")] == [
        "24.5", "1.23", "56.7", "-",
    ]  # fmt: skip
    rows = page.evaluate(
        "[...document.querySelectorAll('#loss-rows tr')].map(r => [...r.children].map(c => c.innerText))"
    )
    assert {name: total for name, _, total in rows} == {"overwritten": "300", "stale": "39", "bad: truncated": "5"}
    assert text(page, "#source-rows td:nth-child(5)") == "12,345"


def test_drops_a_second_are_counted_over_the_last_seconds(page: Page, live: MakeLive) -> None:
    def dropping(status: Status) -> Status:
        counts = Counts(dropped={"overwritten": int(8 * status.uptime_s)})
        return replace(status, sources=[replace(status.sources[0], counts=counts)])

    page.go(live(change=dropping).url)
    page.wait_for("Math.abs(parseFloat(document.getElementById('drops-s').innerText) - 8) < 2")


def test_a_sink_that_failed_tells_why_and_its_cure(page: Page, live: MakeLive) -> None:
    sink = SinkStatus("out.mkv", "failed", 10, 312, 4, DISK_FULL, {"free_bytes": 900_000_000, "file": "out-1.mkv"})
    page.go(live(change=lambda status: replace(status, sinks=[sink])).url)
    told = wait_for_text(page, "#sink-list", "out.mkv").replace("\n", " ")
    assert "failed" in told and "out.mkv: 0.9 GB are free. Free some space." in told
    assert "312 dropped" in told and "free 900.0 MB" in told and "file out-1.mkv" in told


def test_a_machine_that_is_slowed_down_stands_out(page: Page, live: MakeLive) -> None:
    clocks = {"gpu": {"mhz": 918, "max_mhz": 1020, "busy": 0.431}}
    machine = {"temperatures_c": {"cpu": 61.2}, "clocks": clocks, "power_mode": "MAXN", "throttle": ["temperature"]}
    hot = Reason("THROTTLED", "the machine is slowed down: temperature", "cool it")
    page.go(live(change=lambda status: replace(status, machine=machine, reasons=[hot])).url)
    told = wait_for_text(page, "#machine", "MAXN").replace("\n", " ")
    assert "cpu 61 °C" in told and "gpu clock 918 of 1,020 MHz · 43 % busy" in told
    assert page.evaluate("document.getElementById('machine').dataset.throttled") == "true"


def test_stages_are_stacked_in_order_and_told_second_by_second(page: Page, live: MakeLive) -> None:
    page.go(live().url)
    page.wait_for("document.querySelectorAll('#stage-rows tr').length > 5")
    names = page.evaluate("[...document.querySelectorAll('#stage-rows th')].map(c => c.innerText)")
    assert names == ["decode", "wait", "resize", "infer", "· h2d", "· compute", "· d2h", "restore", "overlay", "encode"]
    bars = page.evaluate("[...document.querySelectorAll('.bars')].map(p => p.getAttribute('d').split('M').length - 1)")
    assert bars == [60] * 7  # parts are in their stage already
    ends = monotonic() + 15
    while text(page, "#stage-when") not in ("-30 s", "-31 s"):  # the page may still find its layout, away from there
        assert monotonic() < ends
        page.point(*page.middle("#stage-plot"))
    page.point(2, 2)
    assert wait_for_text(page, "#stage-when", "now") == "now"
    page.evaluate("document.getElementById('stage-chart').focus()")
    page.press("ArrowLeft", 37)
    assert text(page, "#stage-when") == "-2 s"


def test_a_server_that_comes_back_is_found_without_a_storm(page: Page, live: MakeLive) -> None:
    street = live()
    page.go(street.url)
    page.wait_for(SHOWN)
    street.sink.close()
    told = wait_for_text(page, "#reasons", "No connection to the server")
    assert text(page, "#state-name") == "OFFLINE" and "Next try in" in told
    before = len(page.requests)
    sleep(3)
    page.evaluate("1")
    assert len(page.requests) - before <= 8  # tries double their distance, and each asks twice at most
    wait_for_text(page, "#reasons", "Nobody answers")
    index, again = page.evaluate(f"{SHOWN}.index"), monotonic()
    street.open()
    page.wait_for(f"{SHOWN}.index > {index}", 15)
    assert monotonic() - again < 15
    wait_for_text(page, "#state-name", "RUNNING")


def test_a_page_opened_before_the_stream_tells_its_state_waits(page: Page, live: MakeLive) -> None:
    def unwell(status: Status) -> Status:
        raise RuntimeError("not yet")

    street = live(change=unwell)
    page.go(street.url)
    wait_for_text(page, "#state-name", "OFFLINE")
    assert "The server answers 5" in text(page, "#reasons")
    street.change = lambda status: status
    wait_for_text(page, "#state-name", "RUNNING", 15)


def test_a_page_that_finds_no_seat_says_so(browser: Browser, page: Page, live: MakeLive) -> None:
    street = live(options=WebOptions(max_viewers=1))
    page.go(street.url)
    page.wait_for(SHOWN)
    other = browser.new_page()
    try:
        other.go(street.url)
        wait_for_text(other, "#reasons", "takes no more viewers")
    finally:
        browser.close_page(other)


def test_a_server_with_other_sources_than_before_is_followed(page: Page, live: MakeLive) -> None:
    street = live()
    page.go(street.url)
    page.wait_for(SHOWN)
    street.sink.close()
    street.names = street._drawn.sources = ("yard",)
    street.open()
    wait_for_text(page, ".name", "yard", 15)
    page.wait_for(f"{SHOWN}.source === 'yard'")


@pytest.mark.parametrize(("state", "wanted"), [(SourceState.ENDED, "Ended"), (SourceState.BACKOFF, "No signal for")])
def test_a_source_that_gives_nothing_says_in_which_way(
    page: Page, live: MakeLive, state: SourceState, wanted: str
) -> None:
    def changed(status: Status) -> Status:
        return replace(status, sources=[replace(status.sources[0], state=state, live=False)])

    page.go(live(change=changed, silent={"gate"}).url)
    wait_for_text(page, ".banner", wanted)
    assert page.evaluate("document.querySelector('.tile').dataset.lost") == str(state is not SourceState.ENDED).lower()


def test_a_server_that_goes_quiet_is_left_and_tried_again(page: Page, live: MakeLive) -> None:
    def stuck(status: Status) -> Status:
        raise RuntimeError("stuck")

    street = live(fps=0)
    page.go(street.url)
    wait_for_text(page, "#state-name", "RUNNING")
    street.change = stuck  # the connection stands, and nothing comes
    wait_for_text(page, "#reasons", "No connection to the server", 15)
    street.change = lambda status: status
    wait_for_text(page, "#state-name", "RUNNING", 15)
