"""Whether z is standard normal: its statistics, and theirs under N(0, I) by simulation.

Four faults, a statistic each: the distribution of a coordinate (its probability integral
transform), that of |z|^2, correlations between coordinates and their squares, and correlations with
a context. All are of many tables at once, (S, N, n).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import special, stats

from brenier.diagnostics.uniform import Scores, counts_below, grid, table_scores

# Rows of a simulated table at most: beyond, statistics change with N by their scale only.
MOST_ROWS = 1000
# Numbers of all tables that are simulated at a time.
BLOCK = 1 << 20


class NormalityStatistics(NamedTuple):
    """Statistics of S tables, none of which depends on N under N(0, I) but for small N.

    Attributes
    ----------
    pit : (S, n)
        Largest pointwise scores of the coordinates' distribution functions.
    radius : (S,)
        That of |z|^2.
    z, mixed, squares : (S, n, n)
        sqrt(N) times correlations of z, of the row's z with the column's z^2, of z^2; zero on
        the diagonal.
    context_z, context_squares : (S, n, q)
        sqrt(N) times correlations of z, and z^2, with features of the context.
    """

    pit: Float[np.ndarray, "S n"]
    radius: Float[np.ndarray, " S"]
    z: Float[np.ndarray, "S n n"]
    mixed: Float[np.ndarray, "S n n"]
    squares: Float[np.ndarray, "S n n"]
    context_z: Float[np.ndarray, "S n q"]
    context_squares: Float[np.ndarray, "S n q"]


class Counts(NamedTuple):
    """Rows at or below every point of the grid.

    Attributes
    ----------
    pit : (S, n, G)
        By the coordinates' normal probabilities.
    radius : (S, G)
        By the chi-squared probability of |z|^2.
    """

    pit: Int[np.ndarray, "S n G"]
    radius: Int[np.ndarray, "S G"]


def counts(Z: Float[np.ndarray, "S N n"]) -> Counts:
    """Return how many rows are at or below every point of the grid."""
    at = grid()
    pit = counts_below(np.swapaxes(Z, 1, 2), special.ndtri(at))
    radius = counts_below(np.sum(Z**2, axis=2), stats.chi2.ppf(at, Z.shape[2]))
    return Counts(pit, radius)


def unit(X: Float[np.ndarray, "*S N n"]) -> Float[np.ndarray, "*S N n"]:
    """Return columns of mean zero whose squares sum to one; constant ones are zero."""
    centred = X - X.mean(axis=-2, keepdims=True)
    length = np.sqrt(np.sum(centred**2, axis=-2, keepdims=True))
    return centred / np.where(length > 0, length, 1.0)


def correlations(
    Z: Float[np.ndarray, "S N n"], context: Float[np.ndarray, "N q"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the correlations of z, mixed, of z^2, and of both with the context.

    Those of a coordinate with itself or its own square are zero.
    """
    n = Z.shape[2]
    features = unit(np.concatenate([Z, Z**2], axis=2))
    R = np.swapaxes(features, 1, 2) @ features
    with_context = np.swapaxes(features, 1, 2) @ unit(context)
    off = 1.0 - np.eye(n)
    blocks = R[:, :n, :n] * off, R[:, :n, n:] * off, R[:, n:, n:] * off
    return *blocks, with_context[:, :n], with_context[:, n:]


def statistics(
    Z: Float[np.ndarray, "S N n"], context: Float[np.ndarray, "N q"], scores: Scores
) -> NormalityStatistics:
    """Return the statistics of tables of z, all with the same context.

    Parameters
    ----------
    Z : (S, N, n)
        Tables.
    context : (N, q)
        Features of the context; q is 0 of a joint density.
    scores : callable
        The largest pointwise scores of counts of N rows.
    """
    found = counts(Z)
    root = np.sqrt(Z.shape[1])
    matrices = (root * matrix for matrix in correlations(Z, context))
    return NormalityStatistics(scores(found.pit), scores(found.radius), *matrices)


def normal_scores(context: Float[np.ndarray, "N q"]) -> Float[np.ndarray, "N q"]:
    """Return the normal quantiles of the ranks of a context's columns."""
    if not context.size:
        return np.zeros(context.shape)
    return special.ndtri((stats.rankdata(context, axis=0) - 0.5) / len(context))


def context_features(context: Float[np.ndarray, "N q"]) -> Float[np.ndarray, "N f"]:
    """Return the normal scores of a context's columns, then their squares."""
    scores = normal_scores(context)
    return np.concatenate([scores, scores**2], axis=1)


def simulated(
    N: int, n: int, context: Float[np.ndarray, "N q"], n_tables: int, rng: np.random.Generator
) -> NormalityStatistics:
    """Return the statistics of tables drawn from N(0, I).

    Parameters
    ----------
    N, n : int
        Rows and columns of a table; of more than `MOST_ROWS` rows, as many are drawn.
    context : (N, q)
        Features of the context, which is what it is.
    n_tables : int
        S.
    rng : Generator
        Where random numbers come from.
    """
    if N > MOST_ROWS:
        context = context[rng.permutation(N)[:MOST_ROWS]]
    N = min(N, MOST_ROWS)
    scores = table_scores(N, grid())
    block = max(1, BLOCK // (N * n))
    parts = [
        statistics(rng.normal(size=(min(block, n_tables - start), N, n)), context, scores)
        for start in range(0, n_tables, block)
    ]
    return NormalityStatistics(*(np.concatenate(part) for part in zip(*parts, strict=True)))
