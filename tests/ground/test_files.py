"""files.py: a final name holds a whole file or what it held before."""

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from fcn_edge.errors import OutputError
from fcn_edge.files import require_writable, sha256_of, whole_file, whole_folder, write_json, writing

# A disk that is full after 1000 bytes, as far as this process can tell.
FULL_DISK = """
import resource, sys
from pathlib import Path
from fcn_edge.errors import OutputError
from fcn_edge.files import require_writable, whole_file, whole_folder

_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
where = Path(sys.argv[1])
try:
    if sys.argv[2] == "whole_file":
        with whole_file(where) as partial:
            partial.write_bytes(bytes(5000))
    elif sys.argv[2] == "whole_folder":
        with whole_folder(where) as partial:
            (partial / "large").write_bytes(bytes(5000))
    else:
        require_writable(where)
    print("written")
except OutputError as error:
    print(error)
"""


def left_in(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def on_a_full_disk(verb: str, where: Path) -> str:
    command = [sys.executable, "-c", FULL_DISK, str(where), verb]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_then_fail(error: BaseException) -> Callable[[Path], None]:
    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise error

    return fail


def test_a_file_appears_under_its_name_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "new" / "deep" / "out.txt"
    with whole_file(target) as partial:
        partial.write_text("whole")
        assert not target.exists()
        assert partial.parent == target.parent  # a rename within one file system
    assert left_in(target.parent) == {"out.txt": b"whole"}


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    with whole_file(target) as partial:
        partial.write_text("new, half of it")
        assert target.read_text() == "old"
        partial.write_text("new")
    assert left_in(tmp_path) == {"out.txt": b"new"}


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(type(error)) as caught, whole_file(target) as partial:
        write_then_fail(error)(partial)
    assert caught.value is error
    assert left_in(tmp_path) == {"out.txt": b"old"}


def test_an_oserror_of_the_block_is_an_output_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught, whole_file(tmp_path / "out.txt") as partial:
        write_then_fail(OSError(28, "No space left on device"))(partial)
    assert "out.txt" in str(caught.value) and "No space left on device" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert left_in(tmp_path) == {}


def test_an_oserror_without_a_reason_still_says_something() -> None:
    with pytest.raises(OutputError, match="odd thing"), writing(Path("out")):
        raise OSError("odd thing")


def test_a_block_that_writes_nothing_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError), whole_file(tmp_path / "out.txt"):
        pass
    assert left_in(tmp_path) == {}


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError), whole_file(tmp_path / "out") as partial:
        partial.write_text("whole")
    assert left_in(tmp_path) == {"out": None}


@pytest.mark.parametrize("verb", ["whole_file", "whole_folder", "require_writable"])
def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path: Path, verb: str) -> None:
    where = tmp_path if verb == "require_writable" else tmp_path / "out"
    told = on_a_full_disk(verb, where).splitlines()
    assert len(told) == 1 and told[0].startswith(f"{where}: wanted to write here")
    assert left_in(tmp_path) == {}


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    on_a_full_disk("whole_file", tmp_path / "out")
    assert left_in(tmp_path) == {"out": b"old"}


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_appears_whole_where_there_was_none_or_an_empty_one(tmp_path: Path, exists: bool) -> None:
    target = tmp_path / "bundle"
    if exists:
        target.mkdir()
    with whole_folder(target) as partial:
        (partial / "a").write_text("1")
        assert not target.exists() or not any(target.iterdir())
    assert left_in(tmp_path) == {"bundle": None, "bundle/a": b"1"}


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_a_place_without_a_name_of_its_own_is_an_output_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    # A rename over the folder one stands in would leave one standing nowhere.
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError), whole(Path(".")):
        pass
    assert left_in(tmp_path) == {}


@pytest.mark.parametrize("taken", ["folder", "file"])
def test_a_taken_place_is_refused_and_kept(tmp_path: Path, taken: str) -> None:
    target = tmp_path / "bundle"
    if taken == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine").write_text("mine")
    before = left_in(tmp_path)
    with pytest.raises(OutputError, match="bundle"), whole_folder(target) as partial:
        (partial / "a").write_text("1")
    assert left_in(tmp_path) == before


def test_a_folder_whose_block_fails_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "bundle") as partial:
        write_then_fail(KeyboardInterrupt())(partial / "a")
    assert left_in(tmp_path) == {}


def test_a_writable_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    require_writable(tmp_path / "new" / "run")
    assert left_in(tmp_path) == {"new": None, "new/run": None}


def test_a_writable_folder_keeps_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    require_writable(tmp_path)
    assert left_in(tmp_path) == {"mine": b"mine"}


@pytest.mark.parametrize("place", ["file", "file/run"])
def test_a_place_at_or_below_a_file_is_not_writable(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match=place):
        require_writable(tmp_path / place)
    assert left_in(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ({"a": [1, 2.5, "ü", None, True]}, {"a": [1, 2.5, "ü", None, True]}),
        ({"a": math.nan, "b": [math.nan, {"c": math.nan}]}, {"a": None, "b": [None, {"c": None}]}),
        ({1: (2, 3)}, {"1": [2, 3]}),
        ([], []),
    ],
)
def test_json_is_read_back_with_null_for_nan(tmp_path: Path, content: Any, read: Any) -> None:
    write_json(tmp_path / "x.json", content)
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == read


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_written_is_json_by_the_standard(tmp_path: Path, number: float) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    write_json(tmp_path / "x.json", {"loss": number})
    json.loads((tmp_path / "x.json").read_text(), parse_constant=refuse)


def test_content_that_is_no_json_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"a": object()})
    assert left_in(tmp_path) == {"x.json": b"1\n"}


@pytest.mark.parametrize("size", [0, 1, 2**20, 2**20 + 1])
def test_a_digest_is_that_of_the_whole_file(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    (tmp_path / "x").write_bytes(content)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(content).hexdigest()
