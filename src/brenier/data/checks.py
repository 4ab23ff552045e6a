"""What a table must be to have a density; errors name rows and columns and the remedy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from brenier.data.dependence import check_independent, check_no_copies
from brenier.data.names import default_names, quoted
from brenier.data.tables import DUMMIES, cells_of, names_of

# How many rows an error lists.
SHOWN = 5
DROP_OR_FILL = "Drop these rows or fill them in."
# A column's values differ by no less and are no larger than this: beyond, numbers of 64 bits lose
# digits or overflow in sums of rows.
SMALLEST, LARGEST = 1e-290, 1e300


def is_constant(Y: np.ndarray) -> np.ndarray:
    """Return which columns are constant up to rounding."""
    low, high = Y.min(axis=0), Y.max(axis=0)
    return high - low <= 4 * np.finfo(float).eps * np.maximum(np.abs(low), np.abs(high))


def constant_columns(X: Float[np.ndarray, "N q"], names: Sequence[str]) -> str:
    """Return the names of the constant columns, quoted; empty where all vary."""
    return quoted([names[i] for i in np.flatnonzero(is_constant(X)).tolist()])


def raise_if_categorical(X: Any, error: ValueError) -> None:
    """Raise `ValueError` naming the columns of a table that hold text, if there are any."""
    cells = cells_of(X)
    if cells.ndim != 2:
        return
    columns = names_of(X) or default_names(cells.shape[1])
    text = {
        str(name): next((c for c in column if isinstance(c, str) and not _is_number(c)), None)
        for name, column in zip(columns, cells.T, strict=True)
    }
    found = {name: cell for name, cell in text.items() if cell is not None}
    if found:
        first = next(iter(found.values()))
        raise ValueError(
            f"Expected numbers; got text in column(s) {quoted(list(found))} (such as {first!r}). "
            f"{DUMMIES}"
        ) from error


def raise_if_text(X: Any, error: ValueError, names: Sequence[str] | None = None) -> None:
    """Raise `ValueError` naming the first cell of a table that is no number, if there is one."""
    cells = cells_of(X)
    if cells.ndim != 2:
        return
    columns = names or names_of(X) or default_names(cells.shape[1])
    for (row, column), cell in np.ndenumerate(cells):
        if isinstance(cell, str) and not _is_number(cell):
            raise ValueError(
                f"Expected numbers; got {cell!r} in row {row} column {str(columns[column])!r} "
                "(rows count from 0). Drop the column, or encode it as numbers."
            ) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def check_unmasked(values: Any, what: str, names: Sequence[str] | None = None) -> None:
    """Raise `ValueError` that counts masked cells and names the first: a mask is not looked at.

    Parameters
    ----------
    values : anything
        What was given; only masked arrays of NumPy have masks.
    what : str
        What to call it, as in "y"; in small letters, with numbers, columns without names.
    names : sequence of str, optional
        Column names.
    """
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else np.zeros(0)
    if mask.dtype != bool or not mask.any():
        return
    row, *column = np.argwhere(mask)[0].tolist() or [0]
    width = mask.shape[-1] if mask.ndim else 1
    columns = list(names or ())
    if len(columns) != width:
        columns = default_names(width, what.lower())
    where = f"row {row}" + "".join(f" column {columns[j]!r}" for j in column[:1])
    raise ValueError(
        f"Expected a number in every cell of {what}; got {int(mask.sum())} of {mask.size} masked "
        f"(first: {where}; rows count from 0). Drop these rows, or fill the cells in, as by "
        "`.filled(value)`."
    )


def check_finite(
    X: Float[np.ndarray, "N n"], names: Sequence[str], remedy: str = DROP_OR_FILL
) -> None:
    """Raise `ValueError` that counts the rows with NaN or infinity and names the first.

    Parameters
    ----------
    X : (N, n)
        Rows.
    names : sequence of n str
        Column names.
    remedy : str
        What the error ends in.
    """
    bad = ~np.isfinite(X)
    if not bad.any():
        return
    rows = np.flatnonzero(bad.any(axis=1))
    where = ", ".join(
        f"row {row} column {names[np.flatnonzero(bad[row])[0]]!r}" for row in rows[:SHOWN]
    )
    kind = " and ".join(
        kind
        for kind, found in (("NaN", np.isnan(X).any()), ("infinity", np.isinf(X).any()))
        if found
    )
    raise ValueError(
        f"Expected finite numbers; got {kind} in {len(rows)} of {len(X)} rows (first: {where}; "
        f"rows count from 0). {remedy}"
    )


def check_scales(X: Float[np.ndarray, "N n"], names: Sequence[str]) -> None:
    """Raise `ValueError` naming columns whose values are too small or large to be computed with."""
    low, high = X.min(axis=0), X.max(axis=0)
    size = np.maximum(np.abs(low), np.abs(high))
    # Halves, since the whole may overflow.
    width = 2 * np.minimum(0.5 * high - 0.5 * low, LARGEST)
    tiny = (size > 0) & (low < high) & (width < SMALLEST)
    for wrong, extent, got, remedy in (
        (tiny, width, "values that differ by no more than", "Multiply"),
        (size > LARGEST, size, "values as large as", "Divide"),
    ):
        if wrong.any():
            found = quoted([names[i] for i in np.flatnonzero(wrong).tolist()])
            raise ValueError(
                f"Expected values that 64 bits can be computed with; got column(s) {found} with "
                f"{got} {extent[wrong][0]:.3g}. {remedy} by a power of ten (another unit) so that "
                "values are near one."
            )


def check_columns(Y: Float[np.ndarray, "N n"], names: Sequence[str]) -> None:
    """Raise `ValueError` that names what keeps the columns of distinct rows from having a density.

    Parameters
    ----------
    Y : (N, n)
        Distinct rows, after any bounds' maps. That columns of N <= n rows depend on each other
        linearly is no fault of theirs, but that one is a copy of another is.
    names : sequence of str
        Column names.
    """
    _check_constant(Y, names)
    _check_duplicates(Y, names)
    if len(Y) > Y.shape[1]:
        check_independent(Y, names)
    else:
        check_no_copies(Y, names)


def _check_constant(Y: np.ndarray, names: Sequence[str]) -> None:
    constant = np.flatnonzero(is_constant(Y)).tolist()
    if constant:
        values = quoted([f"{Y[:, i].min():g}" for i in constant])
        raise ValueError(
            f"Expected columns that vary; got constant column(s) "
            f"{quoted([names[i] for i in constant])} (value "
            f"{values}). A constant has no density: drop the column(s)."
        )


def _check_duplicates(Y: np.ndarray, names: Sequence[str]) -> None:
    seen: dict[bytes, str] = {}
    found = []
    for i, name in enumerate(names):
        first = seen.setdefault(np.ascontiguousarray(Y[:, i]).tobytes(), name)
        if first != name:
            found.append((name, first))
    if found:
        pairs = " and ".join(f"{name!r} equal to {first!r}" for name, first in found[:SHOWN])
        are_more = len(found) > SHOWN
        more = f" and {len(found) - SHOWN} more like these" * are_more
        all_at_once = ", all at once by pandas' `table.T.drop_duplicates().T`" * are_more
        raise ValueError(
            f"Expected different columns; got {pairs} in every row{more}. Equal columns have no "
            f"joint density: drop {quoted([name for name, _ in found])}{all_at_once}."
        )
