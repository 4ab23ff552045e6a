"""Parquet files of one folder, or of one pattern, as one table: as Spark, Dask and DuckDB write it.

Names that begin with a dot or an underscore are no data (`_SUCCESS`). Files come in the order of
their names.
"""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brenier.io.atomic import StrPath
from brenier.io.base import Table, TableError, counted, first_few, listed
from brenier.io.chains import roles_of
from brenier.io.columns import Columns, as_table, choose
from brenier.io.parquet import PARQUET, Scanned, scan_parquet
from brenier.io.source import of_file

NOT_DATA = (".", "_")


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
    scanned = [_scanned(file) for file in files]
    names = scanned[0].names
    for one in scanned[1:]:
        _check_columns(one, scanned[0])
    n_rows = sum(one.rows for one in scanned)
    if not n_rows:
        raise TableError(
            f"Expected rows of numbers in {where}; got 0 rows in {counted(len(files), 'file')}. "
            "Name a folder with data."
        )
    chosen = choose(names, columns, where, roles_of(names))
    values, start = np.empty((n_rows, len(chosen.places))), 0
    for one in scanned:
        one.put([names[j] for j in chosen.places], values[start : start + one.rows])
        start += one.rows
    return as_table(chosen, values, columns, where)


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
