"""Data files: CSV and TSV (plain or gzip), NPY and Parquet, to (N, n) float64 and back.

A table has N rows, the samples, and n columns, the variables. Rows count from 1, from the first
row of data. Every refusal is a `TableError` that names the file, the place in it and the remedy.
"""

# polars takes 200 ms to import and jaxtyping 60 ms, and a command's `--help` should not wait for
# them: polars is imported where it is used, and the shapes stand in the docstrings.

import codecs
import gzip
import os
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from brenier.io.atomic import StrPath, write_atomically
from brenier.io.base import (
    SHOWN,
    Table,
    TableError,
    as_rows,
    check_names,
    counted,
    damaged,
    default_names,
    first_few,
    listed,
)
from brenier.io.ends import check_gzip, check_parquet, check_text
from brenier.io.npy import check_npy, decode_npy, encode_npy
from brenier.io.parquet import decode_parquet, encode_parquet
from brenier.io.regular import open_regular
from brenier.io.text import decode_text, encode_text

__all__ = [
    "StrPath",
    "Table",
    "TableError",
    "check_finite",
    "read_table",
    "select_columns",
    "write_table",
]


@dataclass(frozen=True)
class _Format:
    """How a file's bytes become a table, and back; all take the file's name for messages.

    `check` looks at a file's ends, before anything long is read.
    """

    decode: Callable[[bytes, str], Table]
    encode: Callable[[Table, str], bytes]
    check: Callable[[BinaryIO, str], None]


def _text(separator: str) -> _Format:
    decode = partial(decode_text, separator=separator)
    return _Format(decode, partial(encode_text, separator=separator), check_text)


_PARQUET = _Format(decode_parquet, encode_parquet, check_parquet)
_FORMATS = {
    ".csv": _text(","),
    ".tsv": _text("\t"),
    ".npy": _Format(decode_npy, encode_npy, check_npy),
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
}


def read_table(path: StrPath, *, allow_missing: bool = False) -> Table:
    """Return the table in a file; its suffix names the format.

    Integers and booleans (true and false) become float64. A CSV or TSV file whose first line
    holds nothing but numbers has no header: that line is the first row, and the columns are named
    x0, x1, ... Blank lines are skipped, except between the rows of a single column, where they are
    missing values.

    Parameters
    ----------
    path : path
        A file ending in .csv, .csv.gz, .tsv, .tsv.gz, .npy, .parquet or .pq, or "-" for CSV from
        standard input.
    allow_missing : bool
        Whether to leave NaN and infinite values in place; otherwise `check_finite` refuses them.

    Raises
    ------
    TableError
        If the file is not a table of numbers.
    """
    if os.fspath(path) == "-":
        where, decode = "standard input", _FORMATS[".csv"].decode
        data = _read_standard_input()
    else:
        where = os.fspath(path)
        data, decode = _read_bytes(Path(path), where)
    content = data.removeprefix(codecs.BOM_UTF8)
    if not content or content.isspace():
        raise TableError(f"Expected a table in {where}; got an empty file. Give one with data.")
    table = decode(data, where)
    if not allow_missing:
        check_finite(table, where)
    return table


def write_table(path: StrPath, values: ArrayLike, columns: Sequence[str] | None = None) -> None:
    """Write rows of numbers, replacing an older file only once the new one is safe on disk.

    Every float64 is written so that it reads back the same, and the same table gives the same
    bytes.

    Parameters
    ----------
    path : path
        A file with a suffix that `read_table` knows, or "-" for CSV to standard output.
    values : (N, n) or (N,) array
        Numbers, NaN and infinite ones included; one dimension is written as one column.
    columns : sequence of n str, optional
        Names, by default x0, x1, ...; NPY files hold none.

    Raises
    ------
    TableError
        If the values or names are no table, or the suffix is unknown.
    OSError
        If the file cannot be written; an older one is then unchanged.
    """
    where = "standard output" if os.fspath(path) == "-" else os.fspath(path)
    suffix, zipped = (".csv", False) if os.fspath(path) == "-" else _suffix(where)
    rows = as_rows(np.asarray(values), f"values to write to {where}")
    names = default_names(rows.shape[1]) if columns is None else tuple(columns)
    if len(names) != rows.shape[1]:
        raise TableError(
            f"Expected {rows.shape[1]} column names for {where}; got {len(names)}: "
            f"{listed(names)}. Give one name for each column."
        )
    check_names(names, where)
    data = _FORMATS[suffix].encode(Table(names, rows), where)
    if os.fspath(path) == "-":
        _write_standard_output(data)
    else:
        write_atomically(path, _zip(data) if zipped else data)


def _read_standard_input() -> bytes:
    if sys.stdin is None:
        raise TableError(
            "Expected a table in standard input; got a closed one. Give it a table, or name a file."
        )
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise TableError(
            f"Expected a table in standard input; got: {error.strerror or error}. Give it a table, "
            "or name a file."
        ) from error


def _write_standard_output(data: bytes) -> None:
    if sys.stdout is None:
        raise OSError(
            "Expected a place to write rows to; got a closed standard output. Name a file with -o."
        )
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def check_finite(table: Table, where: str) -> None:
    """Raise `TableError` if values are missing or infinite, with their number and first places.

    Parameters
    ----------
    table : Table
        The table to check.
    where : str
        The name of its origin, for the message.
    """
    bad = ~np.isfinite(table.values)
    if not bad.any():
        return
    missing = int(np.isnan(table.values).sum())
    infinite = int(bad.sum()) - missing
    counts = [f"{missing} missing (empty or NaN)"] * (missing > 0)
    counts += [f"{infinite} infinite"] * (infinite > 0)
    places = [f"row {i + 1}, {_label(table.columns, int(j))}" for i, j in np.argwhere(bad)[:SHOWN]]
    raise TableError(
        f"Expected finite numbers in {where}; got {' and '.join(counts)} in "
        f"{int(bad.any(axis=1).sum())} of {counted(len(bad), 'row')}: "
        f"{first_few(places, int(bad.sum()))}. Remove these rows or fill the "
        "values in."
    )


def _label(columns: tuple[str, ...] | None, j: int) -> str:
    return f"column {j + 1}" if columns is None else f"column {columns[j]!r}"


def select_columns(table: Table, names: Sequence[str], *, where: str) -> tuple[Table, bool]:
    """Return the table with its columns in the order of `names`, and whether that moved any.

    Columns without names are taken to be in order; only their number is checked.

    Parameters
    ----------
    table : Table
        The table to put in order.
    names : sequence of str
        The names wanted, each once.
    where : str
        The name of the table's origin, for the message.

    Raises
    ------
    TableError
        If columns are missing or there are others.
    """
    wanted = tuple(names)
    if table.columns is None:
        if table.values.shape[1] != len(wanted):
            raise TableError(
                f"Expected {counted(len(wanted), 'column')} in {where} ({listed(wanted)}); got "
                f"{table.values.shape[1]}. Give exactly these columns, in this order."
            )
        return table, False
    if table.columns == wanted:
        return table, False
    missing = [name for name in wanted if name not in table.columns]
    extra = [name for name in table.columns if name not in wanted]
    if missing or extra:
        raise TableError(_selection_message(missing, extra, wanted, where))
    order = [table.columns.index(name) for name in wanted]
    return Table(wanted, np.ascontiguousarray(table.values[:, order])), True


def _selection_message(
    missing: list[str], extra: list[str], wanted: tuple[str, ...], where: str
) -> str:
    got, remedies = [], []
    if missing:
        got.append(f"no {listed(missing)}")
        remedies.append("add or rename what is missing")
    if extra:
        got.append(f"also {listed(extra)}")
        remedies.append("remove what is not wanted")
    return (
        f"Expected the columns {listed(wanted)} in {where}; got {' and '.join(got)}. In that "
        f"file, {' and '.join(remedies)}; the order is free."
    )


# Files and suffixes.


def _read_bytes(path: Path, where: str) -> tuple[bytes, Callable[[bytes, str], Table]]:
    """Return the content of a file, unzipped, and what turns it into a table."""
    try:
        if path.is_dir():
            raise TableError(f"Expected a file; got the folder {where}. Name a file in it.")
        if not path.exists():
            raise TableError(f"Expected a file; got nothing at {where}. Check the path.")
        suffix, zipped = _suffix(where)
        with open_regular(path) as file:
            check = check_gzip if zipped else _FORMATS[suffix].check
            check(file, where)
            data = file.read()
    except OSError as error:
        reason = error.strerror or error
        raise TableError(
            f"Expected a readable file; got: {reason}, for {where}. Check its permissions."
        ) from error
    return _unzip(data, where) if zipped else data, _FORMATS[suffix].decode


def _suffix(where: str) -> tuple[str, bool]:
    """Return the suffix that names the format, and whether the file is a gzip of it."""
    suffixes = [suffix.lower() for suffix in Path(where).suffixes]
    zipped = suffixes[-1:] == [".gz"] and suffixes[-2:-1] in ([".csv"], [".tsv"])
    suffix = suffixes[-2] if zipped else "".join(suffixes[-1:])
    if suffix not in _FORMATS:
        raise TableError(
            "Expected a file name ending in .csv, .csv.gz, .tsv, .tsv.gz, .npy, .parquet or .pq; "
            f"got {where}. Convert or rename the file."
        )
    return suffix, zipped


def _zip(data: bytes) -> bytes:
    # No time stamp: the same table gives the same bytes. The digits of real data hardly shrink
    # further at the higher levels, which take several times as long.
    return gzip.compress(data, compresslevel=1, mtime=0)


def _unzip(data: bytes, where: str) -> bytes:
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise damaged("a gzip file", where, error) from error
