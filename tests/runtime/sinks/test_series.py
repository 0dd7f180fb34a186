"""runtime.sinks.series: names of recordings, none of which is ever given twice."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcn_edge.errors import UsageError
from runtime.sinks.series import Series, begin_file, entries_like, free_names, is_written, keep_as

NOON_S = time.mktime((2026, 3, 7, 12, 34, 56, 0, 0, -1))
PIECES = st.lists(
    st.sampled_from(["%Y", "%m", "%d", "%H", "%M", "%S", "%j", "%y", "%%", "cam", "-", ".", "(1)", "[", "é", " "])
)


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("out.mkv", "out.mkv"),
        ("100%.mkv", "100%.mkv"),
        ("%%.mkv", "%%.mkv"),
        ("{odd}.mkv", "{odd}.mkv"),
        ("rec/%Y%m%d-%H%M%S.mkv", "rec/20260307-123456.mkv"),
        ("%y/%j/100%%-%H.MP4", "26/066/100%-12.MP4"),
    ],
)
def test_a_name_holds_the_time_where_it_was_asked_to(pattern: str, name: str) -> None:
    assert str(Series(pattern).name_at(NOON_S)) == name


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("out-%06d.mkv", "%06d"),
        ("%5d/out.mkv", "%5d"),
        ("%Y-%q.mkv", "found %q"),
        ("%Y-100%", "found %;"),
        ("%H:%-M.mkv", "found %-"),
        ("%s-%Y.mkv", "found %s"),
    ],
)
def test_a_field_that_is_none_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        Series(pattern)


@pytest.mark.parametrize(
    ("pattern", "root"),
    [
        ("out.mkv", "."),
        ("a/b/out.mkv", "a/b"),
        ("/a/out.mkv", "/a"),
        ("/%Y/out.mkv", "/"),
        ("%Y/%m/%d.mkv", "."),
        ("a/%Y/b/%d.mkv", "a"),
        ("a/%Y.mkv", "a"),
    ],
)
def test_the_root_is_the_folder_of_all_names(pattern: str, root: str) -> None:
    assert Series(pattern).root == Path(root)


@given(PIECES, PIECES, st.integers(0, 4_000_000_000), st.integers(1, 20_000))
def test_every_name_that_a_series_gives_is_known_as_its_own(
    folder: list[str], name: list[str], wall_s: int, number: int
) -> None:
    series = Series(f"x{''.join(folder)}/y{''.join(name)}.mkv")
    given = series.name_at(wall_s)
    expressions = [series._expression(series._parts[0]), series._file_pattern]
    for path in (given, given.with_name(f"{given.stem}-{number:04d}.mkv")):
        assert len(path.parts) == 2
        assert all(re.fullmatch(one, part) for one, part in zip(expressions, path.parts, strict=True)), path


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(["a.mkv", "a-0001.mkv", ".a.mkv.12.part", ".a-0002.mkv.7.part", "a-0003.mkv"])))
def test_a_free_name_is_neither_there_nor_the_aim_of_a_temporary_file(
    tmp_path_factory: pytest.TempPathFactory, there: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("names")
    for name in there:
        write(folder / name)
    taken = {re.sub(r"^\.(.*)\.\d+\.part$", r"\1", name) for name in there}
    free = [path.name for path in islice(free_names(folder / "a.mkv"), 2)]
    assert not set(free) & taken
    assert free == sorted(free, key=lambda name: (len(name), name))


def test_a_series_knows_its_files_from_others(tmp_path: Path) -> None:
    ours = ["20260307/1234.mkv", "20260307/1234-0001.mkv", "20260308/0000.mkv"]
    for name in ours:
        write(tmp_path / name)
    for name in ("20260307/1234.mp4", "20260307/x1234.mkv", "2026/1234.mkv", "1234.mkv", "20260307/.1234.mkv.1.part",
                 "20260307/deep/1234.mkv", "20260307/1234-1.mkv", "20260307/١٢٣٤.mkv"):  # fmt: skip
        write(tmp_path / name)
    (tmp_path / "20260309").symlink_to(tmp_path / "20260308")
    assert Series(f"{tmp_path}/%Y%m%d/%H%M.mkv").files() == sorted(tmp_path / name for name in ours)


def test_a_plain_name_counts_its_files(tmp_path: Path) -> None:
    for name in ("out.mkv", "out-0001.mkv", "out-12345.mkv", "out-1.mkv", "outer.mkv", "out-old.mkv", "oXut.mkv"):
        write(tmp_path / name)
    found = [path.name for path in Series(str(tmp_path / "out.mkv")).files()]
    assert found == ["out-0001.mkv", "out-12345.mkv", "out.mkv"]


def test_leftovers_are_temporary_files_of_the_series_that_nobody_writes(tmp_path: Path) -> None:
    left = write(tmp_path / ".out-0002.mkv.4711.part")
    for name in (".other.mkv.1.part", ".out.mp4.1.part", ".out.mkv.part", ".out.mkv.x.part", "out.mkv.1.part"):
        write(tmp_path / name)
    write(tmp_path / ".out.mkv.1.part", "")  # nothing can be lost that was not there
    _, _, file = begin_file(tmp_path / "out-0003.mkv")
    file.write(b"x")
    with file:
        assert Series(str(tmp_path / "out.mkv")).leftovers() == [(left, tmp_path / "out-0002.mkv")]


def test_a_temporary_file_is_free_when_its_process_is_dead(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from runtime.sinks.series import begin_file\n"
        "held = begin_file(Path(sys.argv[1])); print(held[1], flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "out.mkv")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        part = Path(process.stdout.readline().strip())
        while_it_lives = is_written(part)
        process.kill()
    assert (while_it_lives, is_written(part)) == (True, False)


def test_two_that_begin_one_name_get_two(tmp_path: Path) -> None:
    begun = [begin_file(tmp_path / "new" / "out.mkv") for _ in range(3)]
    for _, _, file in begun:
        file.close()
    assert [path.name for path, _, _ in begun] == ["out.mkv", "out-0001.mkv", "out-0002.mkv"]


def test_keeping_a_file_overwrites_none(tmp_path: Path) -> None:
    for name in ("out.mkv", "out-0001.mkv"):
        write(tmp_path / name, name)
    kept = keep_as(write(tmp_path / "part", "new"), tmp_path / "out.mkv")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "out.mkv": "out.mkv", "out-0001.mkv": "out-0001.mkv", "out-0002.mkv": "new"
    }  # fmt: skip
    assert kept == tmp_path / "out-0002.mkv"


def test_a_file_that_cannot_be_kept_claims_no_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        keep_as(tmp_path / "nothing", tmp_path / "out.mkv")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert list(entries_like(tmp_path / "none", [".*"])) == list(entries_like(tmp_path, [])) == []
