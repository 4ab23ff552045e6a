"""A user's targets as float64, in the order and under the names of the fit."""

from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.utils.validation import column_or_1d

from brenier.data.checks import check_finite, check_unmasked, raise_if_categorical, raise_if_text
from brenier.data.names import default_names, quoted
from brenier.data.tables import check_kinds, columns_of, frame_of, names_of, numbers
from brenier.estimators.tables import column_names, own_columns, validated


def checked_targets(estimator: Any, Y: Any, *, reset: bool = False) -> Float[np.ndarray, "N n"]:
    """Return finite float64 targets.

    Parameters
    ----------
    estimator
        Whose targets these are.
    Y : array or table, (N,) or (N, n)
        The targets.
    reset : bool
        Learns the targets' names, as `target_names_`, rather than compare them.
    """
    check_unmasked(Y, "y", None if reset else list(estimator.target_names_))
    _check_names(estimator, Y, reset=reset)
    values = _numbers(Y)
    if reset:
        names = names_of(Y) or _default_names(values.shape[1])
        estimator.target_names_ = np.array(names, dtype=object)
    elif values.shape[1] != len(estimator.target_names_):
        raise ValueError(
            f"Expected y with {len(estimator.target_names_)} column(s), as in fit; got "
            f"{values.shape[1]}."
        )
    check_finite(values, list(estimator.target_names_))
    return values


def rows_and_target(
    estimator: Any, X: Any, y: Any
) -> tuple[Float[np.ndarray, "N q"], Float[np.ndarray, "N 1"]]:
    """Return the rows and the one target of a regression's fit as finite float64, names learnt.

    Parameters
    ----------
    estimator
        That is fitted.
    X : array or table, (N, q)
        The rows.
    y : array or table, (N,) or (N, 1)
        The target.
    """
    names = names_of(y) or ["y"]
    check_unmasked(X, "X")
    check_unmasked(y, "y")
    X = own_columns(estimator, X, reset=True)
    if columns_of(y) is not None:
        targets = checked_targets(estimator, y, reset=True)
        y = targets[:, 0] if targets.shape[1] == 1 else targets
    try:
        rows, y = validated(estimator, X, y, reset=True, y_numeric=True, ensure_min_samples=2)
    except ValueError as error:
        raise_if_categorical(X, error)
        raise
    check_finite(rows, column_names(estimator))
    estimator.target_names_ = np.array(names[:1], dtype=object)
    target = np.asarray(column_or_1d(y), dtype=np.float64)[:, None]
    check_finite(target, list(estimator.target_names_))
    return rows, target


def _numbers(Y: Any) -> Float[np.ndarray, "N n"]:
    """Return the cells of an array or a table as float64, one column a target."""
    names, columns = names_of(Y), columns_of(Y)
    called = names or _default_names(len(columns or ()))
    check_kinds(columns or (), called)
    try:
        values: Any = np.asarray(Y, np.float64) if columns is None else numbers(columns, called)
    except (TypeError, ValueError) as error:
        cells = np.asarray(Y, dtype=object)
        cells = cells[:, None] if cells.ndim == 1 else cells
        raise_if_text(cells, ValueError(str(error)), names or _default_names(cells.shape[-1]))
        raise
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(f"Expected y of shape (N,) or (N, n); got {np.shape(Y)}.")
    return values


def _check_names(estimator: Any, Y: Any, *, reset: bool) -> None:
    """Raise `ValueError` where a table of several targets has not those of the fit."""
    frame, names = frame_of(Y), list(getattr(estimator, "target_names_", ()))
    if reset or frame is None or frame.names == names or len(names) < 2:
        return
    # Where the fit had no names, any do but those that it gave in another order.
    unnamed = names == _default_names(len(names)) and set(frame.names) != set(names)
    if len(frame.names) == len(names) and not unnamed:
        raise ValueError(
            f"Expected y with the columns {quoted(names)} in this order, as in fit; got "
            f"{quoted(frame.names)}. Choose them by name."
        )


def check_same_length(X: np.ndarray, Y: np.ndarray, name: str = "y") -> None:
    """Raise `ValueError` where two tables do not have the same number of rows."""
    if len(X) != len(Y):
        raise ValueError(
            f"Expected as many rows of {name} as of X; got {len(X)} rows of X and {len(Y)} of "
            f"{name}. Give each row of X its row of {name}."
        )


def _default_names(n: int) -> list[str]:
    return ["y"] if n == 1 else default_names(n, "y")
