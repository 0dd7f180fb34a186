"""runtime.bench.card: a card to JSON and back, and every other file refused in one line."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcn_edge.errors import SourceError
from runtime.bench.card import Card, Identity, Served, installed_libraries, read_card, write_card
from runtime.bench.spells import Pace
from tests.runtime.bench.results import RESULT

SPELLS = ((10.0, 10.2), (9.9, 10.1), (10.3, 10.0))
CARD = Card(
    Identity("bundle", 64 * "a", None),
    Served("openvino", "int8-cpu", None, True, (360, 480)),
    Pace(),
    SPELLS,
    ((1.0, 1.0), (1.0, 1.0), (1.01, 1.0)),
    1,
    {"numpy": "2.4.6", "openvino": "2026.4.1"},
    RESULT,
)
CONTENT = json.loads(json.dumps(CARD.to_json()))


def changed(path: str, value: Any) -> Any:
    """The card's content with another value at a path such as served/threads; ... takes it away."""
    content = deepcopy(CONTENT)
    *way, last = path.split("/")
    place = content
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return content


def refusal(tmp_path: Path, content: Any) -> str:
    path = tmp_path / "card.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(SourceError) as refused:
        read_card(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value) and len(str(refused.value)) < 600
    return str(refused.value)


def test_a_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "card.json"
    card = replace(CARD, served=replace(CARD.served, threads=2), model=replace(CARD.model, manifest_sha256=64 * "b"))
    write_card(path, card)
    assert read_card(path) == card


def test_a_card_says_what_it_is_and_of_which_schema() -> None:
    assert (CONTENT["kind"], CONTENT["schema_version"]) == ("fcn-edge bench card", 1)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("kind", "something else"),
        ("schema_version", 2),
        ("schema_version", "1"),
        *((key, ...) for key in ("kind", "schema_version", "model", "served", "pace", "spells_ms", "result")),
        ("model/onnx_sha256", None),
        ("model/manifest_sha256", 7),
        ("served/engine", "auto"),
        ("served/engine", ["openvino"]),
        ("served/threads", 0),
        ("served/threads", 1e9),
        ("served/threads", True),
        ("served/cuda_graph", "no"),
        ("served/frame_hw", [360]),
        ("served/frame_hw", [10**9, 10**9]),
        ("served/frame_hw", [0, 480]),
        ("served/frame_hw", [16_000, 16_000]),
        ("pace/spells", 10**9),
        ("pace/spells", 2),
        ("pace/rounds", 10**9),
        ("pace/block_s", -1),
        ("pace/limit_s", 1e300),
        ("pace/warmup_s", None),
        ("pace/warmup_s", 3600),
        ("spells_ms", []),
        ("spells_ms", [[1.0], [2.0]]),
        ("spells_ms", [[1.0], [], [2.0]]),
        ("spells_ms", [[1.0], [0.0], [2.0]]),
        ("spells_ms", [[1.0], ["2"], [2.0]]),
        ("spells_ms", [[1.0], [float("nan")], [2.0]]),
        ("spells_ms", [[1.0], [float("inf")], [2.0]]),
        ("spells_ms", 3),
        ("yardstick_ms", None),
        ("yardstick_ms", [[1.0, 1.0], [1.0], [1.0, 1.0]]),
        ("libraries", ["numpy"]),
        ("libraries/numpy", 2),
        ("result/machine", []),
        ("result/machine/processor", {"a": 1}),
        ("result/date", 20261124),
        ("result/schema_version", 99),
        ("result/model", "none"),
    ],
)
def test_a_card_with_anything_wrong_is_refused(tmp_path: Path, path: str, value: Any) -> None:
    assert "wanted a card" in refusal(tmp_path, changed(path, value))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b"null", b"3", b'"card"', b"[" * 100_000, b"{}", b" " * (1 << 22) + b"1"],
    ids=lambda content: repr(content[:8]),
)
def test_a_file_that_is_no_card_is_refused(tmp_path: Path, content: bytes) -> None:
    refusal(tmp_path, content)


def test_a_newer_schema_is_told_as_such(tmp_path: Path) -> None:
    assert "schema 2, not 1" in refusal(tmp_path, changed("schema_version", 2))


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    assert "nothing under 'engine'" in refusal(tmp_path, changed("served/engine", ...))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="found nothing at"):
        read_card(tmp_path / "none.json")
    with pytest.raises(SourceError, match="wanted a card"):
        read_card(tmp_path)


def test_no_word_of_a_card_commands_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    for place in ("model/name", "served/precision", "libraries/numpy", "result/date"):
        path.write_text(json.dumps(changed(place, "\x1b[2J" + 5000 * "x")))
        card = read_card(path)
        words = [card.model.name, card.served.precision, *card.libraries.values(), card.result.date]
        assert all("\x1b" not in word and len(word) < 300 for word in words)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(content: Any, way: tuple = ()) -> list[tuple]:
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [(*way, key) for key, _ in inner] + [place for key, value in inner for place in places(value, (*way, key))]


@settings(max_examples=150, deadline=None)
@given(place=st.sampled_from(places(CONTENT)), value=JSON)
def test_whatever_stands_anywhere_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, place: tuple, value: Any
) -> None:
    content = deepcopy(CONTENT)
    inner = content
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    path = tmp_path_factory.mktemp("fuzz") / "card.json"
    path.write_text(json.dumps(content))
    try:
        assert isinstance(read_card(path), Card)
    except SourceError as error:
        assert "\n" not in str(error)


def test_libraries_that_are_installed_are_told_with_their_versions() -> None:
    import numpy

    assert installed_libraries()["numpy"] == numpy.__version__
