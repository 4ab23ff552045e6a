"""A table of numbers, whatever file it comes from, and the words in which one is refused.

The formats (`text`, `npy`, `parquet`) and `table`, which chooses between them, share this. `where`
is the name of the file, as the messages say it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# How many places an error message lists.
SHOWN = 5


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
    weights, chain : (N,) array, or None
        The rows' weights, and which chain each is a draw of, where the format has them.
    notes : tuple of str
        What was taken for what, as phrases.
    first : int
        Rows that come before in the file, where the table is a piece of one.
    """

    columns: tuple[str, ...] | None
    values: np.ndarray
    weights: np.ndarray | None = None
    chain: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    first: int = 0


def as_rows(values: np.ndarray, what: str) -> np.ndarray:
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


def default_names(n: int) -> tuple[str, ...]:
    """Return the names of n columns that have none: x0, x1, ..."""
    return tuple(f"x{j}" for j in range(n))


def unnamed(j: int) -> str:
    """Return what column j is called to choose it where its name is empty, as pandas calls it."""
    return f"Unnamed: {j}"


def check_names(names: Sequence[str], where: str) -> None:
    """Raise `TableError` if a name is empty or not unique."""
    empty = [j for j, name in enumerate(names) if not name]
    if empty:
        raise TableError(
            f"Expected a name for every column of {where}; got an empty one for column "
            f"{empty[0] + 1}. Name it, or leave it out with --drop '{unnamed(empty[0])}' if it "
            "numbers the rows (pandas: index=False)."
        )
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise TableError(
            f"Expected column names that differ in {where}; got {listed(repeated)} more than "
            "once. Rename or remove the repetition."
        )


def damaged(kind: str, where: str, error: BaseException) -> TableError:
    """Return the error for a file that its format's reader refused, with its reason in a line."""
    reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
    return TableError(
        f"Expected {kind} in {where}; got a damaged file or one of another kind: {reason}. "
        "Check that it is whole."
    )


def listed(names: Sequence[str]) -> str:
    """Return the first few names in quotes, and how many more there are."""
    return first_few([repr(name) for name in names], len(names), ", ")


def first_few(items: Sequence[str], total: int, separator: str = "; ") -> str:
    """Return the first few items, and how many of the total there are beyond them."""
    shown = list(items[:SHOWN])
    more = [f"and {total - len(shown)} more"] * (total > len(shown))
    return separator.join(shown + more)


def counted(number: int, noun: str) -> str:
    """Return the number and its noun: `1 row`, `2 rows`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
