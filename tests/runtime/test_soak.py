"""The soak of `benchmarks/soak.py`, for a minute; and that its judge sees what is wrong."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.soaking.chart import chart
from benchmarks.soaking.judge import Finding, Promises, judge, slope
from benchmarks.soaking.record import Counted, Ending, Held, Outage, Sample, Soak
from benchmarks.soaking.run import Plan, soak

# In a minute, caches are still being filled, and a busy machine looks late. (In half an hour it is 1 MB a minute.)
OF_A_MINUTE = Promises(memory_mb_a_minute=40.0, look_s=3.0)


def broken(findings: list[Finding]) -> list[str]:
    return [finding.promise for finding in findings if not finding.is_kept]


# -- a real run -----------------------------------------------------------------------------------------------------


def test_a_minute_of_faults_breaks_no_promise(tmp_path: Path, tiny_bundle: Path) -> None:
    seen = soak(Plan(tiny_bundle, seconds=45, seed=5, chaos_s=14, calm_s=4, longest_fault_s=5), tmp_path, print)
    findings = judge(seen, OF_A_MINUTE)
    print(*findings, sep="\n")
    assert not broken(findings), f"{findings}\n{seen.outages}\n{seen.ending.log}"
    assert {outage.what for outage in seen.outages} >= {"gate", "yard", "dock", "model", "page"}
    assert len({outage.fault for outage in seen.outages}) > 10
    assert "<svg" in chart(seen)


def test_a_run_that_leaks_is_found_out(tmp_path: Path, tiny_bundle: Path) -> None:
    program = (sys.executable, "-m", "tests.runtime.leaky_run")
    seen = soak(Plan(tiny_bundle, seconds=14, chaos_s=1, calm_s=8, longest_fault_s=1, program=program), tmp_path)
    findings = judge(seen, OF_A_MINUTE)
    assert broken(findings) == [
        "memory grows by less than 40 MB a minute",
        "descriptors stay as they are",
        "threads stay as they are",
    ], findings


# -- the judge ------------------------------------------------------------------------------------------------------

HELD = Held(200_000_000, 150_000_000, 30, 40, 5, 300_000_000)
LOG = "gate: STREAMING\n90 of 100 frames segmented, 4 bad left out, 6 dropped as stale, stopped, 25.0 fps\n"


def sample(at_s: float) -> Sample:
    received = int(10 * at_s)
    counts = {"gate": Counted(received, max(0, received - 7), 2, 4, 1 if received > 6 else received - 6)}
    return Sample(at_s, at_s % 60 >= 50, HELD, 10.0, counts)


def seen(samples: list[Sample] | None = None, **changes: object) -> Soak:
    ending = Ending(0, 1.0, LOG, {"gate.mkv": 100}, sent={"gate": 10**6})
    outages = [Outage("gate", "silence", 5.0, 9.0, 12.0)]
    soaked = Soak(samples or [sample(float(at)) for at in range(1, 600)], outages, ending)
    return replace(soaked, **changes)  # type: ignore[arg-type]


def grown(a_minute: float, name: str) -> list[Sample]:
    def more(one: Sample) -> Sample:
        now = getattr(HELD, name) + int(a_minute * one.at_s / 60)
        return replace(one, held=replace(HELD, **{name: now}))

    return [more(one) for one in seen().samples]


def test_a_soak_in_which_all_is_well_breaks_nothing() -> None:
    assert not broken(judge(seen()))
    assert not broken(judge(seen(grown(900_000, "own_bytes"))))


@pytest.mark.parametrize(
    ("a_minute", "name", "promise"),
    [
        (1_100_000, "own_bytes", "memory grows by less than 1 MB a minute"),
        (1, "descriptors", "descriptors stay as they are"),
        (1, "threads", "threads stay as they are"),
    ],
)
def test_what_grows_is_found(a_minute: float, name: str, promise: str) -> None:
    assert broken(judge(seen(grown(a_minute, name)))) == [promise]


def test_what_is_held_while_something_fails_is_not_judged() -> None:
    wild = [
        one if one.is_calm else replace(one, held=replace(HELD, descriptors=int(one.at_s))) for one in seen().samples
    ]
    assert not broken(judge(seen(wild)))


def test_a_few_odd_values_are_no_slope() -> None:
    points = [(float(at), 1000.0 if at % 10 == 0 else 5.0) for at in range(100)]
    assert slope(points) == 0


@pytest.mark.parametrize(
    ("count", "promise"),
    [
        (Counted(5000, 4900, 50, 49, 0), "received = segmented + bad + dropped + in flight"),
        (Counted(5000, 4900, 50, 10, 40), "at most 3 frames of a source in flight"),
        (Counted(5000, 5001, 0, 0, -1), "at most 3 frames of a source in flight"),
        (Counted(3, 1, 1, 1, 0), "counts never fall"),
        (Counted(10**7, 10**7, 0, 0, 0), "no picture comes that was not sent"),
    ],
)
def test_counts_that_cannot_be_are_found(count: Counted, promise: str) -> None:
    samples = list(seen().samples)
    samples[-1] = replace(samples[-1], counts={"gate": count})
    assert promise in broken(judge(seen(samples)))


@pytest.mark.parametrize(
    ("outages", "is_broken"),
    [
        ([Outage("gate", "silence", 5.0, 9.0, 24.9)], False),
        ([Outage("gate", "silence", 5.0, 9.0, 25.1)], True),
        ([Outage("gate", "silence", 5.0, 9.0, None)], True),
    ],
)
def test_a_late_recovery_is_found(outages: list[Outage], is_broken: bool) -> None:
    assert broken(judge(seen(outages=outages))) == (["all is well within 15 s of a fault's end"] if is_broken else [])


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        ({"exit_code": 1}, "it ends with 0 within 5 s of a signal"),
        ({"exit_code": -15}, "it ends with 0 within 5 s of a signal"),
        ({"seconds": 5.1}, "it ends with 0 within 5 s of a signal"),
        ({"log": "Traceback (most recent call last)\n" + LOG}, "its log tells of no exception"),
        ({"log": LOG.replace("90 of", "89 of")}, "every frame is accounted for at the end"),
        ({"log": ""}, "every frame is accounted for at the end"),
        ({"videos": {"a.mkv": 10, "b.mkv": 0}}, "all that was recorded can be read"),
        ({"videos": {}}, "all that was recorded can be read"),
        ({"unfinished": [".a.mkv.1.part"]}, "all that was recorded can be read"),
    ],
)
def test_a_bad_end_is_found(change: dict[str, object], promise: str) -> None:
    ending = replace(seen().ending, **change)  # type: ignore[arg-type]
    assert broken(judge(seen(ending=ending))) == [promise]


def test_a_page_that_does_not_answer_is_found() -> None:
    silent = [replace(one, counts={}) if one.at_s % 4 else one for one in seen().samples]
    assert broken(judge(seen(silent))) == ["the page answers"]


def test_a_soak_in_which_nothing_failed_proves_nothing() -> None:
    assert broken(judge(seen(outages=[]))) == ["something is made to fail"]


def test_a_soak_too_short_to_judge_is_refused() -> None:
    with pytest.raises(ValueError, match="soak for longer"):
        judge(seen([sample(float(at)) for at in range(1, 30)]))
