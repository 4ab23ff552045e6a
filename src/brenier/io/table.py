"""Data files: CSV and TSV (plain or gzip), NPY and Parquet, to (N, n) float64 and back.

A table has N rows, the samples, and n columns, the variables. Rows count from 1, from the first
row of data. Every refusal is a `TableError` that names the file, the place in it and the remedy.
"""

# polars takes 200 ms to import and jaxtyping 60 ms, and a command's `--help` should not wait for
# them: polars is imported where it is used, and the shapes stand in the docstrings.

import codecs
import csv
import gzip
import io
import math
import os
import re
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from brenier.io.model_file import write_atomically

if TYPE_CHECKING:
    import polars as pl

# How a missing value is marked in text files, in any case of letters.
MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none")
# How many places an error message lists.
SHOWN = 5

StrPath = str | os.PathLike[str]


class TableError(ValueError):
    """A data file or an array that is not a table of numbers; the message says where and why."""


@dataclass(frozen=True)
class Table:
    """Rows of numbers with the names of their columns.

    Attributes
    ----------
    columns : tuple of str, or None
        The n names; None for NPY files, which have none.
    values : (N, n) array
        float64, in C order, not always writable; NaN where a value is missing.
    """

    columns: tuple[str, ...] | None
    values: np.ndarray


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
        data = sys.stdin.buffer.read()
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
    rows = _as_rows(np.asarray(values), f"values to write to {where}")
    names = _default_names(rows.shape[1]) if columns is None else tuple(columns)
    if len(names) != rows.shape[1]:
        raise TableError(
            f"Expected {rows.shape[1]} column names for {where}; got {len(names)}: "
            f"{_listed(names)}. Give one name for each column."
        )
    _check_names(names, where)
    data = _FORMATS[suffix].encode(Table(names, rows), where)
    if os.fspath(path) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        write_atomically(path, _zip(data) if zipped else data)


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
        f"{int(bad.any(axis=1).sum())} of {_count(len(bad), 'row')}: "
        f"{_places(places, int(bad.sum()))}. Remove these rows or fill the "
        "values in."
    )


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
                f"Expected {_count(len(wanted), 'column')} in {where} ({_listed(wanted)}); got "
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
        got.append(f"no {_listed(missing)}")
        remedies.append("add or rename what is missing")
    if extra:
        got.append(f"also {_listed(extra)}")
        remedies.append("remove what is not wanted")
    return (
        f"Expected the columns {_listed(wanted)} in {where}; got {' and '.join(got)}. In that "
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
        data = path.read_bytes()
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
        raise _unreadable("a gzip file", where, error) from error


def _unreadable(kind: str, where: str, error: BaseException) -> TableError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
    return TableError(
        f"Expected {kind} in {where}; got a damaged file or one of another kind: {reason}. "
        "Check that its suffix tells its format, and that it is whole."
    )


# Names and numbers.


def _default_names(n: int) -> tuple[str, ...]:
    return tuple(f"x{j}" for j in range(n))


def _label(columns: tuple[str, ...] | None, j: int) -> str:
    return f"column {j + 1}" if columns is None else f"column {columns[j]!r}"


def _listed(names: Sequence[str]) -> str:
    """Return the first few names in quotes, and how many more there are."""
    return _places([repr(name) for name in names], len(names), ", ")


def _places(places: Sequence[str], total: int, separator: str = "; ") -> str:
    """Return the first few places, and how many of the total there are beyond them."""
    shown = list(places[:SHOWN])
    more = [f"and {total - len(shown)} more"] * (total > len(shown))
    return separator.join(shown + more)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _check_names(names: Sequence[str], where: str) -> None:
    """Raise if a name is empty or not unique."""
    empty = [j + 1 for j, name in enumerate(names) if not name]
    if empty:
        raise TableError(
            f"Expected a name for every column of {where}; got an empty one for column {empty[0]}."
            " Name it, or remove it if it numbers the rows (pandas: index=False)."
        )
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise TableError(
            f"Expected column names that differ in {where}; got {_listed(repeated)} more than "
            "once. Rename or remove the repetition."
        )


def _as_rows(values: np.ndarray, what: str) -> np.ndarray:
    """Return numbers as (N, n) float64 in C order, one dimension as one column."""
    if values.dtype.kind not in "biuf":
        raise TableError(
            f"Expected real numbers as {what}; got dtype {values.dtype}. Convert them to "
            "float64, a complex number to two columns."
        )
    if values.ndim not in (1, 2) or values.size == 0:
        raise TableError(
            f"Expected {what} of shape (rows, columns) with at least one of each; got shape "
            f"{values.shape}. Reshape them to two dimensions."
        )
    rows = values[:, np.newaxis] if values.ndim == 1 else values
    return np.ascontiguousarray(rows, dtype=np.float64)


# CSV and TSV: polars reads the numbers; only what it refuses is looked at cell by cell.


def _decode_text(data: bytes, where: str, *, separator: str) -> Table:
    _check_utf8(data, where)
    data = data.removeprefix(codecs.BOM_UTF8)
    names, body = _split_header(data, where, separator)
    if not body or body.isspace():
        raise TableError(
            f"Expected rows of numbers in {where}; got a header of "
            f"{_count(len(names), 'column')} ({_listed(names)}) and no rows. Give a file with data."
        )
    frame = _parse_numbers(body, len(names), separator)
    if frame is None:
        frame = _parse_cells(body, names, where, separator)
    return Table(names, _frame_values(frame))


def _encode_text(table: Table, where: str, *, separator: str) -> bytes:
    names = table.columns or ()
    lost = [name for name in names if name != name.strip() or re.search(r"[\r\n\x00]", name)]
    if lost or _is_data(names):
        raise TableError(
            f"Expected column names that a text file can hold in {where}; got "
            f"{_listed(lost or names)}. Begin names with a letter, without spaces around them "
            "or line breaks."
        )
    return _frame(table).write_csv(separator=separator).encode()


def _split_header(data: bytes, where: str, separator: str) -> tuple[tuple[str, ...], bytes]:
    """Return the column names and the bytes of the rows."""
    stream = io.BytesIO(data)
    lines = (line.decode() for line in stream)
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    try:
        fields = next((record for record in reader if record not in ([], [""])), [""])
    except csv.Error as error:
        raise _unreadable("separated text", where, error) from error
    names = tuple(field.strip() for field in fields)
    if not _is_data(names):
        _check_names(names, where)
        return names, data[stream.tell() :]
    if len(names) > 1 and names == tuple(map(str, range(len(names)))):
        raise TableError(
            f"Expected column names or a row of data in the first line of {where}; got "
            f"{separator.join(names)!r}, which can be either. Name the columns with letters, or "
            "put a line of such names above."
        )
    return _default_names(len(names)), data


def _is_data(fields: Sequence[str]) -> bool:
    """Whether a line is a row: numbers or marks of missing values, and one finite number."""
    numbers = [_number(field) for field in fields]
    plausible = all(
        number is not None or field.lower() in MISSING
        for number, field in zip(numbers, fields, strict=True)
    )
    return plausible and any(number is not None and math.isfinite(number) for number in numbers)


def _number(field: str) -> float | None:
    try:
        # Python reads 1_000 as a number; no data file means that.
        return None if "_" in field else float(field)
    except ValueError:
        return None


def _read_csv(body: bytes, n: int, separator: str, dtype: "type[pl.DataType]") -> "pl.DataFrame":
    import polars as pl

    schema = {str(j): dtype for j in range(n)}
    return pl.read_csv(body, has_header=False, schema=schema, separator=separator)


def _parse_numbers(body: bytes, n: int, separator: str) -> "pl.DataFrame | None":
    """Return the rows if every cell is a number, else None."""
    import polars as pl

    try:
        frame = _read_csv(body, n, separator, pl.Float64)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        # polars 2.1 panics at a cell that is a lone quote.
        return None
    # A short row reads as one with empty cells, and so does a blank line.
    complete = all(count == 0 for count in frame.null_count().row(0))
    return frame if complete else None


def _parse_cells(body: bytes, names: tuple[str, ...], where: str, separator: str) -> "pl.DataFrame":
    """Return the rows of a file with blank lines, spaces, missing values or booleans."""
    import polars as pl

    body = _without_blank_lines(body, len(names))
    _check_fields(body, len(names), where, separator)
    try:
        cells = _read_csv(body, len(names), separator, pl.String)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _unreadable("separated text", where, error) from error
    parsed = [_numbers_and_faults(column) for column in cells]
    faults = [(names[j], cells[:, j], bad) for j, (_, bad) in enumerate(parsed) if bad.any()]
    if faults:
        raise TableError(_text_message(faults, where, separator))
    return pl.DataFrame([numbers for numbers, _ in parsed])


def _without_blank_lines(body: bytes, n: int) -> bytes:
    """Drop blank lines; between the rows of a single column they are missing values."""
    if n == 1:
        return body.rstrip() + b"\n"
    return re.sub(rb"^ *\r?\n", b"", body + b"\n", flags=re.MULTILINE)


def _check_fields(body: bytes, n: int, where: str, separator: str) -> None:
    """Raise if a row has more or fewer fields than there are columns."""
    text = io.TextIOWrapper(io.BytesIO(body), encoding="utf-8", newline="")
    reader = csv.reader(text, delimiter=separator)
    try:
        ragged = [
            (row, len(record))
            for row, record in enumerate(reader, 1)
            if record and len(record) != n
        ]
    except csv.Error as error:
        raise _unreadable("separated text", where, error) from error
    if ragged:
        places = [f"{_count(got, 'field')} in row {row}" for row, got in ragged]
        raise TableError(
            f"Expected {_count(n, 'field')} in every row of {where}, one for each column; got "
            f"{_places(places, len(places))}. Complete or remove these rows, and write "
            "decimals with a point."
        )


def _numbers_and_faults(cells: "pl.Series") -> "tuple[pl.Series, pl.Series]":
    """Return a column's numbers, and where it holds something else."""
    import polars as pl

    text = cells.str.strip_chars()
    lower = text.str.to_lowercase()
    missing = lower.is_in(MISSING).fill_null(value=True)
    truth = lower.replace_strict({"true": 1.0, "false": 0.0}, default=None, return_dtype=pl.Float64)
    numbers = text.cast(pl.Float64, strict=False)
    boolean = bool((truth.is_not_null() | missing).all())
    numbers = truth if boolean else numbers
    return numbers, numbers.is_null() & ~missing


def _text_message(
    faults: "list[tuple[str, pl.Series, pl.Series]]", where: str, separator: str
) -> str:
    places = []
    for name, cells, bad in faults[:SHOWN]:
        rows = bad.arg_true()
        shown = [f"row {row + 1} {cells[row]!r}" for row in rows[:SHOWN]]
        places.append(f"column {name!r} ({_places(shown, len(rows))})")
    return (
        f"Expected numbers in {where}; got text in {_count(len(faults), 'column')}: "
        f"{_places(places, len(faults))}. Remove or recode these columns or cells"
        f"{_text_hint(str(faults[0][1].filter(faults[0][2])[0]), separator)}."
    )


def _text_hint(text: str, separator: str) -> str:
    """Name the usual causes of text that was meant as numbers."""
    if {";", "\t", "|"} & set(text):
        return f", and separate values by {separator!r}"
    return ", and write decimals with a point" if "," in text else ""


def _check_utf8(data: bytes, where: str) -> None:
    if data.isascii():
        return
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TableError(
            f"Expected text in UTF-8 in {where}; got other bytes in line {line}. Save the file as "
            "CSV in UTF-8, or give it the suffix of its format."
        ) from error


# NPY.


def _decode_npy(data: bytes, where: str) -> Table:
    shape, fortran, dtype, start = _npy_header(data, where)
    if dtype.hasobject:
        raise TableError(
            f"Expected an array of numbers in {where}; got dtype object, which is never read since "
            "that can run any code. Save the array as float64."
        )
    expected, got = math.prod(shape) * dtype.itemsize, len(data) - start
    if min(shape, default=0) < 0 or expected != got:
        raise TableError(
            f"Expected {expected} bytes for shape {shape} and dtype {dtype} in {where}; got {got}. "
            "The file is damaged: save it again."
        )
    try:
        values = np.ndarray(shape, dtype, data, start, order="F" if fortran else "C")
    except ValueError as error:
        raise _unreadable("an NPY array", where, error) from error
    return Table(None, _as_rows(values, f"values in {where}"))


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
        raise _unreadable("an NPY array", where, error) from error
    return shape, fortran, dtype, stream.tell()


def _encode_npy(table: Table, where: str) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, table.values, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


# Parquet.


def _decode_parquet(data: bytes, where: str) -> Table:
    import polars as pl

    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _unreadable("a Parquet table", where, error) from error
    if 0 in frame.shape:
        raise TableError(
            f"Expected rows of numbers in {where}; got {_count(frame.height, 'row')} and "
            f"{_count(frame.width, 'column')}. Give a file with data."
        )
    accepted = (pl.Boolean(), pl.Null())
    other = [
        f"column {name!r} of {dtype}"
        for name, dtype in frame.schema.items()
        if not dtype.is_numeric() and dtype not in accepted
    ]
    if other:
        raise TableError(
            f"Expected columns of numbers in {where}; got {_places(other, len(other))}. Remove "
            "them or code them as numbers."
        )
    _check_names(frame.columns, where)
    return Table(tuple(frame.columns), _frame_values(frame))


def _encode_parquet(table: Table, where: str) -> bytes:
    stream = io.BytesIO()
    _frame(table).write_parquet(stream)
    return stream.getvalue()


def _frame(table: Table) -> "pl.DataFrame":
    import polars as pl

    return pl.from_numpy(table.values, schema=list(table.columns or ()))


def _frame_values(frame: "pl.DataFrame") -> np.ndarray:
    import polars as pl

    return np.ascontiguousarray(frame.cast(pl.Float64).to_numpy())


@dataclass(frozen=True)
class _Format:
    """How a file's bytes become a table, and back; both take the file's name for messages."""

    decode: Callable[[bytes, str], Table]
    encode: Callable[[Table, str], bytes]


_PARQUET = _Format(_decode_parquet, _encode_parquet)
_FORMATS = {
    ".csv": _Format(partial(_decode_text, separator=","), partial(_encode_text, separator=",")),
    ".tsv": _Format(partial(_decode_text, separator="\t"), partial(_encode_text, separator="\t")),
    ".npy": _Format(_decode_npy, _encode_npy),
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
}
