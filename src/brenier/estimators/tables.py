"""A user's table as an estimator's rows, and rows as the kind of table that is asked for."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.utils import check_array, check_X_y
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config
from sklearn.utils.validation import validate_data

from brenier.data.checks import DROP_OR_FILL, check_finite, check_unmasked, raise_if_text
from brenier.data.names import default_names, quoted
from brenier.data.tables import check_kinds, chosen, frame_of, named, numbers


def column_names(estimator: Any) -> list[str]:
    """Return the names of the columns an estimator was fitted to: x0, x1, ... if they had none."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return default_names(estimator.n_features_in_)
    return [str(name) for name in names]


def validated(estimator: Any, X: Any, *y: Any, reset: bool, **checks: Any) -> Any:
    """Return float64 rows, and y if given, as scikit-learn checks them; its text is the door's.

    The columns of a table are read one by one, so that what holds no numbers is named.

    Parameters
    ----------
    estimator
        Whose columns these are.
    X : array or table, (N, n)
        The rows.
    *y
        Targets, if they are to be checked too.
    reset : bool
        Learns the columns rather than compare them.
    **checks
        As of scikit-learn's `check_array`.
    """
    checks = {"dtype": np.float64, "ensure_all_finite": False, **checks}
    frame = frame_of(X)
    if frame is None:
        return validate_data(estimator, X, *y, reset=reset, **checks)
    validate_data(estimator, X, skip_check_array=True, reset=reset)
    rows = numbers(frame.columns, frame.names)
    check = check_X_y if y else check_array
    return check(rows, *y, estimator=estimator, **checks)


def checked_rows(
    estimator: Any,
    X: Any,
    *,
    reset: bool = False,
    least: int = 1,
    of_text: Callable[[Any, ValueError], None] = raise_if_text,
    missing_ok: bool = False,
    remedy: str = DROP_OR_FILL,
) -> Float[np.ndarray, "N n"]:
    """Return finite float64 rows of an estimator's columns.

    Parameters
    ----------
    estimator
        Whose columns these are.
    X : array or table, (N, n)
        The rows.
    reset : bool
        Learns the columns rather than compare them.
    least : int
        Rows that there must be.
    of_text : callable
        Raises `ValueError` that names text, if there is any.
    missing_ok : bool
        Whether cells may be NaN.
    remedy : str
        What an error of cells that are not finite ends in.
    """
    X = own_columns(estimator, X, reset=reset)
    check_unmasked(X, "X", None if reset else column_names(estimator))
    try:
        rows = validated(estimator, X, reset=reset, ensure_min_samples=least)
    except ValueError as error:
        of_text(X, error)
        raise
    known = np.where(np.isnan(rows), 0.0, rows) if missing_ok else rows
    check_finite(known, column_names(estimator), remedy)
    return rows


def own_columns(estimator: Any, X: Any, *, reset: bool = False) -> Any:
    """Return the columns that an estimator's `columns` chooses, checked to be of numbers.

    In a fit these are names and patterns; afterwards the names of that fit, in its order.
    """
    if estimator.columns is not None:
        X = chosen(X, estimator.columns) if reset else named(X, column_names(estimator))
    frame = frame_of(X)
    if frame is not None:
        _check_different(frame.names)
        check_kinds(frame.columns, frame.names)
    return X


def _check_different(names: list[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(
            f"Expected columns with different names; got several of {quoted(repeated)}. Rename or "
            "drop some."
        )


def named_columns(X: Any, names: list[str]) -> Any:
    """Return a table's columns of these names as float64; anything else as it is."""
    table = named(X, names)
    frame = frame_of(table)
    if frame is None:
        return X
    check_kinds(frame.columns, names)
    return numbers(frame.columns, names)


def rows_of_columns(X: Any, names: list[str]) -> Float[np.ndarray, "N m"]:
    """Return finite float64 rows of some columns: an array in their order, or a table with them.

    Parameters
    ----------
    X : array or table, (N, m)
        The rows; (N,) if there is one column.
    names : list of m str
        The columns' names.
    """
    X = named_columns(X, names)
    check_unmasked(X, "X", names)
    rows = np.asarray(X, dtype=np.float64)
    if rows.ndim == 1 and len(names) == 1:
        rows = rows[:, None]
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise ValueError(
            f"Expected rows of the {len(names)} column{'s' * (len(names) > 1)} {quoted(names)}; "
            f"got an array of shape {rows.shape}."
        )
    check_finite(rows, names)
    return rows


def as_asked(estimator: Any, rows: np.ndarray, names: list[str], like: Any = None) -> Any:
    """Return rows as an array, or as the kind of table that `set_output` asks of an estimator.

    Parameters
    ----------
    estimator
        Who returns them.
    rows : (N, n)
        What is returned.
    names : list of n str
        The columns' names.
    like : anything
        What they were made of: where both are of pandas, the index is kept.
    """
    kind = _get_output_config("transform", estimator)["dense"]
    if kind == "default":
        return rows
    table = ADAPTERS_MANAGER.adapters[kind].create_container(rows, like, columns=names)
    if kind == "pandas" and hasattr(like, "index") and hasattr(like, "iloc"):
        table.index = like.index
    return table
