"""Long text files read piece by piece: the rows are never all in memory.

Plain ones are: a line of names at most, and rows of two columns or more below, separated by one
character. In others what a line means may depend on lines that are far off.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from brenier.io.base import Table, TableError, listed
from brenier.io.chains import roles_of
from brenier.io.columns import Chosen, Columns, as_table, choose
from brenier.io.layout import Layout, layout_of
from brenier.io.numbers import Numbers, Shape
from brenier.io.pieces import pieces_of
from brenier.io.regular import open_regular
from brenier.io.source import AbstractSource, unreadable
from brenier.io.text import boolean_columns, check_utf8, decode_text, parse_cells, without_comments

# A shorter file is read whole (bytes).
LONG = 1 << 25
# Of the numbers of a piece, about.
PIECE_BYTES = 1 << 25
# Bytes that are looked at together to count lines.
TOGETHER = 1 << 20


def pieces_of_text(
    source: AbstractSource, columns: Columns, whole_up_to: int | None
) -> Iterator[Table]:
    """Yield the table in a text file; no more than so many rows in one piece, all if that is None.

    A file that is short, or not plain, is one piece, too.
    """
    text = None
    if whole_up_to is not None and source.size > LONG:
        text = PlainText.of(source, columns)
    if text is None or text.has_at_most(whole_up_to or 0):
        yield decode_text(source, columns)
    else:
        yield from text.tables()


class PlainText:
    """A plain text file with its columns chosen, none of its rows read yet."""

    def __init__(self, source: AbstractSource, columns: Columns, layout: Layout, chosen: Chosen):
        self._source, self._columns, self._layout, self._chosen = source, columns, layout, chosen
        self._shape = Shape(len(layout.names), chosen.places, layout.dialect)
        self._numbers = Numbers(self._shape)
        # Of the pieces that were read.
        self._n_rows, self._n_lines = 0, layout.start or 0
        # Columns that have numbers, and that have true or false.
        self._of_numbers: set[int] = set()
        self._boolean: set[int] = set()

    @staticmethod
    def of(source: AbstractSource, columns: Columns) -> "PlainText | None":
        """Return a text file; None of one that is not plain."""
        layout = layout_of(source)
        if source.path is None or layout.start is None or len(layout.names) < 2:
            return None
        if b"\0" in source.last:
            return None
        chosen = choose(layout.names, columns, source.where, roles_of(layout.names))
        return PlainText(source, columns, layout, chosen)

    def has_at_most(self, rows: int) -> bool:
        """Whether there are no more lines than these; where they are none, it is not looked up."""
        return rows > 0 and self._lines() <= rows

    def _lines(self) -> int:
        try:
            with open_regular(self._source.path or "") as file:
                blocks = iter(lambda: file.read(TOGETHER), b"")
                ends = sum(block.count(b"\n") for block in blocks)
        except OSError as error:
            raise unreadable(self._source.where, error) from error
        return ends + 1 - (self._layout.start or 0)

    def tables(self) -> Iterator[Table]:
        """Yield the rows, piece by piece."""
        parts: list[np.ndarray] = []
        for values in self._values():
            parts.append(values)
            del values
            if sum(part.nbytes for part in parts) >= PIECE_BYTES:
                table, parts = self._table(parts), []
                yield table
                # Not kept while the next one is read.
                del table
        if parts:
            yield self._table(parts)
        if not self._n_rows:
            # Which says what is wrong.
            yield decode_text(self._source, self._columns)

    def _table(self, parts: list[np.ndarray]) -> Table:
        """Return the last rows that were read."""
        values = np.concatenate(parts)
        where, notes = self._source.where, self._layout.notes
        table = as_table(self._chosen, values, self._columns, where, notes)
        return replace(table, first=self._n_rows - len(values))

    def _values(self) -> Iterator[np.ndarray]:
        """Yield the numbers of some lines, and count these."""
        path, where = self._source.path, self._source.where
        if path is None:
            return
        if not self._source.first.isascii():
            check_utf8(self._source.first[: self._source.first.find(b"\n")], where)
        try:
            for lines in pieces_of(path, self._layout.start or 0):
                values = self._numbers.read(lines)
                if values is None:
                    values = self._cells(lines.text)
                else:
                    self._of_numbers.update(range(values.shape[1]))
                self._check_kinds()
                self._n_lines += lines.text.count(b"\n")
                self._n_rows += len(values)
                if len(values):
                    yield values
                # Not kept while the next ones are read.
                del lines, values
        except OSError as error:
            raise unreadable(where, error) from error

    def _cells(self, text: bytes) -> np.ndarray:
        """Return the numbers of lines with blank ones, spaces, missing values or booleans."""
        where = self._source.where
        if self._shape.is_whole:
            check_utf8(text, where, self._n_lines)
        elif not text.isascii():
            # Text that is not read may be in any encoding.
            text = text.decode(errors="replace").encode()
        text = without_comments(text)
        if not text.strip():
            return np.empty((0, len(self._chosen.places)))
        values = parse_cells(text, self._shape, self._chosen.names, where, self._n_rows)
        boolean = boolean_columns(text, self._shape)
        there = set(np.flatnonzero(~np.isnan(values).all(axis=0)).tolist())
        self._boolean |= boolean
        self._of_numbers |= there - boolean
        return values

    def _check_kinds(self) -> None:
        """Raise `TableError` if a column has numbers in some lines and true or false in others."""
        both = self._boolean & self._of_numbers
        if both:
            names = [self._chosen.names[j] for j in sorted(both)]
            raise TableError(
                f"Expected numbers in {self._source.where}; got true or false among numbers in "
                f"{listed(names)} after row {self._n_rows}. Leave out with --drop what is no "
                "variable, or recode the cells."
            )
