"""Bounds of columns, as users give them, and rows that lie on or beyond them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from brenier.data.names import position_of
from brenier.patterns import suggestion


class Bounds(NamedTuple):
    """Bounds of n columns in data units, infinite where there is none."""

    low: Float[np.ndarray, " n"]
    high: Float[np.ndarray, " n"]


def column_bounds(bounds: Any, names: list[str]) -> Bounds:
    """Return the bounds of every column from a mapping by name or index, or a sequence of pairs.

    Parameters
    ----------
    bounds : mapping, sequence or None
        `{name_or_index: (low, high)}`, or one pair (or None) a column; None in a pair is no bound.
    names : list of n str
        The columns' names.

    Raises
    ------
    ValueError
        If a column is unknown, or a pair is none or not in order.
    """
    low, high = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    for i, name, pair in _items(bounds, names):
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise ValueError(f"Expected bounds of {name!r} as a pair (low, high); got {pair!r}.")
        low[i] = -np.inf if pair[0] is None else float(pair[0])
        high[i] = np.inf if pair[1] is None else float(pair[1])
        if not low[i] < high[i]:
            raise ValueError(f"Expected bounds of {name!r} with low < high; got {tuple(pair)!r}.")
    return Bounds(low, high)


def _items(bounds: Any, names: list[str]) -> list[tuple[int, str, Any]]:
    if bounds is None:
        return []
    if not isinstance(bounds, Mapping):
        if len(bounds) != len(names):
            raise ValueError(
                f"Expected one pair of bounds for each of {len(names)} columns; got {len(bounds)}."
            )
        return [
            (i, name, (None, None) if pair is None else pair)
            for i, (name, pair) in enumerate(zip(names, bounds, strict=True))
        ]
    items = []
    for key, pair in bounds.items():
        position = position_of(key, names)
        if position < 0:
            raise ValueError(
                f"Expected bounds for columns of the table ({', '.join(map(repr, names))}); got "
                f"bounds for {key!r}.{suggestion(key, names)}"
            )
        items.append((position, names[position], pair))
    return items


def check_inside(X: Float[np.ndarray, "N n"], bounds: Bounds, names: list[str], where: str) -> None:
    """Raise `ValueError` that names the rows on or beyond a bound."""
    outside = (X <= bounds.low) | (X >= bounds.high)
    if not outside.any():
        return
    column = int(np.flatnonzero(outside.any(axis=0))[0])
    rows = np.flatnonzero(outside[:, column])
    shown = ", ".join(f"row {row}: {X[row, column]:g}" for row in rows[:5])
    raise ValueError(
        f"Expected {where} strictly inside the bounds of {names[column]!r}, "
        f"({bounds.low[column]:g}, {bounds.high[column]:g}); got {len(rows)} rows on or beyond "
        f"them ({shown}; rows count from 0). Widen the bounds or drop these rows."
    )
