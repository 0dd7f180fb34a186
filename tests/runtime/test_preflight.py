"""preflight.py: every condition of serving an engine, the order in which they are asked, and what each refusal says.

No engine is opened: the GPU and TensorRT are said to be there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fcn_edge.errors import ModelError
from fcn_edge.manifest import MANIFEST
from runtime import engine_origin, preflight
from runtime.conditions import OTHER, REFUSED, TRUSTED, UNKNOWN
from runtime.cuda_driver import Gpu, NoGpu
from runtime.engine_facts import sidecar_of
from runtime.preflight import Preflight, require_servable
from tests.runtime.small_engines import (
    BUILDER,
    BUILT_WITH,
    ONNX_SHA256,
    PLAN,
    become,
    edit_sidecar,
    engine_facts,
    write_engine,
)

HERE: Gpu = BUILDER["gpu"]  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def the_machine_that_built_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that wants another says so."""
    become(monkeypatch, **BUILDER)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    (tmp_path / "my bundle").mkdir()
    (tmp_path / "my bundle" / MANIFEST).touch()
    return write_engine(tmp_path / "my bundle")


def rebuild(engine: Path) -> str:
    return f"`fcn-edge build '{engine.parent}' --precision int8`"


def refusal(engine: Path, **asked: Any) -> str:
    with pytest.raises(ModelError) as caught:
        require_servable(engine, **asked)
    told = str(caught.value)
    assert told.isprintable() and len(told) < 900
    assert str(preflight.preflight(engine, **asked).error) == told
    return told


def verdicts(flight: Preflight) -> dict[str, str]:
    return {condition.what: condition.verdict for condition in flight.conditions}


def test_an_engine_of_this_machine_and_user_may_be_served(engine: Path) -> None:
    facts = require_servable(engine, onnx_sha256=ONNX_SHA256)
    assert (facts.built_with, facts.model) == (BUILT_WITH, engine_facts().model)
    flight = preflight.preflight(engine, onnx_sha256=ONNX_SHA256)
    assert (flight.facts, flight.error) == (facts, None)
    assert list(verdicts(flight)) == [
        "owner of model.int8.engine",
        "mode of model.int8.engine",
        "owner of model.int8.engine.json",
        "mode of model.int8.engine.json",
        "mode of its folder",
        "sidecar",
        "size",
        "sha256",
        "sha256 of its ONNX",
        "machine",
        "GPU",
        "compute capability",
        "TensorRT",
    ]
    assert set(verdicts(flight).values()) == {"ok"}


# -- the file and its sidecar --------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["nothing", "0 bytes", "folder", "pipe", "below a file", "unreadable"])
def test_what_is_no_engine_is_refused(what: str, engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.unlink()
    words = {"nothing": f"found nothing at {engine}", "0 bytes": "found 0 bytes"}.get(what, "found no regular file")
    if what == "0 bytes":
        engine.touch()
    elif what == "folder":
        engine.mkdir()
    elif what == "pipe":
        os.mkfifo(engine)
    elif what == "below a file":
        (tmp_path / "file").touch()
        engine, words = tmp_path / "file" / "model.engine", "found nothing at"
    elif what == "unreadable":
        engine.write_bytes(PLAN)
        words = "found: Permission denied"
        monkeypatch.setattr(engine_origin, "sha256_of", permission_denied)  # root reads everything
    with pytest.raises(ModelError, match=words):
        require_servable(engine)
    with pytest.raises(ModelError, match=words):
        preflight.preflight(engine)


def permission_denied(path: Path) -> str:
    raise PermissionError(13, "Permission denied", str(path))


def test_an_engine_without_sidecar_is_refused_with_what_can_be_told(engine: Path) -> None:
    sidecar_of(engine).unlink()
    told = refusal(engine)
    assert "wanted model.int8.engine.json" in told and "found none" in told and rebuild(engine) in told
    flight = preflight.preflight(engine)
    assert flight.facts is None
    assert verdicts(flight) == {
        "sidecar": REFUSED,
        "machine": UNKNOWN,
        "GPU": UNKNOWN,
        "compute capability": UNKNOWN,
        "TensorRT": UNKNOWN,
    }
    assert flight.conditions[-1].wanted == "10.3.0.26 (by its plan)"
    assert [condition.found for condition in flight.conditions[1:]] == ["aarch64", "Orin", "8.7", "10.3.0"]


@pytest.mark.parametrize("plan", [b"ftrt", b"no plan at all, but long enough to be one", b"ftrt\1\0\0\0" + bytes(40)])
def test_of_a_plan_with_another_head_no_version_is_guessed(plan: bytes, engine: Path) -> None:
    sidecar_of(engine).unlink()
    engine.write_bytes(plan)
    assert preflight.preflight(engine).conditions[-1].wanted == "not told"


def test_not_even_who_trusts_an_engine_can_do_without_its_sidecar(engine: Path) -> None:
    sidecar_of(engine).unlink()
    assert "found none" in refusal(engine, trust=True)


def test_an_edited_sidecar_is_refused(engine: Path) -> None:
    edit_sidecar(engine, "built_with", "tensorrt", to="10.16.1")
    told = refusal(engine)
    assert "found a sidecar that was edited" in told and rebuild(engine) in told


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (PLAN[:-1], "cut, or another"),
        (PLAN[: len(PLAN) // 2], f"of {len(PLAN)} bytes, found {len(PLAN) // 2} bytes: cut, or another"),
        (PLAN + b"more", "cut, or another"),
        (bytes(len(PLAN)), "by its sha256, found another"),
        (PLAN[:-1] + b"!", "by its sha256, found another"),
    ],
)
def test_a_plan_that_is_not_the_one_that_was_built_is_refused(plan: bytes, words: str, engine: Path) -> None:
    engine.write_bytes(plan)
    told = refusal(engine)
    assert "wanted the engine that model.int8.engine.json names" in told and words in told
    assert rebuild(engine) in told and "--trust-engine" in told
    assert require_servable(engine, trust=True).engine_bytes == len(PLAN)


def test_an_engine_of_another_model_is_refused_and_trust_does_not_help(engine: Path) -> None:
    for trust in (False, True):
        told = refusal(engine, onnx_sha256="1" * 64, trust=trust)
        assert "found one of another model" in told and rebuild(engine) in told


# -- whose it is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", [lambda engine: engine, sidecar_of], ids=["plan", "sidecar"])
@pytest.mark.parametrize(
    ("mode", "is_open"), [(0o666, True), (0o646, True), (0o664, True), (0o644, False), (0o600, False)]
)
def test_a_file_that_others_may_write_is_refused(
    mode: int, is_open: bool, of: Callable[[Path], Path], engine: Path
) -> None:
    of(engine).chmod(mode)
    if not is_open:
        assert require_servable(engine)
        return
    told = refusal(engine)
    assert told.startswith(f"{of(engine)}: wanted a file that only its owner may write, found mode {mode:04o}")
    assert rebuild(engine) in told
    assert require_servable(engine, trust=True)


@pytest.mark.parametrize(("mode", "is_open"), [(0o777, True), (0o757, True), (0o1777, False), (0o775, False)])
def test_a_folder_in_which_everybody_may_rename_is_refused(mode: int, is_open: bool, engine: Path) -> None:
    engine.parent.chmod(mode)
    if not is_open:
        assert require_servable(engine)
        return
    assert f"found mode {mode:04o}; close it with `chmod o-w '{engine.parent}'`" in refusal(engine)
    assert require_servable(engine, trust=True)


def test_of_a_link_the_folder_that_it_leads_to_is_asked_too(engine: Path, tmp_path: Path) -> None:
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    moved = engine.rename(open_folder / engine.name)
    open_folder.chmod(0o777)
    engine.symlink_to(moved)
    assert refusal(engine).startswith(f"{open_folder}: wanted a folder")


@pytest.mark.parametrize(
    ("owner", "me", "is_taken"),
    [(1000, 1000, True), (0, 1000, True), (1001, 1000, False), (1000, 0, False), (0, 0, True)],
)
@pytest.mark.parametrize("of", ["plan", "sidecar"])
def test_only_files_of_this_user_or_of_root_are_taken(
    of: str, owner: int, me: int, is_taken: bool, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = engine if of == "plan" else sidecar_of(engine)
    stat = Path.stat

    def owned(path: Path, **words: Any) -> os.stat_result:
        found = list(stat(path, **words))
        found[4] = owner if path == stranger else me
        return os.stat_result(found)

    monkeypatch.setattr(Path, "stat", owned)
    monkeypatch.setattr(engine_origin.os, "geteuid", lambda: me)
    if is_taken:
        assert require_servable(engine)
        return
    told = refusal(engine)
    assert told.startswith(f"{stranger}: wanted a file of ") and "and an engine is code" in told
    assert require_servable(engine, trust=True)


def test_a_user_without_a_name_goes_by_number() -> None:
    assert engine_origin._user(4_000_000_000) == "user 4000000000"
    assert engine_origin._user(0) == "root"


def test_what_trust_forgives_is_told_as_such(engine: Path) -> None:
    engine.chmod(0o666)
    edit_sidecar(engine, "scored_on", to="elsewhere")
    told = verdicts(preflight.preflight(engine, trust=True))
    assert {what for what, verdict in told.items() if verdict == TRUSTED} == {
        "mode of model.int8.engine",
        "sidecar",
        "size and sha256",
    }
    assert REFUSED not in told.values()


# -- the machine ----------------------------------------------------------------------------------------------------

STORY = "found one built with TensorRT 10.3.0 on Orin (compute capability 8.7, aarch64); build it here with "


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize(
    ("here", "what"),
    [
        ({"machine": "x86_64"}, "machine x86_64"),
        ({"gpu": replace(HERE, name="Thor", compute_capability="11.0")}, "compute capability 11.0"),
        ({"tensorrt": "10.3.1"}, "TensorRT 10.3.1"),
        ({"tensorrt": "11.4.0.106"}, "TensorRT 11.4.0.106"),
    ],
)
def test_an_engine_of_another_machine_is_refused_whoever_trusts_it(
    here: dict[str, Any], what: str, trust: bool, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch, **here)
    told = refusal(engine, trust=trust)
    assert told == f"{engine}: wanted an engine for {what}, {STORY}{rebuild(engine)}"


def test_another_gpu_of_the_same_capability_is_told_and_taken(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    become(monkeypatch, gpu=replace(HERE, name="Orin Nano"))
    assert require_servable(engine)
    flight = preflight.preflight(engine)
    assert verdicts(flight)["GPU"] == OTHER
    assert next((row.wanted, row.found) for row in flight.conditions if row.what == "GPU") == ("Orin", "Orin Nano")


def test_without_a_gpu_tensorrt_is_not_touched_and_the_rest_is_told(
    engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch, gpu=NoGpu("wanted an NVIDIA GPU, found no NVIDIA driver"), tensorrt=AssertionError("touched"))
    with pytest.raises(NoGpu):
        require_servable(engine)
    flight = preflight.preflight(engine)
    assert isinstance(flight.error, NoGpu)
    told = {condition.what: (condition.wanted, condition.found) for condition in flight.conditions}
    assert told["compute capability"] == ("8.7", "no GPU")
    assert told["TensorRT"] == ("10.3.0", "not asked without a GPU")
    assert verdicts(flight)["sha256"] == "ok"


def test_where_tensorrt_cannot_be_loaded_its_own_line_is_the_refusal(
    engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch, tensorrt=ModelError("wanted the package tensorrt, found none; install it"))
    assert refusal(engine) == "wanted the package tensorrt, found none; install it"


# -- the order ------------------------------------------------------------------------------------------------------


def spoil_machine(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    become(monkeypatch, machine="riscv64", gpu=NoGpu("no GPU"), tensorrt=AssertionError("touched"))


def spoil_plan(engine: Path, _: pytest.MonkeyPatch) -> None:
    engine.write_bytes(PLAN[:-1])


def spoil_sidecar(engine: Path, _: pytest.MonkeyPatch) -> None:
    edit_sidecar(engine, "scored_on", to="elsewhere")


def spoil_mode(engine: Path, _: pytest.MonkeyPatch) -> None:
    engine.chmod(0o666)


def spoil_json(engine: Path, _: pytest.MonkeyPatch) -> None:
    sidecar_of(engine).write_text("{")


def test_of_several_refusals_the_first_in_order_is_said(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mishap comes before those that came before it."""
    for spoil, words in [
        (spoil_machine, "machine riscv64"),
        (lambda *_: None, "machine riscv64"),
        (spoil_plan, "cut, or another"),
        (spoil_sidecar, "was edited"),
        (spoil_mode, "found mode 0666"),
        (spoil_json, "as `fcn-edge build` wrote it"),
    ]:
        spoil(engine, monkeypatch)  # type: ignore[operator]
        assert words in refusal(engine, onnx_sha256=ONNX_SHA256)


def test_no_digest_is_made_of_a_plan_of_another_size(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.write_bytes(PLAN[:-1])
    monkeypatch.setattr(engine_origin, "sha256_of", lambda _: pytest.fail("read"))
    assert "cut, or another" in refusal(engine)


def test_a_sidecar_with_words_that_steer_a_terminal_is_shown_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = write_engine(tmp_path, built_with=replace(BUILT_WITH, tensorrt="\x1b[2J", gpu="\n\x07" * 500))
    assert "?[2J on" in refusal(engine)
    for condition in preflight.preflight(engine).conditions:
        assert (condition.wanted + condition.found).isprintable()


@pytest.mark.parametrize("name", ["drive.engine", "model.engine", "model.int8.engine"])
def test_outside_of_a_bundle_an_engine_is_built_again_from_the_file_of_its_name(name: str, engine: Path) -> None:
    (engine.parent / MANIFEST).unlink()
    other = engine.rename(engine.with_name(name))
    onnx = other.with_name(name.replace(".engine", ".onnx"))
    sidecar_of(other).write_text("{}")
    assert "build it again with `fcn-edge build ITS_ONNX_FILE`" in refusal(other)
    onnx.touch()
    assert f"build it again with `fcn-edge build '{onnx}'`" in refusal(other)
