"""NPY files: arrays of any real type and order are read, damaged ones and objects never."""

import numpy as np
import pytest
from table_files import npy, refusal, save

from brenier.io.table import read_table


def test_missing_values_are_placed_by_number(tmp_path):
    path = save(tmp_path, npy(np.array([[1.0, np.nan]])), "a.npy")
    assert "row 1, column 2." in refusal(path)


@pytest.mark.parametrize("dtype", ["bool", "u1", "i8", "f2", "f4", ">f8", "<f8", "longdouble"])
@pytest.mark.parametrize("order", "CF")
def test_npy_dtypes_and_orders(tmp_path, dtype, order):
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype=dtype, order=order)
    table = read_table(save(tmp_path, npy(array), "a.npy"))
    assert table.columns is None
    assert table.values.dtype == np.float64
    assert table.values.flags.c_contiguous
    np.testing.assert_array_equal(table.values, array)


NPY = npy(np.zeros((2, 3)))


@pytest.mark.parametrize(
    "content",
    [
        NPY[:6],
        NPY[:40],
        NPY.replace(b"'fortran_order'", b"'fortran_odder'"),
        NPY.replace(b"\x93NUMPY\x01", b"\x93NUMPY\x03"),
        NPY.replace(b"\x93NUMPY\x01", b"\x93NUMPY\x09"),
        NPY.replace(b"(2, 3)", b"((((((")[:128],
    ],
)
def test_corrupt_npy(tmp_path, content):
    assert "an NPY array" in refusal(save(tmp_path, content, "a.npy"))


@pytest.mark.parametrize(
    ("content", "sizes"),
    [
        (NPY[:-1], "48 bytes for shape (2, 3) and dtype float64"),
        (NPY + b"x", "got 49"),
        (NPY.replace(b"(2, 3)", b"(2,-3)"), "shape (2, -3)"),
        (NPY.replace(b"(2, 3), ", b"(2,9999)"), "shape (2, 9999)"),
    ],
)
def test_npy_of_another_size_than_its_header_says(tmp_path, content, sizes):
    assert sizes in refusal(save(tmp_path, content, "a.npy"))


class Bomb:
    """An object whose unpickling fails the test."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


def test_npy_of_objects_is_never_unpickled(tmp_path):
    path = save(tmp_path, npy(np.array([Bomb()], dtype=object)), "a.npy")
    assert "dtype object, which is never read" in refusal(path)


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (np.zeros((2, 2), complex), "dtype complex128"),
        (np.array(["a"]), "dtype <U1"),
        (np.array(["2020"], "M8[D]"), "dtype datetime64[D]"),
        (np.zeros(2, [("a", "U1")]), "column 'a' of dtype <U1"),
        (np.zeros(2, [("a", float, 2)]), "column 'a' of dtype float64 and shape (2, 2)"),
        (np.float64(1), "shape ()"),
        (np.zeros((2, 2, 2)), "shape (2, 2, 2)"),
        (np.zeros((0, 2)), "shape (0, 2)"),
        (np.zeros((2, 0)), "shape (2, 0)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_npy_arrays_that_are_no_tables(tmp_path, array, got):
    assert f"got {got}" in refusal(save(tmp_path, npy(array), "a.npy"))
