"""Numbers in the chosen columns of separated text, as polars reads them."""

# polars is imported inside the functions: see `brenier.io.table`.

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from brenier.io.dialect import Dialect
from brenier.io.fields import Lines, count_unquoted, is_regular
from brenier.io.frame import values_of

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Shape:
    """What polars has to know: how many columns there are, which are read, and what is between."""

    n: int
    places: tuple[int, ...]
    dialect: Dialect

    @property
    def is_whole(self) -> bool:
        """Whether all columns are read."""
        return len(self.places) == self.n


class Numbers:
    """What reads numbers out of one piece of text after the other.

    The last column is read with those that are chosen, because it shows which lines are too short:
    as numbers, which takes least, until it holds something else.
    """

    def __init__(self, shape: Shape) -> None:
        """Read the columns of a shape."""
        self._shape = shape
        self._is_last_text = False

    def read(self, lines: Lines) -> np.ndarray | None:
        """Return the rows if every chosen cell is a number, else None."""
        shape = self._shape
        separators = None if shape.is_whole else count_unquoted(lines, shape.dialect.reads)
        if separators is None and not _is_regular(lines, shape):
            return None
        frame = self._columns(lines.text)
        if frame is None or not frame.height:
            return None
        numbers = [frame[str(j)] for j in shape.places]
        # A short row reads as one with empty cells, and so does a blank line.
        complete = not any(column.null_count() for column in numbers)
        regular = separators is None or _are_just_enough(separators, frame, shape)
        return values_of(numbers) if complete and (regular or _is_regular(lines, shape)) else None

    def _columns(self, text: bytes) -> "pl.DataFrame | None":
        """Return the chosen columns, with the last one if that can be read, if all are numbers."""
        import polars as pl

        last = self._shape.n - 1
        frame = None
        if not self._is_last_text:
            frame = _read_or_none(text, self._shape, {last: pl.Float64})
            self._is_last_text = frame is None
        if last in self._shape.places:
            return frame
        if frame is None:
            frame = _read_or_none(text, self._shape, {last: pl.String})
        # Text that is not read may be in any encoding.
        return _read_or_none(text, self._shape, {}) if frame is None else frame


def _is_regular(lines: Lines, shape: Shape) -> bool:
    """Whether every line has as many fields as there are columns."""
    # Only where columns are left out, polars takes lines of any length.
    return shape.is_whole or is_regular(lines.text, shape.n, shape.dialect.reads)


def _are_just_enough(separators: int, frame: "pl.DataFrame", shape: Shape) -> bool:
    """Whether lines with so many separators are seen to have as many fields as there are columns.

    If all lines have something in the last column, none is short; and if there are just as many
    separators as that takes, none is long.
    """
    last = str(shape.n - 1)
    none_short = last in frame.columns and frame[last].null_count() == 0
    return none_short and separators == (shape.n - 1) * frame.height


def _read_or_none(
    text: bytes, shape: Shape, also: "dict[int, type[pl.DataType]]"
) -> "pl.DataFrame | None":
    """Return the chosen columns as numbers, None where one holds something else."""
    import polars as pl

    try:
        return read_columns(text, shape, pl.Float64, also)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        # polars 2.1 panics at a cell that is a lone quote.
        return None


def read_columns(
    text: bytes,
    shape: Shape,
    dtype: "type[pl.DataType]",
    also: "dict[int, type[pl.DataType]] | None" = None,
) -> "pl.DataFrame":
    """Return the chosen columns, in the file's order, and others.

    Parameters
    ----------
    text : bytes
        Lines of the file.
    shape : Shape
        Which columns are chosen.
    dtype : type of polars
        What the chosen ones are.
    also : mapping from int to type of polars, optional
        The places of others, and what they are.
    """
    import polars as pl

    types = {**(also or {}), **dict.fromkeys(shape.places, dtype)}
    schema = {str(j): types.get(j, pl.String) for j in range(shape.n)}
    lazy = pl.scan_csv(
        text,
        has_header=False,
        schema=schema,
        separator=shape.dialect.reads,
        decimal_comma=shape.dialect.decimal_comma and dtype is pl.Float64,
    )
    # Of all columns polars checks the number in every line, unless it is told which to take.
    chosen = lazy if shape.is_whole else lazy.select([str(j) for j in sorted(types)])
    return chosen.collect()
