"""options.py: sizes typed on the command line."""

import click
import pytest

from fcn_edge.options import SIZE


@pytest.mark.parametrize(
    ("text", "size_hw"),
    [("360x480", (360, 480)), (" 1x1 ", (1, 1)), ("16384x2", (16384, 2)), ((3, 4), (3, 4)), ("007x9", (7, 9))],
)
def test_a_size_is_height_then_width(text: object, size_hw: tuple[int, int]) -> None:
    assert SIZE.convert(text, None, None) == size_hw


@pytest.mark.parametrize(
    "text", ["", "360", "360x", "x480", "0x5", "5x0", "-1x5", "1.5x2", "3x4x5", "16385x1", "a x b", "9" * 5000 + "x1"]
)
def test_what_is_no_size_is_a_bad_parameter(text: str) -> None:
    with pytest.raises(click.BadParameter, match="HEIGHTxWIDTH"):
        SIZE.convert(text, None, None)
