"""Bounds of columns, as users give them, and rows that lie on or beyond them."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Float

from brenier.flow.preprocessing import ColumnBounds


def column_bounds(bounds: Any, names: list[str]) -> ColumnBounds:
    """Return the bounds of every column from a mapping by name or index, or a sequence of pairs."""
    low, high = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    for i, name, pair in _bound_items(bounds, names):
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise ValueError(f"Expected bounds of {name!r} as a pair (low, high); got {pair!r}.")
        low[i] = -np.inf if pair[0] is None else float(pair[0])
        high[i] = np.inf if pair[1] is None else float(pair[1])
        if not low[i] < high[i]:
            raise ValueError(f"Expected bounds of {name!r} with low < high; got {tuple(pair)!r}.")
    return ColumnBounds(low, high)


def _bound_items(bounds: Any, names: list[str]) -> list[tuple[int, str, Any]]:
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
        position = (
            int(key) if isinstance(key, Integral) else names.index(key) if key in names else -1
        )
        if not 0 <= position < len(names):
            raise ValueError(
                f"Expected bounds for columns of the table ({', '.join(map(repr, names))}); got "
                f"bounds for {key!r}."
            )
        items.append((position, names[position], pair))
    return items


def check_inside(
    X: Float[np.ndarray, "N n"], bounds: ColumnBounds, names: list[str], where: str
) -> None:
    """Raise `ValueError` that names the rows on or beyond a bound."""
    outside = (X <= np.asarray(bounds.low)) | (X >= np.asarray(bounds.high))
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
