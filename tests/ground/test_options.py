"""options.py: sizes and names typed on the command line."""

import click
import pytest

from fcn_edge.options import SIZE, Names


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


NAMES = Names(("fp32", "fp16", "int8", "int8-cpu"))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("fp32", ("fp32",)),
        ("int8-cpu,fp16", ("fp16", "int8-cpu")),
        (" int8 , fp32,int8 ", ("fp32", "int8")),
        (("int8",), ("int8",)),
    ],
)
def test_names_are_some_of_the_choices_in_their_order(text: object, names: tuple[str, ...]) -> None:
    assert NAMES.convert(text, None, None) == names


@pytest.mark.parametrize(
    ("text", "stray"), [("", "''"), ("fp32,", "''"), ("fp32;fp16", "'fp32;fp16'"), ("FP32", "'FP32'")]
)
def test_a_name_that_is_no_choice_is_told_beside_the_choices(text: str, stray: str) -> None:
    with pytest.raises(click.BadParameter, match="fp32,fp16,int8,int8-cpu") as refusal:
        NAMES.convert(text, None, None)
    assert f"found {stray}" in refusal.value.message
