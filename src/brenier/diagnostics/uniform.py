"""Whether numbers are uniform: their distribution function and a band that holds all of it.

Of N uniform numbers, the count at or below g is binomial, Bin(N, g). Its smaller tail
probability at every point of a grid, as a normal's standard deviations, is the pointwise *score*;
the largest over the grid is the statistic. The band is what a bound on that statistic leaves of
the binomial, so that the curve leaves its band where the statistic exceeds the bound.

References
----------
.. [1] T. Säilynoja, P.-C. Bürkner, A. Vehtari, "Graphical test for discrete uniformity and its
       applications in goodness-of-fit evaluation and multiple sample comparison", Statistics and
       Computing 32, 2022: equations 7 to 12.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, Real
from scipy import special, stats

from brenier.diagnostics.panels import Curve

# Points of the grid: 1/100, ..., 99/100.
N_POINTS = 99
# Logarithm of the least tail probability that is told from zero: a score of 37.
LEAST_LOG = -700.0
# Below zero by so much, a logarithm of a probability has a normal quantile.
ROUNDING = 1e-12


def grid(n_points: int = N_POINTS) -> Float[np.ndarray, " G"]:
    """Return 1 / (G + 1), ..., G / (G + 1)."""
    return np.arange(1, n_points + 1) / (n_points + 1)


def counts_below(
    values: Real[np.ndarray, "*S N"], thresholds: Float[np.ndarray, " G"]
) -> Int[np.ndarray, "*S G"]:
    """Return how many values of each sample are at or below every one of rising thresholds."""
    *S, N = values.shape
    n_samples, n_bins = int(np.prod(S)), len(thresholds) + 1
    bins = np.searchsorted(thresholds, values.reshape(n_samples, N), side="left")
    bins += n_bins * np.arange(n_samples)[:, None]
    found = np.bincount(bins.ravel(), minlength=n_samples * n_bins).reshape(n_samples, n_bins)
    return np.cumsum(found, axis=1)[:, :-1].reshape(*S, n_bins - 1)


def tail_scores(
    counts: Int[np.ndarray, "*S"], N: int, p: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "*S"]:
    """Return how far counts are from Bin(N, p), as a normal's standard deviations.

    The smaller of P(B <= count) and P(B >= count) is that of a normal beyond the score.
    """
    below = stats.binom.logcdf(counts, N, p)
    above = stats.binom.logsf(np.asarray(counts) - 1, N, p)
    return -special.ndtri_exp(np.clip(np.minimum(below, above), LEAST_LOG, -ROUNDING))


Scores = Callable[[Int[np.ndarray, "*S G"]], Float[np.ndarray, "*S"]]


def direct_scores(N: int, at: Float[np.ndarray, " G"]) -> Scores:
    """Return what gives the largest score over the grid of counts of N numbers."""
    return lambda counts: tail_scores(counts, N, at).max(axis=-1)


def table_scores(N: int, at: Float[np.ndarray, " G"]) -> Scores:
    """Return what gives the same as `direct_scores`, looked up: for many samples of few numbers."""
    table = tail_scores(np.broadcast_to(np.arange(N + 1), (len(at), N + 1)), N, at[:, None])
    return lambda counts: table[np.arange(len(at)), counts].max(axis=-1)


def band(
    N: int, at: Float[np.ndarray, " G"], score: float
) -> tuple[Float[np.ndarray, " G"], Float[np.ndarray, " G"]]:
    """Return the ends of the band of the difference F_N(g) - g of samples below a score.

    Parameters
    ----------
    N : int
        Numbers of a sample.
    at : (G,)
        The grid.
    score : float
        The largest pointwise score that stays in the band.
    """
    tail = special.ndtr(-score)
    low, high = stats.binom.ppf(tail, N, at), stats.binom.isf(tail, N, at)
    return low / N - at, high / N - at


def curve_of(
    label: str, counts: Int[np.ndarray, " G"], N: int, at: Float[np.ndarray, " G"], bound: float
) -> Curve:
    """Return the curve of a sample, with the band that a bound on the scores leaves."""
    score = float(tail_scores(counts, N, at).max())
    return Curve(label, at, counts / N - at, *band(N, at, bound), score)
