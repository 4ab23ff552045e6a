"""Rows against draws of the model: if it is right, the labels "row" and "draw" mean nothing.

Every statistic is of a pooled table of K = N + M rows and draws and a label for each. Under a right
model all labelings are equally likely: the statistics of random ones, (P, K), are the null
distribution, for all statistics together.

References
----------
.. [1] G. J. Szekely, M. L. Rizzo, "Energy statistics: A class of statistics based on distances",
       J. Stat. Plan. Inference 143, 2013: equations 2.1 and 6.1.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial.distance import cdist

# Points at which two distribution functions are compared: 1/50, ..., 49/50 of the pooled ones.
N_LEVELS = 49
# Quantile cells of a pair of columns, in each direction.
N_CELLS = 4


def labelings(N: int, M: int, P: int, rng: np.random.Generator) -> Bool[np.ndarray, "Q K"]:
    """Return the labels of rows: the true ones first, the rows in front, then P random ones."""
    first = np.arange(N + M) < N
    return np.concatenate([first[None], rng.permuted(np.tile(first, (P, 1)), axis=1)])


def energy_distances(
    X: Float[np.ndarray, "K n"], labels: Bool[np.ndarray, "P K"]
) -> Float[np.ndarray, " P"]:
    """Return N M / (N + M) (2 E|x - y| - E|x - x'| - E|y - y'|) of every labeling, [1]_.

    Columns are divided by their pooled standard deviations.

    Parameters
    ----------
    X : (K, n)
        Rows and draws.
    labels : (P, K)
        Which are rows.
    """
    deviation = X.std(axis=0)
    unit = X / np.where(deviation > 0, deviation, 1.0)
    D = cdist(unit, unit)
    N = labels[0].sum()
    M = len(X) - N
    # With a = 1/N at rows and -1/M at draws, the distance is -a' D a.
    a = np.where(labels, 1.0 / N, -1.0 / M)
    return -np.sum((a @ D) * a, axis=1) * N * M / (N + M)


def distribution_differences(
    values: Float[np.ndarray, " K"], labels: Bool[np.ndarray, "P K"]
) -> tuple[Float[np.ndarray, "P G"], Float[np.ndarray, " G"]]:
    """Return F_rows - F_draws at pooled quantiles, and its standard deviation by chance.

    Parameters
    ----------
    values : (K,)
        Of rows and draws.
    labels : (P, K)
        Which are rows.
    """
    K, N = len(values), int(labels[0].sum())
    M = K - N
    at = np.unique(np.quantile(values, np.arange(1, N_LEVELS + 1) / (N_LEVELS + 1)))
    below = np.searchsorted(np.sort(values), at, side="right")
    order = np.argsort(values, kind="stable")
    of_rows = np.cumsum(labels[:, order], axis=1)[:, below - 1]
    difference = of_rows / N - (below - of_rows) / M
    share = below / K
    return difference, np.sqrt(share * (1 - share) * (1 / N + 1 / M))


def distribution_scores(
    values: Float[np.ndarray, " K"], labels: Bool[np.ndarray, "P K"]
) -> Float[np.ndarray, " P"]:
    """Return the largest difference of two distribution functions, in standard deviations."""
    difference, deviation = distribution_differences(values, labels)
    safe = np.where(deviation > 0, deviation, np.inf)
    return np.max(np.abs(difference) / safe, axis=1)


def quantile_cells(values: Float[np.ndarray, " K"]) -> tuple[Int[np.ndarray, " K"], np.ndarray]:
    """Return which quantile cell every value is in, and the cells' ends."""
    edges = np.quantile(values, np.linspace(0, 1, N_CELLS + 1))
    return np.searchsorted(edges[1:-1], values, side="left"), edges


def cell_distances(
    x: Int[np.ndarray, " K"], y: Int[np.ndarray, " K"], labels: Bool[np.ndarray, "P K"]
) -> Float[np.ndarray, " P"]:
    """Return the chi-squared distance of the counts of rows in the cells of two columns.

    Parameters
    ----------
    x, y : (K,)
        Cells of the two columns.
    labels : (P, K)
        Which are rows.
    """
    K, N = len(x), int(labels[0].sum())
    cell = N_CELLS * x + y
    member = np.zeros((K, N_CELLS**2), dtype=np.float32)
    member[np.arange(K), cell] = 1.0
    pooled = member.sum(axis=0)
    expected = pooled * N / K
    of_rows = labels.astype(np.float32) @ member
    terms = (of_rows - expected) ** 2 / np.where(pooled > 0, expected, 1.0)
    return terms.sum(axis=1, dtype=np.float64) * K / (K - N)


def pairs_of(columns: Int[np.ndarray, " k"]) -> Iterator[tuple[int, int]]:
    """Yield all pairs of columns, the earlier one first."""
    ordered = sorted(int(column) for column in columns)
    for i, first in enumerate(ordered):
        for second in ordered[i + 1 :]:
            yield first, second
