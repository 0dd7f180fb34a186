"""runtime.bench.contestants: words on the command line, and the sessions that they mean."""

from __future__ import annotations

import re
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn_edge.credentials import redact
from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.errors import FcnEdgeError, ModelError, UsageError
from runtime.bench.contestants import Contestant, contestant_of, contestants_of, engine_of
from runtime.engines import ENGINES, Serving
from runtime.session import FakeSession

USUAL = Contestant("", Path(), "openvino", "fp32", Serving(threads=2, trust_engine=True))
AUTO = Contestant("", Path())


@pytest.mark.parametrize(
    ("text", "model", "choice"),
    [
        ("bundle", "bundle", ("auto", "auto", None)),
        ("bundle,int8-cpu", "bundle", ("auto", "int8-cpu", None)),
        ("bundle,openvino", "bundle", ("openvino", "auto", None)),
        ("bundle,int8-cpu,onnxruntime", "bundle", ("onnxruntime", "int8-cpu", None)),
        ("a/b.c,openvino,threads=4,fp32", "a/b.c", ("openvino", "fp32", 4)),
        ("bundle,threads=1", "bundle", ("auto", "auto", 1)),
        ("a:b/c@d.onnx", "a:b/c@d.onnx", ("auto", "auto", None)),
        ("day 12:30, rain,fp16", "day 12:30, rain", ("auto", "fp16", None)),
    ],
)
def test_words_name_a_model_and_how_it_is_served(text: str, model: str, choice: tuple) -> None:
    found = contestant_of(text, AUTO)
    assert (found.model, (found.engine, found.precision, found.serving.threads)) == (Path(model), choice)


def test_a_path_that_is_there_is_the_whole_of_it(tmp_path: Path) -> None:
    path = tmp_path / "model,fp32,openvino,threads=1"
    path.mkdir()
    assert contestant_of(str(path), AUTO) == Contestant(str(path), path)


def test_what_the_words_leave_open_is_as_usual() -> None:
    found = contestant_of("bundle,int8", USUAL)
    assert (found.engine, found.precision, found.serving) == ("openvino", "int8", USUAL.serving)
    assert contestant_of("bundle,threads=1", USUAL).serving == Serving(threads=1, trust_engine=True)


@pytest.mark.parametrize(
    ("choice", "word"),
    [
        ("tensorflow", "'tensorflow'"),
        ("threads=0", "'threads=0'"),
        ("threads=many", "'threads=many'"),
        ("cores=2", "'cores=2'"),
        ("fp32,int8", "'int8' beside fp32"),
        ("openvino,fp32,onnxruntime", "'onnxruntime' beside openvino"),
        ("", "''"),
    ],
)
def test_words_that_mean_nothing_are_refused_with_what_would(tmp_path: Path, choice: str, word: str) -> None:
    with pytest.raises(UsageError, match=re.escape("wanted MODEL[,PRECISION][,ENGINE][,threads=N]")) as refusal:
        contestant_of(f"{tmp_path},{choice}", AUTO)
    assert f"found {word};" in str(refusal.value) and "\n" not in str(refusal.value)


def test_no_message_takes_a_choice_for_a_password() -> None:
    text = "runs/bundle,fp32,onnxruntime,threads=1"
    assert redact(text) == text


@given(st.text(string.printable, min_size=1))
def test_any_words_are_a_contestant_or_refused(text: str) -> None:
    try:
        found = contestant_of(text, AUTO)
    except FcnEdgeError:
        return
    assert text.startswith(str(found.model)[:1]) or not found.model.name or text[0] in "./"


def test_folders_are_left_out_of_names_that_are_clear_without() -> None:
    assert [one.name for one in contestants_of(("runs/a/x,fp32", "runs/a/x", "y"), AUTO)] == ["x,fp32", "x", "y"]
    assert [one.name for one in contestants_of(("old/x", "new/x"), AUTO)] == ["old/x", "new/x"]


def test_who_is_named_twice_gets_a_number() -> None:
    assert [one.name for one in contestants_of(("x", "x", "y", "x"), AUTO)] == ["x", "x (2)", "y", "x (3)"]


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_session_tells_its_engine_and_opens_again_without_a_word(
    engine: str, tiny_bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    contestant = contestant_of(f"{tiny_bundle},{engine}", AUTO)
    with contestant.open() as session:
        assert engine_of(session) == engine
        settled = contestant.settled(session)
    assert (settled.engine, settled.precision) == (engine, "int8-cpu")
    capfd.readouterr()
    with settled.open_again() as session:
        assert (engine_of(session), session.facts.precision) == (engine, "int8-cpu")
    assert "".join(capfd.readouterr()) == ""


@pytest.mark.parametrize(
    ("device", "engine"),
    [
        ("TensorRT 10.3.0, Orin, int8, CUDA graph", "tensorrt"),
        ("onnxruntime 1.30.0, CUDA, all cores", "onnxruntime-cuda"),
        ("openvino 2026.1.0, GPU, f32", "openvino-gpu"),
        ("a function", "auto"),
    ],
)
def test_the_engines_of_gpus_are_told_by_their_devices(device: str, engine: str) -> None:
    session = FakeSession(lambda frame: frame[..., 0], STREET_LABELS, (4, 4))
    session.device = device
    assert engine_of(session) == engine and engine in ENGINES


def test_a_model_that_fails_at_its_first_frame_is_told_in_one_line() -> None:
    def broken(frame: np.ndarray) -> np.ndarray:
        raise RuntimeError("out of memory\nsomewhere")

    session = FakeSession(broken, STREET_LABELS, (4, 4))
    with pytest.raises(ModelError, match="x: wanted a mask from a function, found: out of memory; see"):
        contestant_of("x", AUTO).require_mask(session, np.zeros((4, 4, 3), np.uint8))
