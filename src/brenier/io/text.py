"""Text files: a line of column names, or none, and rows of numbers, however they are separated.

polars reads the numbers of the columns that are chosen: of a plain file from the file itself, of
one with comments or blanks between values from what is left of its bytes. Only where it finds
something else are the rows read again as text and looked at cell by cell, for blank lines, spaces,
missing values, booleans, and the places of errors.
"""

# polars is imported inside the functions: see `brenier.io.table`.

import csv
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from brenier.io.base import SHOWN, Table, TableError, counted, damaged, first_few, listed
from brenier.io.chains import roles_of, without_warm_up
from brenier.io.columns import Columns, as_table, choose
from brenier.io.dialect import BLANKS, COMMAS, MISSING, Dialect
from brenier.io.fields import Lines, is_regular
from brenier.io.frame import to_frame, values_of
from brenier.io.layout import FORMULA, Layout, content, layout_of
from brenier.io.numbers import Numbers, Shape, read_columns
from brenier.io.pieces import pieces_of, together
from brenier.io.source import AbstractSource, unreadable

if TYPE_CHECKING:
    import polars as pl

# What no name in a text file may have: it would end a line, or steer a terminal.
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
# What may be a number with commas between its thousands.
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")
BOOLEAN = re.compile(rb"true|false", re.IGNORECASE)
# How much of a footer's lines a message shows.
FOOTER_SHOWN = 60


def decode_text(source: AbstractSource, columns: Columns) -> Table:
    """Return the table in a text file."""
    where = source.where
    if source.is_long and b"\0" in source.last:
        raise TableError(
            f"Expected text in UTF-8 in {where}; got zero bytes. The file is damaged or of another "
            "kind: save it as CSV in UTF-8."
        )
    layout = layout_of(source)
    if not layout.names:
        raise _no_table(source)
    chosen = choose(layout.names, columns, where, roles_of(layout.names))
    shape = Shape(len(layout.names), chosen.places, layout.dialect)
    values, notes = _parse_file(source, layout, shape), layout.notes
    if values is None:
        body, more = _rows(source, layout, shape)
        notes += more
        # What polars has refused as numbers it does not take the second time.
        values = None if _is_plain(source, layout) else Numbers(shape).read(Lines.of(body))
        if values is None:
            values = parse_cells(body, shape, chosen.names, where)
    return as_table(chosen, values, columns, where, notes)


def _no_table(source: AbstractSource) -> TableError:
    """Return the error for text without a line of a table."""
    data = source.read()
    check_utf8(data, source.where)
    if without_comments(data).strip():
        return damaged("separated text", source.where, ValueError("broken quotes or line ends"))
    got = "comments only" if data.strip() else "an empty file"
    return TableError(f"Expected a table in {source.where}; got {got}. Give one with data.")


def _is_plain(source: AbstractSource, layout: Layout) -> bool:
    """Whether polars may read the file itself: above its rows is a header at most."""
    return source.path is not None and layout.start is not None


def _parse_file(source: AbstractSource, layout: Layout, shape: Shape) -> np.ndarray | None:
    """Return the rows of a plain file if every chosen cell is a number, else None."""
    if source.path is None or layout.start is None:
        return None
    if not source.first.isascii():
        check_utf8(source.first[: source.first.find(b"\n")], source.where)

    numbers = Numbers(shape)

    def parsed(lines: Lines) -> tuple[np.ndarray | None, float]:
        return numbers.read(lines), len(lines.text) / source.size

    try:
        return together(map(parsed, pieces_of(source.path, layout.start)))
    except OSError as error:
        raise unreadable(source.where, error) from error


def _rows(source: AbstractSource, layout: Layout, shape: Shape) -> tuple[bytes, tuple[str, ...]]:
    """Return the bytes of the rows without comments, and what to say of what was left out."""
    data, where = source.read(), source.where
    if shape.is_whole:
        check_utf8(data, where)
    elif not data.isascii():
        # Text that is not read may be in any encoding.
        data = data.decode(errors="replace").encode()
    data, notes = without_warm_up(content(data), layout.comments)
    data = without_comments(data)
    if layout.dialect.separator == BLANKS:
        data = b"\n".join(b"\t".join(line.split()) for line in data.splitlines() if line.strip())
    body = _body(data, layout, where)
    if not body or body.isspace():
        raise TableError(
            f"Expected rows of numbers in {where}; got a header of "
            f"{counted(shape.n, 'column')} ({listed(layout.names)}) and no rows. Give a file with "
            "data."
        )
    return body, notes


def without_comments(data: bytes) -> bytes:
    """Return the lines that are no comments."""
    return re.sub(rb"(?m)^[ \t]*#.*\n?", b"", data) if b"#" in data else data


def header_line(names: Sequence[str], where: str, separator: str) -> str:
    """Return the line of names that a text file with a table begins with."""
    lost = [name for name in names if name != name.strip() or CONTROLS.search(name)]
    if lost or COMMAS.is_data(names):
        raise TableError(
            f"Expected column names that a text file can hold in {where}; got "
            f"{listed(lost or names)}. Begin names with a letter, without spaces around them "
            "or line breaks or other control characters."
        )
    return separator.join(map(_harmless, names)) + "\n"


def rows_of_text(table: Table, separator: str) -> str:
    """Return the lines of a text file with a table's rows."""
    return to_frame(table).write_csv(separator=separator, include_header=False)


def _harmless(name: str) -> str:
    """Return a name as it is written: text to spreadsheets, not a formula that they carry out."""
    text = f"'{name}" if FORMULA.match(name) else name
    # Whatever the separator, so that no other seems possible.
    quoted = text.replace('"', '""')
    return f'"{quoted}"' if {",", ";", "\t", "|", '"'} & set(text) else text


def _body(data: bytes, layout: Layout, where: str) -> bytes:
    """Return the bytes of the rows: what follows the header."""
    if not layout.has_header:
        return data
    stream = io.BytesIO(data)
    lines = (line.decode(errors="replace") for line in stream)
    reader = csv.reader(lines, delimiter=layout.dialect.reads, skipinitialspace=True)
    try:
        next((record for record in reader if record not in ([], [""])), None)
    except csv.Error as error:
        raise damaged("separated text", where, error) from error
    return data[stream.tell() :]


def parse_cells(
    body: bytes, shape: Shape, names: tuple[str, ...], where: str, first: int = 0
) -> np.ndarray:
    """Return the rows of a file with blank lines, spaces, missing values or booleans.

    Of a piece of a file `first` are the rows before it.
    """
    import polars as pl

    body = _without_blank_lines(body, shape.n)
    _check_fields(body, shape, where, first)
    try:
        cells = read_columns(body, shape, pl.String)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise damaged("separated text", where, error) from error
    parsed = [
        _numbers_and_faults(column, decimal_comma=shape.dialect.decimal_comma) for column in cells
    ]
    faults = [(names[j], cells[:, j], bad) for j, (_, bad) in enumerate(parsed) if bad.any()]
    if faults:
        rows = {int(row) for _, _, bad in faults for row in bad.arg_true()}
        _check_footer(body, rows, where, first)
        if all(cells[row, j] == name for j, name in enumerate(names) for row in rows):
            places = [f"row {first + row + 1}" for row in sorted(rows)]
            raise TableError(
                f"Expected rows of numbers in {where}; got the line of names again: "
                f"{first_few(places, len(places))}. Remove it there, or give each of several "
                "chains a file of its own."
            )
        if (
            first == 0
            and rows == {0}
            and cells.height > 1
            and all(found[0] is None for found, _ in parsed)
        ):
            raise TableError(_units_message([column[0] for column in cells], where))
        raise TableError(_text_message(faults, where, shape.dialect, first))
    return values_of([numbers for numbers, _ in parsed])


def boolean_columns(body: bytes, shape: Shape) -> set[int]:
    """Return which of the chosen columns hold true or false."""
    import polars as pl

    if not BOOLEAN.search(body):
        return set()
    cells = read_columns(_without_blank_lines(body, shape.n), shape, pl.String)
    lower = [column.str.strip_chars().str.to_lowercase() for column in cells]
    return {j for j, column in enumerate(lower) if column.is_in(["true", "false"]).any()}


def _without_blank_lines(body: bytes, n: int) -> bytes:
    """Drop blank lines; between the rows of a single column they are missing values."""
    if n == 1:
        return body.rstrip() + b"\n"
    return re.sub(rb"^ *\r?\n", b"", body + b"\n", flags=re.MULTILINE)


def _check_fields(body: bytes, shape: Shape, where: str, first: int) -> None:
    """Raise if a row has more or fewer fields than there are columns."""
    if is_regular(body, shape.n, shape.dialect.reads):
        return
    text = io.TextIOWrapper(io.BytesIO(body), encoding="utf-8", newline="")
    reader = csv.reader(text, delimiter=shape.dialect.reads)
    try:
        ragged = [
            (row, len(record))
            for row, record in enumerate(reader, 1)
            if record and len(record) != shape.n
        ]
    except csv.Error as error:
        raise damaged("separated text", where, error) from error
    if ragged:
        _check_footer(body, {row - 1 for row, _ in ragged}, where, first)
        # Two fields for a single column are a decimal comma.
        one_more = shape.n > 1 and {got for _, got in ragged} == {shape.n + 1}
        one_more = one_more and len(ragged) == reader.line_num
        places = [f"{counted(got, 'field')} in row {first + row}" for row, got in ragged]
        raise TableError(
            f"Expected {counted(shape.n, 'field')} in every row of {where}, one for each column; "
            f"got {first_few(places, len(places))}. {_ragged_remedy(one_more=one_more)}"
        )


def _ragged_remedy(*, one_more: bool) -> str:
    """Return what to do about rows of another length; `one_more` if all have a field too many."""
    if one_more:
        return (
            "Remove separators at the ends of rows; or if rows begin with names, as R writes them, "
            "save the table without these (row.names = FALSE)."
        )
    return "Complete or remove these rows, and write decimals with a point."


def _check_footer(body: bytes, bad: set[int], where: str, first: int) -> None:
    """Raise if the rows that are none are the last lines, and begin with words."""
    lines = body.decode().splitlines()
    last = [lines[row].strip() for row in sorted(bad) if row < len(lines)]
    words = all(
        line and COMMAS.number(re.split(r"[,;\t| ]", line)[0].strip('"')) is None for line in last
    )
    at_end = first + min(bad) > 0 and bad == set(range(min(bad), len(lines)))
    if words and len(last) <= SHOWN and at_end:
        text = "; ".join(repr(line[:FOOTER_SHOWN]) for line in last)
        raise TableError(
            f"Expected rows of numbers in {where}; got a footer after row {first + min(bad)}: "
            f"{text}. Remove it, or begin it with # as a comment."
        )


def _numbers_and_faults(
    cells: "pl.Series", *, decimal_comma: bool
) -> "tuple[pl.Series, pl.Series]":
    """Return a column's numbers, and where it holds something else."""
    import polars as pl

    text = cells.str.strip_chars()
    if decimal_comma:
        text = text.str.replace_all(",", ".", literal=True)
    lower = text.str.to_lowercase()
    missing = lower.is_in(MISSING).fill_null(value=True)
    truth = lower.replace_strict({"true": 1.0, "false": 0.0}, default=None, return_dtype=pl.Float64)
    numbers = text.cast(pl.Float64, strict=False)
    boolean = bool((truth.is_not_null() | missing).all())
    numbers = truth if boolean else numbers
    return numbers, numbers.is_null() & ~missing


def _units_message(cells: Sequence[str | None], where: str) -> str:
    """Return what to say of a line without a number below that of the names."""
    return (
        f"Expected rows of numbers in {where}; got a second line of text, perhaps of units: "
        f"{listed([cell or '' for cell in cells])}. Remove it, or begin it with # as a comment."
    )


def _text_message(
    faults: "list[tuple[str, pl.Series, pl.Series]]", where: str, dialect: Dialect, first: int
) -> str:
    places = []
    for name, cells, bad in faults[:SHOWN]:
        rows = bad.arg_true()
        shown = [f"row {first + row + 1} {cells[row]!r}" for row in rows[:SHOWN]]
        places.append(f"column {name!r} ({first_few(shown, len(rows))})")
    return (
        f"Expected numbers in {where}; got text in {counted(len(faults), 'column')}: "
        f"{first_few(places, len(faults))}. Leave these columns out with "
        "--drop, or recode the cells"
        f"{_text_hint(str(faults[0][1].filter(faults[0][2])[0]), dialect)}."
    )


def _text_hint(text: str, dialect: Dialect) -> str:
    """Name the usual causes of text that was meant as numbers."""
    if {";", "\t", "|"} & set(text):
        return f", and separate values by {dialect.name} throughout"
    if THOUSANDS.fullmatch(text):
        return ", without commas between thousands, and write decimals with a point"
    return ", and write decimals with a point" if re.search(r"\d,\d", text) else ""


def check_utf8(data: bytes, where: str, before: int = 0) -> None:
    """Raise `TableError` if text is not in UTF-8; `before` are the lines before it."""
    if data.isascii():
        return
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = before + data.count(b"\n", 0, error.start) + 1
        raise TableError(
            f"Expected text in UTF-8 in {where}; got other bytes in line {line}. Save the file as "
            "CSV in UTF-8."
        ) from error
