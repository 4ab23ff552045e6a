"""Tables of pandas, polars and PyArrow as numbers; what holds none is named by its column.

No library is imported here: a table of one that is not loaded is none.
"""

import sys
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from brenier.data.names import checked_columns, quoted
from brenier.patterns import matching, suggestion

DUMMIES = (
    "Put in place of each one column of 0 and 1 for each value but one (pandas.get_dummies and "
    "polars.DataFrame.to_dummies do so), or drop it."
)
DATES = "Turn them into numbers, such as days since the first, or drop the column(s)."
LISTS = "Give every entry a column of its own, or drop the column(s)."
COMPLEX = "Give real and imaginary parts columns of their own, or drop the column(s)."
# How the names of types begin, in small letters, in all three libraries.
CATEGORIES = ("categor", "enum", "dictionary")
TIMES = ("date", "time", "duration", "period", "interval", "month")
NESTED = ("list", "large_list", "fixed_size_list", "array", "struct", "map")
WRONG = MappingProxyType(
    {
        CATEGORIES: ("categories", DUMMIES),
        TIMES: ("dates or times", DATES),
        NESTED: ("lists", LISTS),
        ("complex",): ("complex numbers", COMPLEX),
    }
)


class Frame(NamedTuple):
    """A table's columns.

    Attributes
    ----------
    names : list of str
        Their names.
    columns : list
        The columns, as their library has them.
    select : callable
        Returns the table of the columns at some places.
    """

    names: list[str]
    columns: list[Any]
    select: Callable[[list[int]], Any]


def frame_of(table: Any) -> Frame | None:
    """Return the columns of a table of pandas, polars or PyArrow; None for anything else.

    Raises
    ------
    ValueError
        If its rows are not there yet.
    """
    if _is(table, "pandas", "DataFrame"):
        columns = [table.iloc[:, j] for j in range(table.shape[1])]
        return Frame([str(name) for name in table.columns], columns, lambda at: table.iloc[:, at])
    if _is(table, "polars", "DataFrame"):
        names = list(table.columns)
        return Frame(names, table.get_columns(), lambda at: table.select([names[j] for j in at]))
    if _is(table, "pyarrow", "Table", "RecordBatch"):
        return Frame(list(table.schema.names), list(table.columns), table.select)
    if _is(table, "polars", "LazyFrame"):
        raise ValueError("Expected a table with its rows; got a LazyFrame. Call its .collect().")
    return None


def cells_of(table: Any) -> np.ndarray:
    """Return a table's cells as objects, whatever kinds of columns it has."""
    columns = columns_of(table)
    if not columns:
        return np.asarray(table, dtype=object)
    cells = np.empty((len(columns[0]), len(columns)), dtype=object)
    for j, column in enumerate(columns):
        cells[:, j] = _cells(column)
    return cells


def columns_of(table: Any) -> list[Any] | None:
    """Return the columns of a table, or a series or Arrow array by itself; None for others."""
    frame = frame_of(table)
    if frame is not None:
        return frame.columns
    is_one = _is(table, "pandas", "Series") or _is(table, "polars", "Series")
    return [table] if is_one or _is(table, "pyarrow", "ChunkedArray", "Array") else None


def names_of(table: Any) -> list[str] | None:
    """Return the names of a table's columns, or a series' own; None where there are none."""
    frame = frame_of(table)
    if frame is not None:
        return frame.names
    columns = getattr(table, "columns", None)
    if columns is not None:
        return [str(name) for name in columns]
    name = getattr(table, "name", None)
    return [str(name)] if name else None


def chosen(table: Any, patterns: Sequence[str]) -> Any:
    """Return a table's columns that fit names and patterns, in the order of these.

    Raises
    ------
    ValueError
        If one fits none, or if this is no table with names.
    """
    frame = frame_of(table)
    if frame is None:
        raise ValueError(
            "Expected a table with named columns, of which `columns` chooses; got "
            f"{type(table).__name__}. Give one of pandas, polars or PyArrow, or leave `columns` "
            "out and choose the array's columns."
        )
    at = []
    for pattern in checked_columns(patterns) or ():
        found = matching(pattern, frame.names)
        if not found:
            raise ValueError(
                f"Expected columns of the table ({quoted(frame.names)}); got {pattern!r}, which is "
                f"none of them.{suggestion(pattern, frame.names)}"
            )
        at += [j for j in found if j not in at]
    return frame.select(at)


def named(table: Any, names: Sequence[str]) -> Any:
    """Return a table's columns of these names, in this order; an array is taken to have no others.

    Raises
    ------
    ValueError
        If one is missing.
    """
    frame = frame_of(table)
    if frame is None:
        return table
    missing = [name for name in names if name not in frame.names]
    if missing:
        raise ValueError(
            f"Expected a table with the columns of the fit ({quoted(names)}); got none called "
            f"{quoted(missing)}."
        )
    return frame.select([frame.names.index(name) for name in names])


def check_kinds(columns: Sequence[Any], names: Sequence[str]) -> None:
    """Raise `ValueError` that names columns of categories, dates, lists and complex numbers."""
    kinds = [_type_name(column) for column in columns]
    for beginnings, (what, remedy) in WRONG.items():
        at = [j for j, kind in enumerate(kinds) if kind.startswith(beginnings)]
        if at:
            raise ValueError(
                f"Expected numbers; got {what} in column(s) {quoted([names[j] for j in at])} "
                f"({kinds[at[0]]}). {remedy}"
            )


def numbers(columns: Sequence[Any], names: Sequence[str]) -> Float[np.ndarray, "N n"]:
    """Return columns as float64, missing values as NaN; truth values are 0 and 1.

    Raises
    ------
    ValueError
        If a column holds something else.
    """
    length = len(columns[0]) if columns else 0
    rows = np.empty((length, len(columns)))
    for j, (column, name) in enumerate(zip(columns, names, strict=True)):
        cells = _cells(column)
        try:
            rows[:, j] = cells
        except (TypeError, ValueError) as error:
            raise _no_number(cells, name) from error
    return rows


def _is(value: Any, library: str, *kinds: str) -> bool:
    """Return whether a value is of a library's types, which it is of none if that is not loaded."""
    module = sys.modules.get(library)
    types = tuple(getattr(module, kind) for kind in kinds if hasattr(module, kind))
    return isinstance(value, types)


def _type_name(column: Any) -> str:
    kind = column.dtype if hasattr(column, "dtype") else column.type
    return str(kind).lower()


def _cells(column: Any) -> np.ndarray:
    """Return a column as NumPy has it, missing values as NaN or None."""
    if _is(column, "pandas", "Series") and not isinstance(column.dtype, np.dtype):
        return column.to_numpy(dtype=object, na_value=np.nan)
    cells = np.asarray(column)
    if cells.dtype != object or not _is(column, "pandas", "Series"):
        return cells
    # pandas' own missing value is no number among objects.
    return np.where(column.isna(), np.nan, cells)


def _no_number(cells: np.ndarray, name: str) -> ValueError:
    row = next(i for i, cell in enumerate(cells) if not _is_number(cell))
    (cell,) = cells[row : row + 1].tolist()
    return ValueError(
        f"Expected numbers; got {type(cell).__name__} {cell!r:.80} in row {row} column {name!r} "
        "(rows count from 0). Turn the column into numbers, or drop it."
    )


def _is_number(cell: Any) -> bool:
    try:
        np.empty(1)[:] = cell
    except (TypeError, ValueError):
        return False
    return np.ndim(cell) == 0
