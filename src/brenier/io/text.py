"""CSV and TSV files: a line of column names, or none, and rows of numbers.

polars reads the numbers. Only where it finds something else is the file read again as text and
looked at cell by cell, for blank lines, spaces, missing values, booleans, and the places of errors.
"""

# polars is imported inside the functions: see `brenier.io.table`.

import codecs
import csv
import io
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from brenier.io.base import (
    SHOWN,
    Table,
    TableError,
    check_names,
    counted,
    damaged,
    default_names,
    first_few,
    listed,
)
from brenier.io.frame import frame_values, to_frame

if TYPE_CHECKING:
    import polars as pl

# Names that spreadsheets would take for formulas, also behind marks of text.
FORMULA = re.compile(r"'*[=+\-@]")
# What no name in a text file may have: it would end a line, or steer a terminal.
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
# How a missing value is marked, in any case of letters.
MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none")


def decode_text(data: bytes, where: str, *, separator: str) -> Table:
    """Return the table in the bytes of a text file whose values are separated by `separator`."""
    _check_utf8(data, where)
    data = data.removeprefix(codecs.BOM_UTF8)
    names, body = _split_header(data, where, separator)
    if not body or body.isspace():
        raise TableError(
            f"Expected rows of numbers in {where}; got a header of "
            f"{counted(len(names), 'column')} ({listed(names)}) and no rows. Give a file with data."
        )
    frame = _parse_numbers(body, len(names), separator)
    if frame is None:
        frame = _parse_cells(body, names, where, separator)
    return Table(names, frame_values(frame))


def encode_text(table: Table, where: str, *, separator: str) -> bytes:
    """Return the bytes of a text file with a table: a line of names, then its rows."""
    names = table.columns or ()
    lost = [name for name in names if name != name.strip() or CONTROLS.search(name)]
    if lost or _is_data(names):
        raise TableError(
            f"Expected column names that a text file can hold in {where}; got "
            f"{listed(lost or names)}. Begin names with a letter, without spaces around them "
            "or line breaks or other control characters."
        )
    harmless = Table(tuple(map(_harmless, names)), table.values)
    return to_frame(harmless).write_csv(separator=separator).encode()


def _harmless(name: str) -> str:
    """Return a name that spreadsheets take for text, not for a formula that they carry out."""
    return f"'{name}" if FORMULA.match(name) else name


def _as_it_was(name: str) -> str:
    """Return the name that `_harmless` made harmless; others as they are."""
    return name[1:] if name.startswith("'") and FORMULA.match(name) else name


def _split_header(data: bytes, where: str, separator: str) -> tuple[tuple[str, ...], bytes]:
    """Return the column names and the bytes of the rows."""
    stream = io.BytesIO(data)
    lines = (line.decode() for line in stream)
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    try:
        fields = next((record for record in reader if record not in ([], [""])), [""])
    except csv.Error as error:
        raise damaged("separated text", where, error) from error
    names = tuple(field.strip() for field in fields)
    if not _is_data(names):
        names = tuple(map(_as_it_was, names))
        check_names(names, where)
        return names, data[stream.tell() :]
    if len(names) > 1 and names == tuple(map(str, range(len(names)))):
        raise TableError(
            f"Expected column names or a row of data in the first line of {where}; got "
            f"{separator.join(names)!r}, which can be either. Name the columns with letters, or "
            "put a line of such names above."
        )
    return default_names(len(names)), data


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
        raise damaged("separated text", where, error) from error
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
        raise damaged("separated text", where, error) from error
    if ragged:
        places = [f"{counted(got, 'field')} in row {row}" for row, got in ragged]
        raise TableError(
            f"Expected {counted(n, 'field')} in every row of {where}, one for each column; got "
            f"{first_few(places, len(places))}. Complete or remove these rows, and write "
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
        places.append(f"column {name!r} ({first_few(shown, len(rows))})")
    return (
        f"Expected numbers in {where}; got text in {counted(len(faults), 'column')}: "
        f"{first_few(places, len(faults))}. Remove or recode these columns or cells"
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
