r"""Rows' weights: what they must be, and those whose logarithms are given.

Importance weights are known up to a factor, as logarithms: w_j = exp(l_j - max_i l_i) are weights
whose largest is one, without overflow.
"""

import numpy as np
from jaxtyping import Float

REMEDY = (
    "Log-weights have a place of their own: log_weights in Python, --log-weights on the command "
    "line; or give exp(logw - max(logw))."
)


def check_weights(
    weights: Float[np.ndarray, " N"],
    what: str = "sample_weight",
    *,
    count_from: int = 0,
    before: int = 0,
) -> None:
    """Raise `ValueError` that counts weights which are none, and names the first row.

    Rows of arrays count from 0, those of files from 1; of a piece of a file, `before` are the rows
    before it.
    """
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if not len(bad):
        return
    negative = np.any(weights < 0)
    remedy = REMEDY if negative else "Drop these rows, or give them a weight of zero."
    raise ValueError(
        f"Expected weights that are finite and at least zero in {what}; got {_kinds(weights)} in "
        f"{len(bad)} of {len(weights)} rows (first: row {before + bad[0] + count_from}: "
        f"{weights[bad[0]]:g}; rows count from {count_from}). {remedy}"
    )


def weights_of_logs(
    log_weights: Float[np.ndarray, " N"], what: str = "log_weights", *, count_from: int = 0
) -> Float[np.ndarray, " N"]:
    """Return exp(l - max l); minus infinity is weight zero.

    Parameters
    ----------
    log_weights : (N,)
        Logarithms l, up to a constant.
    what : str
        What to call them.
    count_from : int
        The number of the first row: 0 of arrays, 1 of files.

    Raises
    ------
    ValueError
        If one is NaN or plus infinity, or all are minus infinity. The message names the first row.
    """
    check_log_weights(log_weights, what, count_from=count_from)
    largest = np.max(log_weights, initial=-np.inf)
    check_largest(largest, what)
    return np.exp(log_weights - largest)


def check_log_weights(
    log_weights: Float[np.ndarray, " N"],
    what: str = "log_weights",
    *,
    count_from: int = 0,
    before: int = 0,
) -> None:
    """Raise `ValueError` if a logarithm of a weight is NaN or plus infinity.

    Rows are counted as `check_weights` counts them.
    """
    bad = np.flatnonzero(np.isnan(log_weights) | (log_weights == np.inf))
    if len(bad):
        raise ValueError(
            f"Expected logarithms of weights in {what}; got {log_weights[bad[0]]:g} in "
            f"{len(bad)} of {len(log_weights)} rows (first: row {before + bad[0] + count_from}; "
            f"rows count from {count_from}). Drop these rows; minus infinity is a weight of zero."
        )


def check_largest(largest: float, what: str = "log_weights") -> None:
    """Raise `ValueError` if the largest logarithm is that of a weight of zero."""
    if largest == -np.inf:
        raise ValueError(
            f"Expected some rows above minus infinity in {what}; got none. All weights would be "
            "zero."
        )


def are_unequal(weights: Float[np.ndarray, " N"] | None) -> bool:
    """Return whether there are weights and those of the rows that count differ."""
    present = np.zeros(0) if weights is None else weights[weights > 0]
    return len(present) > 0 and bool(np.ptp(present) > 0)


def effective_size(weights: Float[np.ndarray, " N"]) -> float:
    """Return Kish's number of rows of equal weight that are worth as much: (sum w)^2 / sum w^2."""
    shares = weights / np.max(weights)
    return float(np.sum(shares) ** 2 / np.sum(shares**2))


def _kinds(weights: np.ndarray) -> str:
    kinds = {"negative numbers": weights < 0, "NaN": np.isnan(weights)}
    kinds["infinity"] = weights == np.inf
    return " and ".join(kind for kind, found in kinds.items() if found.any())
