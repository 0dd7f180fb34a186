"""engine_facts.py: the sidecar comes back as it was written, and nothing else is taken for one."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fcn_edge.errors import ModelError
from runtime.engine_facts import (
    DIGEST,
    MOST_BYTES,
    close_to_others,
    read_engine_facts,
    read_sidecar,
    sidecar_of,
    write_engine_facts,
)
from tests.runtime.small_engines import edit_sidecar, engine_facts, write_engine


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return write_engine(tmp_path)


def refusal(engine: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_engine_facts(engine)
    told = str(caught.value)
    assert "\n" not in told and "\x1b" not in told and len(told) < 1000
    assert told.startswith(f"{engine}: wanted {sidecar_of(engine).name} as `fcn-edge build` wrote it, found ")
    return told


def test_a_sidecar_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_engine_facts(tmp_path / "a.engine", engine_facts())
    assert read_engine_facts(tmp_path / "a.engine") == engine_facts()
    assert sidecar_of(tmp_path / "a.engine").name == "a.engine.json"


def test_a_score_of_nothing_comes_back_as_none(tmp_path: Path) -> None:
    write_engine_facts(tmp_path / "a.engine", engine_facts(scores={"pole": math.nan}))
    assert read_engine_facts(tmp_path / "a.engine").scores == {"pole": None}


def test_nobody_but_the_owner_may_write_a_sidecar_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        engine = write_engine(tmp_path)
    finally:
        os.umask(before)
    assert sidecar_of(engine).stat().st_mode & 0o777 == 0o644


def test_closing_a_file_to_others_keeps_who_may_read_it(tmp_path: Path) -> None:
    (tmp_path / "plan").touch()
    for mode, closed in ((0o666, 0o644), (0o660, 0o640), (0o600, 0o600)):
        (tmp_path / "plan").chmod(mode)
        close_to_others(tmp_path / "plan")
        assert (tmp_path / "plan").stat().st_mode & 0o777 == closed


def leaves(content: Any, *way: str) -> Iterator[tuple[str, ...]]:
    """The way to every value of the sidecar that is no object."""
    for key, value in content.items():
        yield from leaves(value, *way, key) if isinstance(value, dict) else [(*way, key)]


def written_leaves(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, ...]]:
    engine = write_engine(tmp_path_factory.mktemp("leaves"))
    return list(leaves(json.loads(sidecar_of(engine).read_text())))


def test_an_edit_of_any_field_shows(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = sidecar_of(engine).read_text()
    ways = written_leaves(tmp_path_factory)
    assert {"engine_sha256", "onnx_sha256", "built_with", DIGEST} <= {way[0] for way in ways} and len(ways) > 20
    for way in ways:
        sidecar_of(engine).write_text(whole)
        before = json.loads(whole)
        for key in way:
            before = before[key]
        edit_sidecar(engine, *way, to=before + 1 if isinstance(before, (int, float)) else f"{before}x")
        assert "found" in refusal(engine), way


@pytest.mark.parametrize("key", ["added", "layers"])
def test_a_field_added_or_left_out_shows(key: str, engine: Path) -> None:
    content = json.loads(sidecar_of(engine).read_text())
    if content.pop(key, None) is None:
        content[key] = 1
    sidecar_of(engine).write_text(json.dumps(content))
    assert not refusal(engine).endswith("found none")


def test_an_edited_sidecar_can_still_be_read_by_who_trusts_it(engine: Path) -> None:
    assert read_sidecar(engine).is_intact
    edit_sidecar(engine, "scored_on", to="elsewhere")
    facts, is_intact = read_sidecar(engine)
    assert (facts.scored_on, is_intact) == ("elsewhere", False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Expecting value"),
        ("[]", "no JSON object"),
        ("null", "no JSON object"),
        ("{}", f"found no '{DIGEST}'"),
        ("[" * 100_000, "recursion"),
        ("9" * 10_000, "digit"),
        ('{"\x1b[2J": NaN}', ""),
        ("\ud800".encode("utf-8", "surrogatepass"), "utf-8"),
        (b"\0" * 100, ""),
    ],
    ids=range(9),
)
def test_what_is_no_sidecar_is_one_line(text: str | bytes, words: str, engine: Path) -> None:
    sidecar_of(engine).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert words in refusal(engine)


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("built_with", "tensorrt"), ["10.3.0"]),
        (("built_with", "integrated"), 1),
        (("built_with",), "Orin"),
        (("engine_sha256",), None),
        (("engine_bytes",), "many"),
        (("engine_bytes",), True),
        (("engine_bytes",), 1.5),
        (("tensors",), {}),
        (("tensors",), [{"name": "frame", "mode": "input", "shape": [1, "2"], "dtype": "uint8"}]),
        (("tensors",), [{"name": "frame"}]),
        (("options",), []),
        (("layers",), 3),
        (("scored_on",), {}),
        (("model", "size_hw"), [0, 5]),
        (("model", "classes"), "road"),
        (("onnx_name",), "../secret.onnx"),
        (("onnx_name",), "/etc/passwd"),
        (("onnx_name",), "\x1b[2J"),
        (("schema_version",), 99),
    ],
)
def test_values_of_a_wrong_kind_are_refused_before_the_digest_is_asked(
    way: tuple[str, ...], value: Any, engine: Path
) -> None:
    edit_sidecar(engine, *way, to=value)
    with pytest.raises(ModelError, match=r"wanted .* found"):
        read_sidecar(engine)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_number_that_the_digest_cannot_tell_from_null_is_refused(number: str, tmp_path: Path) -> None:
    engine = write_engine(tmp_path, scores={"pole": math.nan})
    text = sidecar_of(engine).read_text()
    assert '"pole": null' in text
    sidecar_of(engine).write_text(text.replace('"pole": null', f'"pole": {number}'))
    assert "the number" in refusal(engine)


def test_a_huge_sidecar_is_refused_without_reading_it(engine: Path) -> None:
    with sidecar_of(engine).open("r+b") as file:
        file.truncate(1 << 40)
    assert f"more than {MOST_BYTES >> 20} MiB" in refusal(engine)


def test_of_a_link_to_a_file_of_another_kind_nothing_is_told(engine: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"password\xff")
    sidecar_of(engine).unlink()
    sidecar_of(engine).symlink_to(tmp_path / "secret")
    assert "password" not in refusal(engine)


def test_a_pipe_a_folder_and_nothing_are_no_sidecar(engine: Path) -> None:
    path = sidecar_of(engine)
    path.unlink()
    assert "found none" in refusal(engine)
    os.mkfifo(path)
    assert "no regular file" in refusal(engine)
    path.unlink()
    path.mkdir()
    assert "directory" in refusal(engine)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_changed_byte_is_refused_or_means_the_same(place: int, byte: int, tmp_path: Path) -> None:
    engine = write_engine(tmp_path)
    facts = read_engine_facts(engine)
    content = bytearray(sidecar_of(engine).read_bytes())
    content[place % len(content)] = byte
    sidecar_of(engine).write_bytes(content)
    try:
        assert read_engine_facts(engine) == facts
    except ModelError as error:
        assert "\n" not in str(error)
