"""NPY files: an array of numbers without names.

What the header says is checked against the size of the file before an array is made of it.
"""

import io
import math
from tokenize import TokenError
from typing import BinaryIO

import numpy as np

from brenier.io.base import Table, TableError, as_rows, damaged
from brenier.io.regular import size_of

# No array of numbers needs a longer header.
MOST_HEADER_BYTES = 1 << 17


def decode_npy(data: bytes, where: str) -> Table:
    """Return the table in the bytes of an NPY file, a single dimension as one column."""
    shape, fortran, dtype, start = _npy_header(data, where)
    if dtype.hasobject:
        raise TableError(
            f"Expected an array of numbers in {where}; got dtype object, which is never read since "
            "that can run any code. Save the array as float64."
        )
    _check_size(shape, dtype, len(data) - start, where)
    try:
        values = np.ndarray(shape, dtype, data, start, order="F" if fortran else "C")
    except ValueError as error:
        raise damaged("an NPY array", where, error) from error
    return Table(None, as_rows(values, f"values in {where}"))


def check_npy(file: BinaryIO, where: str) -> None:
    """Raise `TableError` if a file has another size than its header says."""
    first = file.read(MOST_HEADER_BYTES)
    file.seek(0)
    if first:
        shape, _, dtype, start = _npy_header(first, where)
        _check_size(shape, dtype, size_of(file) - start, where)


def _check_size(shape: tuple[int, ...], dtype: np.dtype, got: int, where: str) -> None:
    """Raise `TableError` unless an array has its size in bytes; one of objects has no size."""
    expected = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and (min(shape, default=0) < 0 or expected != got):
        raise TableError(
            f"Expected {expected} bytes for shape {shape} and dtype {dtype} in {where}; got {got}. "
            "The file is damaged: save it again."
        )


def _npy_header(data: bytes, where: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Return shape, order, dtype and where the array begins, without trusting the content."""
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in readers:
            raise ValueError(f"version {version} of the format, which tables of numbers never need")
        shape, fortran, dtype = readers[version](stream)
    except (ValueError, SyntaxError, TokenError, EOFError, MemoryError, RecursionError) as error:
        raise damaged("an NPY array", where, error) from error
    return shape, fortran, dtype, stream.tell()


def encode_npy(table: Table, where: str) -> bytes:
    """Return the bytes of an NPY file with the values of a table; its names are not kept."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, table.values, version=(1, 0), allow_pickle=False)
    return stream.getvalue()
