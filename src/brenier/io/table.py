"""Data files to (N, n) float64 and back: text, NPY, Parquet and others (`io.recognise`).

A table has N rows, the samples, and n columns, the variables. Rows count from 1, from the first
row of data. Every refusal is a `TableError` that names the file, the place in it and the remedy.
"""

# polars takes 200 ms to import and jaxtyping 60 ms, and a command's `--help` should not wait for
# them: polars is imported where it is used, and the shapes stand in the docstrings.

import codecs
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from brenier.io.atomic import StrPath, replacing
from brenier.io.base import (
    SHOWN,
    Table,
    TableError,
    as_rows,
    check_names,
    counted,
    default_names,
    first_few,
    listed,
)
from brenier.io.columns import ALL, Columns, selection_message
from brenier.io.folder import (
    OwnRows,
    Parts,
    decode_files,
    files_in_pieces,
    files_of,
)
from brenier.io.recognise import decode, is_text
from brenier.io.source import AbstractSource, of_bytes, of_file
from brenier.io.text_pieces import pieces_of_text
from brenier.io.writers import (
    AbstractWriter,
    NpyWriter,
    ParquetWriter,
    TextWriter,
    Zipped,
)

__all__ = [
    "Columns",
    "MissingRows",
    "StrPath",
    "Table",
    "TableError",
    "check_finite",
    "read_pieces",
    "read_table",
    "select_columns",
    "without_missing",
    "write_pieces",
    "write_table",
]

# What writes a table, by the suffix of the file.
_WRITERS: dict[str, Callable[[Any, Sequence[str], str], AbstractWriter]] = {
    ".csv": partial(TextWriter, separator=","),
    ".tsv": partial(TextWriter, separator="\t"),
    ".npy": NpyWriter,
    ".parquet": ParquetWriter,
    ".pq": ParquetWriter,
}


def read_table(path: StrPath, *, columns: Columns = ALL, allow_missing: bool = False) -> Table:
    """Return the table in a file, whose content tells its format, whatever its suffix.

    Text is separated by commas, semicolons, tabs, bars or blanks, with comments after `#`; it may
    be compressed by gzip, bzip2 or xz, or the one file in a zip archive. Other formats are NPY,
    NPZ, Parquet, Arrow (Feather) and, where astropy is installed, FITS and VOTable. The Parquet
    files of a folder are one table.

    Integers and booleans (true and false) become float64. Text whose first line holds nothing but
    numbers has no header: that line is the first row, and the columns are named in a comment above
    it, or x0, x1, ... Blank lines are skipped, except between the rows of a single column, where
    they are missing values.

    Parameters
    ----------
    path : path
        A file, a folder, a pattern (`draws/*.parquet`), or "-" for standard input.
    columns : Columns
        Which columns are read. Others may hold anything.
    allow_missing : bool
        Whether to leave NaN and infinite values in place; otherwise `check_finite` refuses them.

    Raises
    ------
    TableError
        If the file is not a table of numbers.
    """
    where = _name(path)
    table = _decoded(path, columns, where)
    if not allow_missing:
        check_finite(table, where)
    return table


def read_pieces(
    path: StrPath,
    *,
    columns: Columns = ALL,
    whole_up_to: int | None = 0,
    own: OwnRows | None = None,
) -> Iterator[Table]:
    """Yield the table in a file, a piece after the other: Parquet files, or long text.

    Of other formats it is one piece. Missing and infinite values are left in place. Parameters and
    errors are those of `read_table`; a table of no more than `whole_up_to` rows is one piece, too,
    whatever its length if that is None. `own` says which rows are read where not all are: of
    Parquet files, others are refused then.
    """
    where = _name(path)
    if own is not None:
        parts, rows = own(lambda: Parts.of(_parquet_files(path, where), columns, where))
        yield from parts.pieces(whole_up_to, rows)
        return
    if os.fspath(path) == "-":
        yield _decoded(path, columns, where)
        return
    files = files_in_pieces(path)
    if files is not None:
        yield from Parts.of(files, columns, where).pieces(whole_up_to)
        return
    source = of_file(Path(path), where)
    _check_content(source)
    if is_text(source):
        yield from pieces_of_text(source, columns, whole_up_to)
    else:
        yield decode(source, columns)


def _decoded(path: StrPath, columns: Columns, where: str) -> Table:
    if os.fspath(path) == "-":
        source = of_bytes(_read_standard_input(), where)
    else:
        files = files_of(path)
        if files is not None:
            return decode_files(files, columns, where)
        source = of_file(Path(path), where)
    _check_content(source)
    return decode(source, columns)


def _parquet_files(path: StrPath, where: str) -> list[Path]:
    """Return the Parquet files of a path that is nothing else."""
    files = None if os.fspath(path) == "-" else files_in_pieces(path)
    if files is None:
        # What is not there is said first.
        of_file(Path(path), where)
        raise TableError(
            f"Expected Parquet files where several processes read; got {where}. Write the table as "
            "Parquet, with a row group or more for each process."
        )
    return files


def _name(path: StrPath) -> str:
    return "standard input" if os.fspath(path) == "-" else os.fspath(path)


def _check_content(source: AbstractSource) -> None:
    content = source.first.removeprefix(codecs.BOM_UTF8)
    if not content or (content.isspace() and not source.is_long):
        raise TableError(
            f"Expected a table in {source.where}; got an empty file. Give one with data."
        )


def write_table(path: StrPath, values: ArrayLike, columns: Sequence[str] | None = None) -> None:
    """Write rows of numbers, replacing an older file only once the new one is safe on disk.

    Every float64 is written so that it reads back the same, and the same table gives the same
    bytes.

    Parameters
    ----------
    path : path
        A file ending in .csv, .csv.gz, .tsv, .tsv.gz, .npy, .parquet or .pq, or "-" for CSV to
        standard output.
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
    write_pieces(path, [values], columns)


def write_pieces(
    path: StrPath, pieces: Iterable[ArrayLike], columns: Sequence[str] | None = None
) -> None:
    """Write rows that come in pieces, one at least, none of which is kept.

    Parameters and errors are those of `write_table`. Where there is an error, also one of those
    who make the pieces, an older file is unchanged; standard output has the pieces before.
    """
    where = "standard output" if os.fspath(path) == "-" else os.fspath(path)
    suffix, zipped = (".csv", False) if os.fspath(path) == "-" else _suffix(where)
    all_rows = (as_rows(np.asarray(piece), f"values to write to {where}") for piece in pieces)
    rows = next(all_rows)
    names = default_names(rows.shape[1]) if columns is None else tuple(columns)
    if len(names) != rows.shape[1]:
        raise TableError(
            f"Expected {rows.shape[1]} column names for {where}; got {len(names)}: "
            f"{listed(names)}. Give one name for each column."
        )
    check_names(names, where)
    with _opened(path, zipped=zipped) as sink, _WRITERS[suffix](sink, names, where) as writer:
        writer.write(rows)
        # Not kept while the next one is made.
        del rows
        for more in all_rows:
            writer.write(more)
            del more


@contextmanager
def _opened(path: StrPath, *, zipped: bool) -> Iterator[Any]:
    """Yield what rows are written to."""
    if os.fspath(path) == "-":
        yield _StandardOutput()
        return
    with replacing(path) as file:
        if zipped:
            packed = Zipped(file)
            yield packed
            packed.end()
        else:
            yield file


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


class _StandardOutput:
    """Where what is written is seen at once."""

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        if sys.stdout is None:
            raise OSError(
                "Expected a place to write rows to; got a closed standard output. Name a file "
                "with -o."
            )
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def check_finite(
    table: Table, where: str, *, missing_ok: bool = False, remedies: str = "--drop-missing"
) -> None:
    """Raise `TableError` if values are missing or infinite, with their number and first places.

    Parameters
    ----------
    table : Table
        The table to check.
    where : str
        The name of its origin, for the message.
    missing_ok : bool
        Whether missing values are left alone.
    remedies : str
        Options that do something about missing values.
    """
    if _is_sum_finite(table.values):
        return
    bad = np.isinf(table.values) if missing_ok else ~np.isfinite(table.values)
    if not bad.any():
        return
    missing = 0 if missing_ok else int(np.isnan(table.values).sum())
    infinite = int(bad.sum()) - missing
    counts = [f"{missing} missing (empty or NaN)"] * (missing > 0)
    counts += [f"{infinite} infinite"] * (infinite > 0)
    places = [
        f"row {table.first + i + 1}, {_label(table.columns, int(j))}"
        for i, j in np.argwhere(bad)[:SHOWN]
    ]
    remedy = f", fill the values in, or give {remedies}" if missing else " or fill the values in"
    raise TableError(
        f"Expected finite numbers in {where}; got {' and '.join(counts)} in "
        f"{int(bad.any(axis=1).sum())} of {_rows_of(table)}: "
        f"{first_few(places, int(bad.sum()))}. Remove these rows{remedy}."
    )


def _rows_of(table: Table) -> str:
    """Return how many rows a table has; of a piece that is not the first, which."""
    text = counted(len(table.values), "row")
    return f"{text} after row {table.first}" if table.first else text


def _is_sum_finite(values: np.ndarray) -> bool:
    """Whether the sum of numbers is finite: then all of them are, found without a second array."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()))


def without_missing(table: Table, where: str, *, infinite_ok: bool = False) -> Table:
    """Return the rows without missing values; infinite ones are refused where they are not allowed.

    How many were left out is among the notes.
    """
    missing = MissingRows(where, infinite_ok=infinite_ok)
    rest = missing.left_out(table)
    if not len(rest.values):
        raise missing.nothing_left()
    return replace(rest, notes=(*rest.notes, *missing.notes))


class MissingRows:
    """Rows with missing values that are left out of the pieces of a table: how many, and which.

    Parameters
    ----------
    where : str
        The name of the table's origin, for messages.
    infinite_ok : bool
        Whether infinite values are let pass; otherwise they are refused.
    """

    def __init__(self, where: str, *, infinite_ok: bool = False):
        self._where, self._infinite_ok = where, infinite_ok
        self._total = self._n_rows = 0
        self._first: list[str] = []

    def left_out(self, table: Table) -> Table:
        """Return the rows of the next piece without missing values; there may be none."""
        if not self._infinite_ok:
            check_finite(table, self._where, missing_ok=True)
        self._n_rows += len(table.values)
        parts = (table.values, table.weights, table.chain)
        there = [part.reshape(len(part), -1) for part in parts if part is not None]
        missing = np.any([np.isnan(part).any(axis=1) for part in there], axis=0)
        if not missing.any():
            return table
        self._total += int(missing.sum())
        rows = np.flatnonzero(missing)[: SHOWN - len(self._first)]
        self._first += [f"row {table.first + row + 1}" for row in rows]
        weights, chain = (None if part is None else part[~missing] for part in parts[1:])
        return replace(table, values=table.values[~missing], weights=weights, chain=chain)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is said of all that were left out."""
        if not self._total:
            return ()
        rows = first_few(self._first, self._total, ", ")
        total = counted(self._n_rows, "row")
        return (f"{self._total} of {total} left out for missing values ({rows})",)

    def nothing_left(self) -> TableError:
        """Return the error for a table with a missing value in every row."""
        return TableError(
            f"Expected rows without missing values in {self._where}; got none among "
            f"{counted(self._n_rows, 'row')}. Leave out columns with --drop."
        )


def _label(columns: tuple[str, ...] | None, j: int) -> str:
    return f"column {j + 1}" if columns is None else f"column {columns[j]!r}"


def select_columns(table: Table, names: Sequence[str], *, where: str) -> tuple[Table, bool]:
    """Return the table with the columns of `names` in this order, and whether that moved any.

    Other columns are left out. Columns without names are taken to be in order; only their number is
    checked.

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
        If columns are missing, or if those without names are not as many.
    """
    wanted = tuple(names)
    if table.columns is None:
        if table.values.shape[1] != len(wanted):
            raise TableError(
                f"Expected {counted(len(wanted), 'column')} in {where} ({listed(wanted)}); got "
                f"{table.values.shape[1]}. Give exactly these columns, in this order, or "
                "choose them with --columns."
            )
        return table, False
    if table.columns == wanted:
        return table, False
    missing = [name for name in wanted if name not in table.columns]
    extra = [name for name in table.columns if name not in wanted]
    if missing:
        raise TableError(selection_message(missing, extra, wanted, where))
    order = [table.columns.index(name) for name in wanted]
    kept = replace(table, columns=wanted, values=np.ascontiguousarray(table.values[:, order]))
    return kept, order != sorted(order)


def _suffix(where: str) -> tuple[str, bool]:
    """Return the suffix that names the format, and whether the file is a gzip of it."""
    suffixes = [suffix.lower() for suffix in Path(where).suffixes]
    zipped = suffixes[-1:] == [".gz"] and suffixes[-2:-1] in ([".csv"], [".tsv"])
    suffix = suffixes[-2] if zipped else "".join(suffixes[-1:])
    if suffix not in _WRITERS:
        raise TableError(
            "Expected a file name ending in .csv, .csv.gz, .tsv, .tsv.gz, .npy, .parquet or .pq; "
            f"got {where}. Convert or rename the file."
        )
    return suffix, zipped
