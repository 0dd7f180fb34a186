"""runtime.model_cache: entries are whole or not there, bounded in bytes, and never a reason to fail."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime import model_cache
from runtime.model_cache import being_kept, drop, kept, key_of

KEY = "0123456789abcdef"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of one test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "fcn-edge" / "models"


def keep(key: str, content: bytes = b"compiled") -> Path:
    with being_kept(key) as place:
        place.write_bytes(content)
    entry = kept(key)
    assert entry is not None
    return entry


def test_what_was_kept_is_found_again() -> None:
    assert keep(KEY, b"compiled").read_bytes() == b"compiled"


def test_nothing_is_found_where_nothing_was_kept(folder: Path) -> None:
    assert kept(KEY) is None and not folder.exists()


def test_every_key_has_its_own_entry() -> None:
    assert keep("a" * 8, b"one").read_bytes() == b"one"
    assert keep("b" * 8, b"two").read_bytes() == b"two"
    assert keep("a" * 8, b"one").read_bytes() == b"one"


@pytest.mark.parametrize("damage", [b"", b"compile", b"Compiled", b"compiled "], ids=["empty", "cut", "bit", "longer"])
def test_a_damaged_entry_is_removed_and_can_be_made_again(folder: Path, damage: bytes) -> None:
    keep(KEY).write_bytes(damage)
    assert kept(KEY) is None
    assert list(folder.iterdir()) == []
    assert keep(KEY).read_bytes() == b"compiled"


def test_a_folder_in_the_place_of_an_entry_is_none() -> None:
    entry = keep(KEY)
    drop(entry)
    entry.mkdir()
    assert kept(KEY) is None


def test_what_fails_to_be_made_leaves_nothing(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="half"), being_kept(KEY) as place:
        place.write_bytes(b"half")
        raise RuntimeError("half")
    assert kept(KEY) is None and list(folder.iterdir()) == []


def test_where_nothing_can_be_written_nothing_is_kept_and_nothing_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    with being_kept(KEY):
        pass  # a library that could not write went on without
    assert kept(KEY) is None


def test_a_block_that_writes_nothing_keeps_nothing(folder: Path) -> None:
    with being_kept(KEY):
        pass
    assert kept(KEY) is None and list(folder.iterdir()) == []


def test_the_entries_used_longest_ago_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_cache, "MOST_BYTES", 250)
    for age, key in ((3, "a"), (2, "b")):
        os.utime(keep(key, key.encode() * 100), (age, age))
    assert kept("a")  # used now
    keep("c", b"c" * 100)
    assert kept("a") and kept("c") and kept("b") is None


def test_what_is_larger_than_the_whole_cache_is_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_cache, "MOST_BYTES", 250)
    keep("a", bytes(200))
    with being_kept("b") as place:
        place.write_bytes(bytes(251))
    assert kept("b") is None and kept("a")
    assert len(list(folder.iterdir())) == 1


def test_what_a_killed_process_left_makes_room_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_cache, "MOST_BYTES", 250)
    keep("a")
    left = folder / f".{KEY}.4194305.part"
    left.write_bytes(bytes(250))
    os.utime(left, (1, 1))
    keep("b")
    assert not left.exists() and kept("a") and kept("b")


@pytest.mark.parametrize("fact", ["processor", "features", "cores", "system"])
def test_another_processor_has_other_keys(fact: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = model_cache.machine()
    before = key_of(sha256="0")
    monkeypatch.setattr(model_cache, "machine", lambda: {**here, fact: "another"})
    assert key_of(sha256="0") != before


def test_keys_tell_what_an_entry_was_made_from() -> None:
    facts = [{"sha256": "0"}, {"sha256": "1"}, {"sha256": "0", "options": {"threads": 1}}, {"library": "openvino 1"}]
    assert len({key_of(**made_from) for made_from in facts}) == len(facts)
    assert key_of(a=1, b=2) == key_of(b=2, a=1)
