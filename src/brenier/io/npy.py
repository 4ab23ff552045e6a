"""NPY files: an array of numbers without names, or a structured one.

What the header says is checked against the size of the file before an array is made of it.
"""

import io
import math
from tokenize import TokenError

import numpy as np

from brenier.io.base import Table, TableError, as_rows, damaged
from brenier.io.columns import Columns, as_table, chosen_of_unnamed
from brenier.io.named import table_of_arrays
from brenier.io.source import AbstractSource


def decode_npy(source: AbstractSource, columns: Columns) -> Table:
    """Return the table in an NPY file, a single dimension as one column.

    The fields of a structured array are columns with names.
    """
    values = array_of(source)
    if values.dtype.names is not None:
        fields = {name: values[name] for name in values.dtype.names}
        return table_of_arrays(fields, columns, source.where)
    return unnamed_table(values, columns, source.where)


def unnamed_table(values: np.ndarray, columns: Columns, where: str) -> Table:
    """Return an array as a table; its columns have names only if some of them are chosen."""
    rows = as_rows(values, f"values in {where}")
    chosen = chosen_of_unnamed(rows.shape[1], columns, where)
    if chosen is None:
        return Table(None, rows)
    return as_table(chosen, np.ascontiguousarray(rows[:, chosen.places]), columns, where)


def array_of(source: AbstractSource) -> np.ndarray:
    """Return the array in an NPY file, which may not be writable; never one of objects."""
    where = source.where
    # Before all of it is read.
    shape, fortran, dtype, start = _npy_header(source.first, where)
    _check_size(shape, dtype, source.size - start, where)
    if dtype.hasobject:
        raise TableError(
            f"Expected an array of numbers in {where}; got dtype object, which is never read since "
            "that can run any code. Save the array as float64."
        )
    try:
        return np.ndarray(shape, dtype, source.read(), start, order="F" if fortran else "C")
    except (ValueError, TypeError) as error:
        raise damaged("an NPY array", where, error) from error


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
