"""Periodic and discrete columns of an estimator: found in its table, and kept in its file."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from brenier.data.bounds import Bounds
from brenier.data.cells import Cells, check_whole, discrete_columns
from brenier.data.circles import Circles, cut_circles, periodic_columns
from brenier.data.folding import Folding

KEY = "folding"
_NONE = np.empty(0)
PLAIN = Folding(Circles(_NONE.astype(int), _NONE, _NONE, _NONE), Cells(_NONE.astype(int), 0))
"""Of tables without periodic and discrete columns."""


def folding_of(
    estimator: Any,
    X: Float[np.ndarray, "N n"],
    weights: Float[np.ndarray, " N"] | None,
    names: list[str],
    bounds: Bounds,
    seed: int,
) -> Folding:
    """Return which columns are periodic or discrete, and where circles are cut.

    Raises
    ------
    ValueError
        If columns are unknown, of both kinds, bounded and periodic, or discrete without being of
        whole numbers, or with bounds within a cell; the message names columns and rows.
    """
    periodic = periodic_columns(estimator.periods, names)
    discrete = discrete_columns(estimator.discrete, names)
    for c in periodic:
        if c in discrete:
            raise ValueError(
                f"Expected {names[c]!r} among periods or discrete; got it in both. Leave it out of "
                "one."
            )
        if np.isfinite([bounds.low[c], bounds.high[c]]).any():
            raise ValueError(
                f"Expected {names[c]!r} with a period or with bounds; got both. A circle has no "
                "bounds: leave them out."
            )
    check_cells(X, discrete, names, bounds)
    present = np.ones(len(X)) if weights is None else weights
    return Folding(cut_circles(X, present, periodic), Cells(discrete, X.shape[1], seed))


def check_cells(
    X: Float[np.ndarray, "N n"], discrete: np.ndarray, names: list[str], bounds: Bounds
) -> None:
    """Raise `ValueError` where discrete columns are not of whole numbers with room around them."""
    check_whole(X, discrete, names)
    for c in discrete.tolist():
        low, high = X[:, c].min() - 0.5, X[:, c].max() + 0.5
        if low < bounds.low[c] or high > bounds.high[c]:
            raise ValueError(
                f"Expected bounds of the discrete column {names[c]!r} at {low:g} and {high:g} or "
                f"beyond, half a step around its values; got ({bounds.low[c]:g}, "
                f"{bounds.high[c]:g})."
            )


def check_plain(folding: Folding, what: str) -> None:
    """Raise `ValueError` where there are periodic or discrete columns, which `what` cannot have."""
    if not folding.is_plain:
        raise ValueError(
            f"Expected a model without periodic and discrete columns for {what}; got one with "
            "some. Use score_samples and sample."
        )


def folding_to_file(folding: Folding) -> dict[str, Any]:
    """Return what a file's metadata hold of it: nothing of a plain one."""
    if folding.is_plain:
        return {}
    circles, cells = folding.circles, folding.cells
    return {
        KEY: {
            "periodic": circles.columns.tolist(),
            "low": circles.low.tolist(),
            "period": circles.period.tolist(),
            "cut": circles.cut.tolist(),
            "discrete": cells.columns.tolist(),
            "seed": cells.seed,
        }
    }


def folding_from_file(metadata: Mapping[str, Any], n: int) -> Folding:
    """Return what a file's metadata hold of the folding of n columns.

    Raises
    ------
    ValueError
        If that is none.
    """
    if KEY not in metadata:
        return PLAIN
    stored = metadata[KEY]
    try:
        columns, discrete = _places(stored["periodic"], n), _places(stored["discrete"], n)
        low, period, cut = (
            np.array(stored[name], dtype=float) for name in ("low", "period", "cut")
        )
        seed = int(stored["seed"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"Expected periodic and discrete columns; got {stored!r:.80}.") from error
    numbers = np.stack([low, period, cut])
    is_fit = (
        numbers.shape[1:] == columns.shape and np.isfinite(numbers).all() and (period > 0).all()
    )
    if not is_fit or set(columns.tolist()) & set(discrete.tolist()):
        raise ValueError(f"Expected periodic and discrete columns; got {stored!r:.80}.")
    return Folding(Circles(columns, low, period, cut), Cells(discrete, n, seed))


def periods_to_file(periods: Any, folding: Folding, names: list[str]) -> Any:
    """Return the setting `periods` as plain types: the ends of every period."""
    if periods is None:
        return None
    circles = folding.circles
    ends = zip(circles.columns.tolist(), circles.low, circles.low + circles.period, strict=True)
    return {names[c]: [float(low), float(high)] for c, low, high in ends}


def _places(stored: Any, n: int) -> np.ndarray:
    """Return different places among n columns, ascending."""
    places = np.array(stored, dtype=int)
    if places.ndim != 1 or (np.diff(places) <= 0).any() or not np.isin(places, range(n)).all():
        raise ValueError(f"Expected places of columns, ascending; got {stored!r:.80}.")
    return places
