"""runtime.bench.against: a model against its card, and what its verdict is worth."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy
import pytest

from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.errors import ModelError
from fcn_edge.files import sha256_of
from fcn_edge.manifest import MANIFEST, read_manifest
from runtime.bench import card_cli, yardstick
from runtime.bench.again import MODEL, contestant_from, identity_of, spells_of
from runtime.bench.against import RUNS_APART, UNLIKE, Outcome, Where, outcome, require_not_slower, require_same_model
from runtime.bench.card import Card
from runtime.bench.card_cli import lines
from runtime.bench.contestants import Contestant
from runtime.bench.miou import BUILT, Scorer
from runtime.bench.spells import Measured, Pace
from runtime.engines import Serving
from runtime.machine import machine
from runtime.session import FakeSession
from tests.runtime.bench.busy import FRAME, OnNoisyMachine, busy, by_the_work_done
from tests.runtime.bench.noisy_machine import NoisyMachine
from tests.runtime.bench.results import RESULT
from tests.runtime.bench.test_card import CARD
from tests.runtime.small_bundles import write_bundle
from tests.runtime.small_engines import BUILDER, become, write_engine

HOW = Where(RESULT.device, RESULT.state["during"])
HERE = replace(CARD, result=replace(RESULT, machine=machine()), libraries={"numpy": numpy.__version__})


def a_run(seed: int, patch: pytest.MonkeyPatch, frame_ms: float, slow: float = 1.0) -> Measured:
    """On a machine whose every computation takes `slow` times as long."""
    noisy = NoisyMachine(seed).patch(patch)
    patch.setattr(yardstick, "yardstick", lambda threads: noisy.opener(4.0 * slow))
    return spells_of(OnNoisyMachine("x", Path("x"), machine=noisy, frame_ms=frame_ms * slow), FRAME, Pace())


def carded(measured: Measured, card: Card = HERE) -> Card:
    spells = {name: tuple(map(tuple, blocks)) for name, blocks in measured.spells_ms.items()}
    return replace(card, spells_ms=spells[MODEL], yardstick_ms=spells[yardstick.NAME])


def test_a_model_is_seldom_called_other_than_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        outcome(carded(a_run(seed, monkeypatch, 10.0)), a_run(1000 + seed, monkeypatch, 10.0), HOW).verdict
        for seed in range(60)
    ]
    assert found.count("slower") + found.count("faster") <= 3
    assert found.count("the same") >= 30


@pytest.mark.parametrize(("frame_ms", "verdict"), [(11.0, "slower"), (9.0, "faster")])
def test_a_planted_tenth_is_found(frame_ms: float, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        outcome(carded(a_run(seed, monkeypatch, 10.0)), a_run(1000 + seed, monkeypatch, frame_ms), HOW).verdict
        for seed in range(40)
    ]
    assert found.count(verdict) >= 38


def test_a_slower_machine_is_no_slower_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything takes half as long again: the yardstick shows it, and the interval allows for it."""
    found = outcome(carded(a_run(1, monkeypatch, 10.0)), a_run(2, monkeypatch, 10.0, slow=1.5), HOW)
    assert found.machine_ratio and found.machine_ratio.value == pytest.approx(1.5, rel=0.1)
    assert found.now_ms.value == pytest.approx(15, rel=0.1) and found.ratio.value == pytest.approx(1, abs=0.03)
    assert found.allowance == pytest.approx(RUNS_APART + found.machine_ratio.value**UNLIKE - 1)
    assert found.verdict == "cannot tell"
    assert any("that leaves" in line and "to the model" in line for line in lines(found))


def test_a_model_that_slows_down_far_more_than_its_machine_is_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    found = outcome(carded(a_run(1, monkeypatch, 10.0)), a_run(2, monkeypatch, 16.0, slow=1.2), HOW)
    assert found.verdict == "slower"


def test_a_planted_tenth_of_real_work_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    by_the_work_done(monkeypatch)
    pace = Pace(limit_s=30.0, spells=6, rounds=5, block_s=0.02, warmup_s=0.01)
    card = carded(spells_of(busy("x", 40), FRAME, pace))
    same, slowed = (outcome(card, spells_of(busy("x", work), FRAME, pace), HOW) for work in (40, 44))
    assert same.verdict in ("the same", "cannot tell") and slowed.verdict == "slower"
    assert slowed.ratio.value == pytest.approx(1.1, rel=0.05)


MEASURED = Measured({MODEL: list(CARD.spells_ms), yardstick.NAME: list(CARD.yardstick_ms)})


@pytest.mark.parametrize(("name", "fact"), [("processor", "Z80"), ("cores", 64), ("board", "Orin"), ("features", [])])
def test_another_machine_is_told_and_its_yardstick_not_used(name: str, fact: object) -> None:
    card = replace(HERE, result=replace(RESULT, machine={**machine(), name: fact}))
    found = outcome(card, MEASURED, HOW)
    assert not found.is_same_kind and found.machine_ratio is None and found.allowance == RUNS_APART
    assert found.changes[0].startswith(f"{name} ")
    assert "on a machine of another kind" in lines(found)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (Where("TensorRT 10.3, NVIDIA A2, int8, CUDA graph", {}), "device CPU then, NVIDIA A2 now"),
        (Where(RESULT.device, {"power_mode": "15W"}), "power mode none then, 15W now"),
    ],
)
def test_another_gpu_or_power_mode_is_another_machine(where: Where, words: str) -> None:
    found = outcome(HERE, MEASURED, where)
    assert not found.is_same_kind and words in lines(found)


def test_the_same_machine_is_told() -> None:
    found = outcome(HERE, MEASURED, HOW)
    assert found.is_same_kind and found.ratio.value == pytest.approx(1)
    assert "on a machine of the same kind" in lines(found)


def test_other_libraries_are_told_and_another_numpy_is_another_yardstick() -> None:
    found = outcome(replace(HERE, libraries={"numpy": "1.26.4", "openvino": "2020.1"}), MEASURED, HOW)
    assert f"numpy 1.26.4 then, {numpy.__version__} now" in found.changes
    assert any(change.startswith("openvino 2020.1 then, 20") for change in found.changes)
    assert found.machine_ratio is None
    assert outcome(replace(HERE, yardstick_version=0), MEASURED, HOW).machine_ratio is None


def test_of_a_gpu_the_yardstick_says_nothing() -> None:
    assert outcome(HERE, MEASURED, HOW).machine_ratio
    for engine in ("tensorrt", "openvino-gpu", "onnxruntime-cuda"):
        assert outcome(replace(HERE, served=replace(HERE.served, engine=engine)), MEASURED, HOW).machine_ratio is None


def test_an_outcome_is_json() -> None:
    told = json.loads(json.dumps(outcome(HERE, MEASURED, HOW).to_json()))
    assert told["verdict"] == "the same" and told["time_over_cards"]["low"] < 1


def with_ratio(low: float, value: float, high: float) -> Outcome:
    found = outcome(HERE, MEASURED, HOW)
    return replace(found, ratio=replace(found.ratio, low=low, value=value, high=high))


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ((1.02, 1.10, 1.19), "slower"),
        ((0.80, 0.90, 0.98), "faster"),
        ((0.97, 1.00, 1.03), "the same"),
        ((0.90, 1.05, 1.22), "cannot tell"),
        ((0.996, 1.044, 1.095), "cannot tell"),
        ((0.995, 1.03, 1.065), "the same"),
    ],
)
def test_a_wide_interval_tells_nothing(ends: tuple[float, float, float], verdict: str) -> None:
    assert with_ratio(*ends).verdict == verdict


@pytest.mark.parametrize(("container", "ratio", "told"), [(True, 1.1, 1), (True, 1.0, 0), (False, 1.1, 0)])
def test_in_a_container_its_host_may_have_slowed_the_model(
    container: bool, ratio: float, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(card_cli, "machine", lambda: {"container": container})
    assert sum("whose host" in line for line in lines(with_ratio(0.99 * ratio, ratio, 1.01 * ratio))) == told


def test_only_what_is_slower_for_sure_fails() -> None:
    require_not_slower(with_ratio(1.04, 1.10, 1.16), percent=5)
    with pytest.raises(ModelError, match=r"at most 5 % longer .* found 1\.10 \(1\.06 to 1\.14\) times"):
        require_not_slower(with_ratio(1.06, 1.10, 1.14), percent=5)


def test_a_model_is_known_by_its_file_wherever_it_lies(tiny_bundle: Path) -> None:
    contestant = Contestant("x", tiny_bundle, "openvino", "fp32")
    known = identity_of(contestant)
    file = read_manifest(tiny_bundle).file("fp32")
    assert file and known.onnx_sha256 == file.sha256
    assert (known.name, known.manifest_sha256) == (tiny_bundle.name, sha256_of(tiny_bundle / MANIFEST))
    lone = identity_of(replace(contestant, model=tiny_bundle / file.name))
    assert (lone.onnx_sha256, lone.manifest_sha256) == (file.sha256, None)
    card = replace(HERE, model=known)
    require_same_model(card, lone)
    with pytest.raises(ModelError, match="--allow-other-model"):
        require_same_model(card, identity_of(replace(contestant, precision="int8-cpu")))


def test_an_engine_is_known_by_what_it_was_built_of_and_tells_how_it_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Engines of two machines are never equal, though they are one model."""
    become(monkeypatch, **BUILDER)
    bundle = write_bundle(tmp_path / "bundle", {"int8": ()})
    file = read_manifest(bundle).file("int8")
    assert file
    engine = write_engine(bundle, onnx_sha256=file.sha256, scores={"mean_iou": 0.61})
    for model in (bundle, engine, bundle / file.name):
        assert identity_of(Contestant("x", model, "tensorrt", "int8")).onnx_sha256 == file.sha256
    session = FakeSession(lambda frame: frame[..., 0], STREET_LABELS, (8, 12))
    built = Scorer(None)(Contestant("x", bundle, "tensorrt", "int8"), session)
    assert built and (built.value, built.origin) == (0.61, BUILT)


def test_the_yardstick_works_on_as_many_threads_as_it_is_told() -> None:
    """Counted in the processor's time, which no neighbour changes."""

    def processor_s(threads: int) -> float:
        with yardstick.yardstick(threads)() as step:
            step()
            began_s = time.process_time()
            for _ in range(10):
                step()
            return time.process_time() - began_s

    assert 2 < processor_s(4) / processor_s(1) < 8


@pytest.mark.parametrize(("precision", "words"), [("fp8", "wanted precision fp8, as on the card, found fp32")])
def test_a_bundle_without_the_cards_precision_is_refused(tiny_bundle: Path, precision: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        identity_of(Contestant("x", tiny_bundle, "openvino", precision))


def test_a_card_never_says_whom_to_trust() -> None:
    assert contestant_from(HERE, Path("b"), trust_engine=False).serving == Serving(None, False, True)
