"""Parquet files of one folder, or of one pattern, as one table: as Spark, Dask and DuckDB write it.

Names that begin with a dot or an underscore are no data (`_SUCCESS`). Files come in the order of
their names.
"""

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brenier.io.atomic import StrPath
from brenier.io.base import Table, TableError, counted, first_few, listed
from brenier.io.chains import roles_of
from brenier.io.columns import Chosen, Columns, as_table, choose
from brenier.io.parquet import PARQUET, ROWS, Scanned, scan_parquet
from brenier.io.source import of_file

NOT_DATA = (".", "_")
# Of the rows of a piece.
PIECE_BYTES = 1 << 28


def files_in_pieces(path: StrPath) -> list[Path] | None:
    """Return the files that can be read in pieces: Parquet, one or more; None of others."""
    found = files_of(path)
    if found is not None:
        return found
    return [Path(path)] if _first_bytes(path).startswith(PARQUET) else None


def _first_bytes(path: StrPath) -> bytes:
    if not os.path.isfile(path):
        return b""
    return of_file(Path(path), os.fspath(path)).first


def files_of(path: StrPath) -> list[Path] | None:
    """Return the files of a folder or a pattern, in order; None if the path is no such.

    What is there under a name with a pattern's characters is itself meant.

    Raises
    ------
    TableError
        If there is no file.
    """
    text = os.fspath(path)
    if os.path.isdir(text):
        found = sorted(file for file in Path(text).rglob("*") if _is_data(file, Path(text)))
        if not found:
            raise TableError(
                f"Expected Parquet files in the folder {text}; got none. Name a folder with "
                "some, or a file."
            )
        return found
    if os.path.lexists(text) or not glob.has_magic(text):
        return None
    found = sorted(Path(name) for name in glob.glob(text, recursive=True) if os.path.isfile(name))
    if not found:
        raise TableError(f"Expected files that {text} fits; got none. Check the pattern.")
    return found


def _is_data(file: Path, folder: Path) -> bool:
    parts = file.relative_to(folder).parts
    return file.is_file() and not any(part.startswith(NOT_DATA) for part in parts)


def decode_files(files: Sequence[Path], columns: Columns, where: str) -> Table:
    """Return the rows of Parquet files with the same columns, one file's after another's."""
    parts = Parts.of(files, columns, where)
    return parts.table(parts.rows(0, parts.n_rows))


@dataclass(frozen=True)
class Parts:
    """Parquet files with the same columns, none of their rows read yet.

    Attributes
    ----------
    scanned : list of Scanned
        The files.
    columns : Columns
        The choice that was asked for.
    chosen : Chosen
        What it is among these columns.
    where : str
        How messages name all of them.
    files : tuple of Path
        Where they are.
    """

    scanned: list[Scanned]
    columns: Columns
    chosen: Chosen
    where: str
    files: tuple[Path, ...] = ()

    @staticmethod
    def of(files: Sequence[Path], columns: Columns, where: str) -> "Parts":
        """Return files whose columns have been compared."""
        scanned = [_scanned(file) for file in files]
        for one in scanned[1:]:
            _check_columns(one, scanned[0])
        names = scanned[0].names
        chosen = choose(names, columns, where, roles_of(names))
        parts = Parts(scanned, columns, chosen, where, tuple(files))
        if not parts.n_rows:
            raise TableError(
                f"Expected rows of numbers in {where}; got 0 rows in "
                f"{counted(len(files), 'file')}. Give some with data."
            )
        return parts

    @property
    def n_rows(self) -> int:
        """Rows of all files."""
        return sum(one.rows for one in self.scanned)

    @property
    def piece_rows(self) -> int:
        """How many rows are held at a time."""
        return min(ROWS, max(1, PIECE_BYTES // (8 * len(self.chosen.places))))

    def rows(self, first: int, n: int) -> np.ndarray:
        """Return the chosen columns of n rows, fewer at the end, from a row on."""
        values = np.empty((min(n, self.n_rows - first), len(self.chosen.places)))
        names = [self.scanned[0].names[j] for j in self.chosen.places]
        # Where each file begins among the rows wanted.
        start = -first
        for one in self.scanned:
            there = values[max(start, 0) : max(start + one.rows, 0)]
            if len(there):
                one.put(names, there, max(-start, 0))
            start += one.rows
        return values

    def pieces(self, whole_up_to: int | None = 0, own: range | None = None) -> Iterator[Table]:
        """Yield the rows in pieces that are small in memory; no more than so many in one.

        Parameters
        ----------
        whole_up_to : int or None
            How many rows are one piece, whatever the memory they take; None: all.
        own : range, optional
            Which rows; all without it.
        """
        rows = range(self.n_rows) if own is None else own
        n = len(rows) if whole_up_to is None or len(rows) <= whole_up_to else self.piece_rows
        for first in rows[::n]:
            values = self.rows(first, min(n, rows.stop - first))
            yield replace(self.table(values), first=first)

    def table(self, values: np.ndarray) -> Table:
        """Return rows as a table, weights and chains apart."""
        return as_table(self.chosen, values, self.columns, self.where)


OwnRows = Callable[[Callable[[], Parts]], tuple[Parts, range]]
"""What compares the columns of files when it wants to, and says which of their rows are read."""


def _scanned(file: Path) -> Scanned:
    source = of_file(file, os.fspath(file))
    if not source.first.startswith(PARQUET):
        raise TableError(
            f"Expected only Parquet files where a folder or a pattern is given; got {source.where}"
            ". Move it elsewhere, or name the files one by one."
        )
    return scan_parquet(source)


def _check_columns(one: Scanned, first: Scanned) -> None:
    """Raise `TableError` if a file has other columns than the first."""
    missing = [name for name in first.names if name not in one.schema]
    more = [name for name in one.names if name not in first.schema]
    if missing or more:
        got = [f"no {listed(missing)}"] * bool(missing) + [f"also {listed(more)}"] * bool(more)
        raise TableError(
            f"Expected the columns of {first.where} in {one.where}; got {' and '.join(got)}. "
            f"Files of one table have the same columns: {first_few(first.names, len(first.names))}."
        )
