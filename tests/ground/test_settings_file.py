"""settings_file: keys, types and limits of flags in TOML, and the line of every mistake."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest
import tomllib
from hypothesis import given
from hypothesis import strategies as st

from fcn_edge.errors import UsageError
from fcn_edge.options import SIZE
from fcn_edge.settings_file import MOST_BYTES, key_of, parse_settings, read_settings, require_known, require_value

OPTIONS = {
    key_of(option): option
    for option in (
        click.Option(["--alpha"], type=click.FloatRange(0, 1)),
        click.Option(["--threads"], type=click.IntRange(1)),
        click.Option(["-l", "--loop/--no-loop"]),
        click.Option(["--view"], type=click.Choice(["mask", "split"])),
        click.Option(["--size", "size_hw"], type=SIZE),
        click.Option(["--host"], multiple=True),
    )
}


def checked(text: str) -> None:
    file = parse_settings("run.toml", text.encode())
    require_known(file, OPTIONS, "run")
    for key in file.values:
        require_value(file, key, OPTIONS[key])


def test_a_key_is_the_long_flag_without_its_dashes() -> None:
    assert list(OPTIONS) == ["alpha", "threads", "loop", "view", "size", "host"]


def test_what_the_flags_take_is_taken() -> None:
    checked('alpha = 1\nthreads = 4\nloop = true\nview = "mask"\nsize = "36x48"\nhost = ["a", "b"]\n')


@pytest.mark.parametrize(
    ("line", "wanted", "found"),
    [
        ('alpha = "0.5"', "a number for alpha", "'0.5'"),
        ("alpha = true", "a number for alpha", "True"),
        ("alpha = 1.5", "a value that --alpha takes", "1.5 is not in the range"),
        ("alpha = nan", "a finite number for alpha", "nan"),
        ("alpha = -inf", "a finite number for alpha", "-inf"),
        ("threads = 2.0", "a whole number for threads", "2.0"),
        ("threads = 0", "a value that --threads takes", "0 is not in the range"),
        ("loop = 1", "true or false for loop", "1"),
        ('loop = "yes"', "true or false for loop", "'yes'"),
        ('view = "both"', "a value that --view takes", "'both'"),
        ("view = 3", "text in quotes for view", "3"),
        ("size = [36, 48]", "text in quotes for size", "[36, 48]"),
        ('size = "36"', "a value that --size takes", "'36'"),
        ('host = "a"', "a list for host", "'a'"),
        ('host = ["a", 2]', "text in quotes for host", "2"),
        ("[view]\nx = 1", "text in quotes for view", "{'x': 1}"),
        ("viwe = 1", "options of `fcn-edge run`", "'viwe'; did you mean view?"),
        ("zzz = 1", "options of `fcn-edge run`", "'zzz'; it may hold alpha, host, loop"),
    ],
)
def test_what_they_refuse_is_told_with_file_and_line(line: str, wanted: str, found: str) -> None:
    with pytest.raises(UsageError) as told:
        checked(f"# a comment\n\n{line}\n")
    message = str(told.value)
    assert message.startswith("run.toml, line 3: wanted ")
    assert wanted in message and f"found {found}" in message.replace("found: ", "found ")
    assert "\n" not in message


@pytest.mark.parametrize("text", ["alpha = ", "alpha = 1\nalpha = 2", "alpha = 1 beta = 2", 'view = "mask', "[a\n"])
def test_what_is_no_toml_is_told_with_the_parsers_own_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"run\.toml: wanted TOML, found: .*(line \d|end of document).*; mend it"):
        checked(text)


MANY_LINES = '''\
# sources = 1
sources = [  # two
    "a",

    "b = 2",
]
note = """
alpha = 0.1
"""
alpha = 0.5

[table]  # of things
"odd key" = 1
inner.leaf = {twig = 1}
[table.below]
other = \'\'\'
[no.table]\'\'\'
last = 1
[[items]]
name = "x"
'''

LINES = {
    ("sources",): 2,
    ("note",): 7,
    ("alpha",): 10,
    ("table",): 12,
    ("table", "odd key"): 13,
    ("table", "inner"): 14,
    ("table", "inner", "leaf"): 14,
    ("table", "inner", "leaf", "twig"): 14,
    ("table", "below"): 15,
    ("table", "below", "other"): 16,
    ("table", "below", "last"): 18,
    ("items",): 19,
    ("items", "name"): 20,
}


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_the_line_is_where_the_key_stands_whatever_lies_between(ends: str) -> None:
    file = parse_settings("run.toml", MANY_LINES.replace("\n", ends).encode())
    assert {key: file.where(*key) for key in LINES} == {key: f"run.toml, line {line}" for key, line in LINES.items()}


def test_a_key_without_a_line_of_its_own_has_that_of_what_holds_it() -> None:
    file = parse_settings("run.toml", b'\nsources = ["a"]\n')
    assert file.where("sources", "0") == "run.toml, line 2" and file.where("model") == "run.toml"


def test_a_file_that_never_ends_or_never_begins_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe"):
        with pytest.raises(UsageError, match=f"wanted the recipe {path}, found no regular file; check the path"):
            read_settings(path, "recipe")


def test_a_file_of_more_than_a_mebibyte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("alpha = 1 #".ljust(MOST_BYTES))
    assert read_settings(path, "configuration").values == {"alpha": 1}
    os.truncate(path, 1 << 40)  # without a byte on the disk
    with pytest.raises(UsageError, match="found a file of more than 1 MiB; check the path"):
        read_settings(path, "configuration")


VALUES = st.sampled_from(["1", '"text"', "[\n1,\n2]", '"""\nkey9 = 1\n[t]\n"""', "'''\n#\n'''", "{a = 1}", "true # 1"])
FILLING = st.sampled_from(["", "# key1 = 1\n", "\n\n", " \t\n"])


@given(st.lists(st.tuples(FILLING, VALUES), min_size=1, max_size=8), st.integers(0, 8))
def test_every_key_is_found_in_its_line(statements: list[tuple[str, str]], header_at: int) -> None:
    text, wanted, table = "", {}, ()
    for number, (filling, value) in enumerate(statements):
        if number == header_at:
            text, table = f"{text}[part]\n", ("part",)
        text += filling
        wanted[(*table, f"key{number}")] = text.count("\n") + 1
        text += f"key{number} = {value}\n"
    assert tomllib.loads(text)
    file = parse_settings("f", text.encode())
    assert {key: file.where(*key) for key in wanted} == {key: f"f, line {line}" for key, line in wanted.items()}
