"""errors.py: each kind of mistake has its own exit code."""

import pytest

from fcn_edge.errors import FcnEdgeError, ModelError, OutputError, SourceError, UsageError, first_line, printable


@pytest.mark.parametrize(("kind", "code"), [(UsageError, 2), (SourceError, 3), (ModelError, 4), (OutputError, 5)])
def test_every_kind_of_mistake_has_its_documented_exit_code(kind: type[FcnEdgeError], code: int) -> None:
    assert issubclass(kind, FcnEdgeError)
    assert kind("words").exit_code == code


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one"), "one"),
        (ValueError("\n\n  first  \nsecond\n"), "first"),
        (ValueError(""), "ValueError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (OSError("\r\n"), "OSError"),
        (OSError(28, "No space left"), "No space left"),
        (OSError(-1094995529, "Invalid data", "a.mp4"), "Invalid data: 'a.mp4'"),
        (ValueError("a list [Errno"), "a list [Errno"),
    ],
)
def test_first_line_is_never_empty_and_never_two(error: BaseException, line: str) -> None:
    assert first_line(error) == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Straße 東京", "Straße 東京"),
        ("a\x1b[2Jb", "a?[2Jb"),
        ("two\nlines\t\x07", "two?lines??"),
        ("half a letter \udcff\ud800", "half a letter ??"),
        ("turned\u202e round", "turned? round"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200 + "..."),
        ("", ""),
    ],
)
def test_printable_words_steer_no_terminal_and_fill_no_screen(text: str, shown: str) -> None:
    assert printable(text) == shown
    shown.encode()  # to any terminal
