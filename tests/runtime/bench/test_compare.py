"""runtime.bench.compare: models side by side, who is on the front, and the words and the picture of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from fcn_edge.datasets import open_dataset
from fcn_edge.errors import UsageError
from fcn_edge.evaluation import evaluate
from fcn_edge.manifest import read_manifest
from runtime.bench.compare import Comparison, Row, compare, is_behind
from runtime.bench.compare_told import chart_of, plot_sections, rows_told, sentences
from runtime.bench.contestants import Contestant, contestants_of
from runtime.bench.miou import BUILT, EXPORTED, MEASURED, PROXY, MeanIou, Scorer
from runtime.bench.ratios import Interval
from runtime.bench.spells import Pace
from runtime.segmenter import Segmenter
from runtime.session import open_session
from tests.runtime.bench.busy import busy, by_the_processors_clock

SHORT = Pace(limit_s=5.0, within=1.0, spells=3, rounds=2, block_s=0.01, warmup_s=0.01)
AUTO = Contestant("", Path())


def test_a_planted_slowdown_of_a_tenth_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    by_the_processors_clock(monkeypatch)
    pace = Pace(limit_s=30.0, spells=5, rounds=5, block_s=0.02, warmup_s=0.01)
    found = compare([busy("as it was", 40), busy("slowed", 44)], pace)
    ratio = found.rows[1].ratio
    assert ratio and 1 < ratio.low < ratio.high < 1.25
    (verdict,) = found.verdicts()
    assert re.fullmatch(r"as it was is 1\.\d\dx \(1\.\d\d to 1\.\d\d\) as fast as slowed", verdict)


def test_real_sessions_are_compared_with_all_that_is_known_of_them(tiny_bundle: Path) -> None:
    words = (
        f"{tiny_bundle},fp32,onnxruntime,threads=1",
        f"{tiny_bundle},openvino",
        f"{tiny_bundle / 'model.fp32.onnx'}",
    )
    found = compare(contestants_of(words, AUTO), SHORT)
    first, second, third = found.rows
    assert [row.served_by for row in found.rows] == ["onnxruntime fp32", "openvino int8-cpu", "openvino fp32"]
    assert "1 threads" in first.device and first.ratio is None
    assert second.ratio and second.ratio.low <= second.ratio.value <= second.ratio.high
    assert all(row.p50_ms.low <= row.p50_ms.value <= row.p50_ms.high for row in found.rows)
    manifest = read_manifest(tiny_bundle)
    for row in (first, second):
        file = manifest.file(row.precision)
        assert file and row.mean_iou == MeanIou(
            file.scores["mean_iou"], EXPORTED, manifest.provenance["proved_on_sha256"]
        )
    assert third.mean_iou is None  # a file on its own tells nothing
    told = json.loads(json.dumps(found.to_json()))
    assert told["models"][1]["engine"] == "openvino" and told["models"][1]["frames"] >= 6
    assert "others_cores" in told["state"] or not Path("/proc/stat").exists()


def test_mean_iou_is_measured_where_data_is_given_and_each_file_asked_once(
    tiny_bundle: Path, street_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    dataset = open_dataset(f"folder:{street_folder}", "val")
    words = (f"{tiny_bundle},fp32,onnxruntime", f"{tiny_bundle},fp32,onnxruntime,threads=1")
    found = compare(contestants_of(words, AUTO), SHORT, dataset=dataset)
    with open_session(tiny_bundle, "onnxruntime", "fp32") as session:
        wanted = evaluate(Segmenter(session).segment, dataset, "wanted").scores().mean_iou
    assert [row.mean_iou for row in found.rows] == [MeanIou(wanted, MEASURED)] * 2
    assert capfd.readouterr().err.count("scoring tiny,fp32,onnxruntime: 4/4") == 1


def test_data_of_other_classes_is_refused(tiny_bundle: Path) -> None:
    (contestant,) = contestants_of((f"{tiny_bundle},fp32,onnxruntime",), AUTO)
    dataset = replace(open_dataset("synthetic:", "val"))
    labels = replace(dataset.labels, names=tuple(reversed(dataset.labels.names)))
    with contestant.open() as session, pytest.raises(UsageError, match="use the data it was trained for"):
        Scorer(_Relabelled(dataset, labels))(contestant, session)


class _Relabelled:
    def __init__(self, dataset: object, labels: object) -> None:
        self._dataset, self.labels = dataset, labels

    def __getattr__(self, name: str) -> object:
        return getattr(self._dataset, name)


def test_models_of_different_sizes_get_frames_of_their_own_unless_told(tiny_bundle: Path) -> None:
    contestants = contestants_of((f"{tiny_bundle},fp32,onnxruntime",) * 2, AUTO)
    assert compare(contestants, SHORT).rows[0].frame_hw == (64, 96)
    assert compare(contestants, SHORT, (90, 160)).rows[1].frame_hw == (90, 160)


def point(name: str, ms: float, iou: float | None, behind: str | None = None, origin: str = MEASURED) -> Row:
    near = Interval(ms, ms / 1.01, ms * 1.01)
    mean_iou = None if iou is None else MeanIou(iou, origin)
    ratio = Interval(ms / 10, ms / 10.1, ms / 9.9)
    return Row(name, "openvino", "fp32", "d", (4, 4), (4, 4), 640, near, 2 * ms, ratio, mean_iou, behind)


def comparison(*rows: Row, half_width: float = 0.02) -> Comparison:
    return Comparison((replace(rows[0], ratio=None), *rows[1:]), Pace(), 8, 8, 21.4, half_width)


ROWS = (point("small", 10, 0.60), point("middle", 20, 0.55, "small"), point("large", 40, 0.65), point("bare", 5, None))


def test_the_table_tells_who_is_on_the_front_and_who_behind_whom() -> None:
    header, *rows = rows_told(comparison(*ROWS))
    assert header[-2:] == ["mIoU %", "front"]
    assert [row[-2:] for row in rows] == [["60.00", "on it"], ["55.00", "behind 1"], ["65.00", "on it"], ["-", "-"]]
    assert rows[2][:6] == ["3 large", "openvino fp32", "640", "40.00 (39.60-40.40)", "80.00", "4.00 (3.96-4.04)"]


def test_a_percentile_of_too_few_frames_is_not_told() -> None:
    few = replace(point("a", 10, None), frames=6, p99_ms=None)
    assert rows_told(comparison(few, few))[1][2:5] == ["6", "10.00 (9.90-10.10)", "-"]


def test_without_any_mean_iou_there_is_no_front() -> None:
    told = comparison(point("a", 10, None), point("b", 20, None))
    assert len(rows_told(told)[0]) == 6
    assert [section.heading for section in plot_sections(told)] == ["Latency", "Side by side"]


def test_the_chart_joins_the_front_and_shows_the_intervals() -> None:
    svg = chart_of(comparison(*ROWS))
    assert "middle" in svg and "bare" not in svg
    assert [name for name in re.findall(r'<circle class="(s\d)"', svg)] == ["s0", "s5", "s0"]
    assert svg.count("<polyline") == 1 + 3


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (comparison(*ROWS), "8 spells of 8 rounds in 21 s; 95 % intervals, of ratios 2.0 % to either side at most"),
        (comparison(*ROWS, half_width=0.074), "the time was over before the 95 % intervals, 7.4 % to either side"),
        (
            comparison(point("a", 1, 0.5), point("b", 2, 0.5, origin=PROXY)),
            "as told by the export, by proxy",
        ),
        (comparison(point("a", 1, 0.5, origin=BUILT), point("b", 2, 0.5)), "* mean IoU as told by the build"),
        (
            comparison(*(replace(point("a", 1, 0.5), mean_iou=MeanIou(0.5, EXPORTED, digest)) for digest in "xy")),
            "of different pictures and cannot be compared",
        ),
        (comparison(point("a", 1, 0.5), replace(point("b", 2, 0.5), frame_hw=(8, 8))), "frames of its model's size"),
    ],
)
def test_doubts_are_told_in_words(told: Comparison, words: str) -> None:
    assert any(words in line for line in sentences(told)), sentences(told)


FASTER, ALIKE, SLOWER = Interval(0.5, 0.4, 0.6), Interval(1.01, 0.98, 1.04), Interval(2.0, 1.8, 2.2)
UNKNOWN = Interval(1.2, 0.6, 2.4)


@pytest.mark.parametrize(
    ("ratio", "own", "others", "behind"),
    [
        (SLOWER, 0.60, 0.60, True),
        (SLOWER, 0.60, 0.65, True),
        (SLOWER, 0.65, 0.60, False),
        (SLOWER, 0.600001, 0.60, True),  # better by nothing that is shown
        (ALIKE, 0.60, 0.65, True),
        (ALIKE, 0.60, 0.60, False),
        (ALIKE, 0.65, 0.60, False),
        (UNKNOWN, 0.60, 0.65, False),  # it may be twice as fast
        (UNKNOWN, 0.65, 0.60, False),
        (FASTER, 0.60, 0.65, False),
        (FASTER, 0.60, 0.60, False),
        (SLOWER, None, 0.60, False),
        (SLOWER, 0.60, None, False),
    ],
)
def test_who_is_behind_is_no_faster_and_no_better(
    ratio: Interval, own: float | None, others: float | None, behind: bool
) -> None:
    scores = [None if value is None else MeanIou(value, MEASURED) for value in (own, others)]
    assert is_behind(ratio, *scores) == behind


@pytest.mark.parametrize(
    ("one", "other", "behind"),
    [
        (MeanIou(0.5, EXPORTED, "x"), MeanIou(0.6, EXPORTED, "x"), True),
        (MeanIou(0.5, EXPORTED, "x"), MeanIou(0.6, PROXY, "x"), True),
        (MeanIou(0.5, EXPORTED, "x"), MeanIou(0.6, EXPORTED, "y"), False),
        (MeanIou(0.5, EXPORTED), MeanIou(0.6, EXPORTED), False),  # nobody knows of which
        (MeanIou(0.5, MEASURED), MeanIou(0.6, EXPORTED, "x"), False),
    ],
)
def test_nobody_is_behind_on_other_pictures(one: MeanIou, other: MeanIou, behind: bool) -> None:
    assert is_behind(SLOWER, one, other) == behind


def test_who_is_behind_several_is_told_to_be_behind_the_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    by_the_processors_clock(monkeypatch)
    scores = {"slow": 0.5, "middle": 0.6, "fast": 0.6, "best": 0.7}
    monkeypatch.setattr(
        Scorer, "__call__", lambda self, contestant, session: MeanIou(scores[contestant.name], MEASURED)
    )
    pace = Pace(limit_s=30.0, within=1.0, spells=5, rounds=3, block_s=0.01, warmup_s=0.01)
    contestants = [busy("slow", 120), busy("middle", 40), busy("fast", 10), busy("best", 120)]
    assert [row.behind for row in compare(contestants, pace).rows] == ["fast", "fast", None, None]
