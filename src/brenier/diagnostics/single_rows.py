"""What single rows tell: the worst explained, those far out, copies, values that repeat."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from brenier.data.repeats import repeated_columns
from brenier.diagnostics.diagnosis import Rows, WorstRow

# Rows that are listed.
MOST_WORST, MOST_LISTED = 10, 100
# Of a conditional model, the share of rows that are far: one in so many.
FAR_ONE_IN = 1000


class Training(NamedTuple):
    """The range of the training rows; NaN of a column where it is not known.

    Attributes
    ----------
    low, high : (d,)
        In data units.
    """

    low: Float[np.ndarray, " d"]
    high: Float[np.ndarray, " d"]


def conditional_residuals(
    X: Float[np.ndarray, "N n"], draws: Float[np.ndarray, "M n"]
) -> Float[np.ndarray, "N n"]:
    """Return how far every column is from its regression on the others, in residual deviations.

    Regressions are linear, among draws: with P the inverse of their covariance, column k is off by
    (P (x - mean))_k / sqrt(P_kk).
    """
    mean, scale = draws.mean(axis=0), draws.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    covariance = np.atleast_2d(np.cov(((draws - mean) / scale).T))
    P = np.linalg.pinv(covariance, hermitian=True)
    return ((X - mean) / scale) @ P / np.sqrt(np.maximum(np.diag(P), np.finfo(float).tiny))


def rows_of_joint(
    X: Float[np.ndarray, "N n"],
    log_density: Float[np.ndarray, " N"],
    draws: Float[np.ndarray, "M n"],
    of_draws: Float[np.ndarray, " M"],
    names: Sequence[str],
    training: Training | None,
) -> Rows:
    """Return what rows tell of a joint density.

    Parameters
    ----------
    X, log_density : (N, n), (N,)
        All rows, and the model's log-density of each.
    draws, of_draws : (M, n), (M,)
        Draws of the model, and its log-density of each.
    names : n str
        Columns.
    training : Training or None
        The range of the training rows, if it is known.
    """
    share = np.searchsorted(np.sort(of_draws), log_density, side="left") / len(draws)
    order = np.argsort(log_density, kind="stable")[:MOST_WORST]
    off = conditional_residuals(X[order], draws)
    worst = tuple(
        _worst_row(int(row), X[row], float(log_density[row]), float(share[row]), names, away)
        for row, away in zip(order, off, strict=True)
    )
    expected = len(X) / (len(draws) + 1)
    return _rows(X, X, worst, share == 0, expected, log_density, names, training)


def rows_of_conditional(
    X: Float[np.ndarray, "N d"],
    Z: Float[np.ndarray, "N n"],
    log_density: Float[np.ndarray, " N"],
    names: Sequence[str],
    training: Training | None,
) -> Rows:
    """Return what rows (y, x) tell of a conditional density.

    Parameters
    ----------
    X : (N, d)
        All rows, targets first.
    Z : (N, n)
        Images of the targets; not finite where the density is zero.
    log_density : (N,)
        The model's.
    names : d str
        Columns.
    training : Training or None
        The range of the training rows, if it is known.
    """
    n = Z.shape[1]
    squared = np.where(np.isfinite(Z).all(axis=1), np.sum(Z**2, axis=1), np.inf)
    share = stats.chi2.sf(squared, n)
    order = np.argsort(-squared, kind="stable")[:MOST_WORST]
    worst = tuple(
        _worst_row(int(row), X[row], float(log_density[row]), float(share[row]), names, Z[row])
        for row in order
    )
    far = share < 1 / FAR_ONE_IN
    return _rows(X, X[:, :n], worst, far, len(X) / FAR_ONE_IN, log_density, names, training)


def _worst_row(
    row: int,
    x: Float[np.ndarray, " d"],
    log_density: float,
    share: float,
    names: Sequence[str],
    off: Float[np.ndarray, " n"],
) -> WorstRow:
    k = int(np.argmax(np.where(np.isfinite(off), np.abs(off), np.inf)))
    return WorstRow(row, tuple(x.tolist()), log_density, share, names[k], float(off[k]))


def _rows(
    X: Float[np.ndarray, "N d"],
    own: Float[np.ndarray, "N n"],
    worst: tuple[WorstRow, ...],
    far: Bool[np.ndarray, " N"],
    expected: float,
    log_density: Float[np.ndarray, " N"],
    names: Sequence[str],
    training: Training | None,
) -> Rows:
    n_distinct = len(np.unique(X, axis=0))
    outside = None if training is None else np.any((X < training.low) | (X > training.high), axis=1)
    grids = repeated_columns(own, None, n_distinct, names[: own.shape[1]])
    return Rows(
        worst=worst,
        far=_listed(far),
        n_far=int(far.sum()),
        n_far_expected=expected,
        n_outside_bounds=int(np.sum(~np.isfinite(log_density))),
        outside_training=() if outside is None else _listed(outside),
        n_outside_training=None if outside is None else int(outside.sum()),
        repeated=tuple(map(str, grids)),
        n_copies=len(X) - n_distinct,
    )


def _listed(which: Bool[np.ndarray, " N"]) -> tuple[int, ...]:
    found: Int[np.ndarray, " k"] = np.flatnonzero(which)[:MOST_LISTED]
    return tuple(found.tolist())
