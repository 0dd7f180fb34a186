"""mat_file.py against SciPy, which writes the files and, of whole ones, is the other reader."""

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import savemat
from scipy.sparse import csc_matrix

from fcn_edge.mat_file import numbers_in_struct

SEGMENTATION = np.arange(35, dtype=np.uint8).reshape(5, 7)


def mat(compressed: bool = True, **variables: Any) -> bytes:
    file = BytesIO()
    savemat(file, variables, do_compression=compressed)
    return file.getvalue()


def ground_truth(segmentation: Any = SEGMENTATION, **fields: Any) -> dict[str, Any]:
    """A struct as SBD's: sparse boundaries of twenty classes in a cell before the array that is wanted."""
    cell = np.empty((20, 1), object)
    for row in cell:
        row[0] = csc_matrix(np.eye(5, 7))
    return {"Boundaries": cell, "Segmentation": segmentation, "CategoriesPresent": np.array([[15]]), **fields}


@pytest.mark.parametrize("compressed", [True, False])
def test_an_array_is_found_in_its_struct(compressed: bool) -> None:
    found = numbers_in_struct(mat(compressed, GTcls=ground_truth()), "GTcls", "Segmentation")
    assert found.dtype == np.uint8
    assert found.tolist() == SEGMENTATION.tolist()


def test_it_is_found_behind_other_variables() -> None:
    content = mat(a=np.eye(3), words="some", GTcls=ground_truth())
    assert numbers_in_struct(content, "GTcls", "Segmentation").tolist() == SEGMENTATION.tolist()


def test_the_first_struct_of_an_array_of_structs_counts() -> None:
    structs = np.zeros((1, 2), [("Segmentation", object), ("name", object)])
    structs[0, 0], structs[0, 1] = (SEGMENTATION, "first"), (SEGMENTATION + 1, "second")
    assert numbers_in_struct(mat(GTcls=structs), "GTcls", "Segmentation").tolist() == SEGMENTATION.tolist()


@settings(derandomize=True, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64, np.float32, float]),
        hnp.array_shapes(min_dims=2, max_dims=3, max_side=9),
    ),
    st.booleans(),
)
def test_numbers_of_every_type_and_shape_come_back(stored: Any, compressed: bool) -> None:
    found = numbers_in_struct(mat(compressed, s={"x": stored}), "s", "x")
    assert found.shape == stored.shape and found.flags.c_contiguous
    np.testing.assert_array_equal(found, stored)


def test_a_file_of_a_big_endian_machine_is_read() -> None:
    def element(kind: int, content: bytes) -> bytes:
        return struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)

    def array(kind: int, rows: int, columns: int, name: bytes, *parts: bytes) -> bytes:
        head = element(6, struct.pack(">II", kind, 0)) + element(5, struct.pack(">ii", rows, columns))
        return element(14, head + element(1, name) + b"".join(parts))

    length = struct.pack(">HHi", 4, 5, 4)  # a small element: its size, its type, the number 4
    value = array(11, 2, 3, b"", element(4, struct.pack(">6H", *range(300, 306))))
    content = b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + array(2, 1, 1, b"s", length, element(1, b"x\0\0\0"), value)
    assert numbers_in_struct(content, "s", "x").tolist() == [[300, 302, 304], [301, 303, 305]]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "no MAT-file of level 5"),
        (b"words " * 100, "no MAT-file of level 5"),
        (b"MATLAB 7.3 MAT-file".ljust(128) + b"\x89HDF", "a file of MATLAB 7.3"),
        (mat(), "no variable GTcls, but none at all"),
        (mat(GTinst=ground_truth(), b=1), "no variable GTcls, but GTinst, b"),
        (mat(GTcls=SEGMENTATION), "GTcls that is no struct"),
        (mat(GTcls={"Boundaries": 1, "other": 2}), "GTcls without Segmentation, but with Boundaries, other"),
        (mat(GTcls=ground_truth("words")), "an array that is not of numbers"),
        (mat(GTcls=ground_truth({"deeper": 1})), "an array that is not of numbers"),
        (mat(GTcls=ground_truth(csc_matrix(np.eye(3)))), "an array that is not of numbers"),
        (mat(True, GTcls=ground_truth())[:-20], "data cut short"),
        (mat(False, GTcls=ground_truth())[:-20], "data cut short"),
    ],
)
def test_anything_else_is_told(content: bytes, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        numbers_in_struct(content, "GTcls", "Segmentation")


def test_one_wrong_bit_in_a_compressed_file_is_found() -> None:
    content = bytearray(mat(GTcls=ground_truth()))
    content[-3] ^= 4
    with pytest.raises(ValueError, match="damaged data"):
        numbers_in_struct(bytes(content), "GTcls", "Segmentation")


@pytest.mark.parametrize("compressed", [True, False])
def test_a_file_cut_anywhere_is_refused(compressed: bool) -> None:
    content = mat(compressed, GTcls=ground_truth())
    last = content.rindex(SEGMENTATION.T.tobytes()) if not compressed else len(content)
    for length in range(0, last, 5):
        with pytest.raises(ValueError):
            numbers_in_struct(content[:length], "GTcls", "Segmentation")


@settings(derandomize=True, deadline=None, max_examples=400)
@given(st.data())
def test_damaged_bytes_never_crash(data: st.DataObject) -> None:
    content = bytearray(mat(False, GTcls=ground_truth()))
    changes = st.tuples(st.integers(124, len(content) - 1), st.integers(0, 255))
    for at, value in data.draw(st.lists(changes, min_size=1, max_size=6)):
        content[at] = value
    try:
        found = numbers_in_struct(bytes(content), "GTcls", "Segmentation")
    except ValueError:
        return
    assert isinstance(found, np.ndarray)
