r"""Chains: rows in an order in which neighbours are alike, and how much they are worth together.

The mean of N rows of a stationary chain has the variance of N / tau independent ones, where

    tau = 1 + 2 sum_{t >= 1} rho_t

is the integrated autocorrelation time, rho_t the correlation of rows t apart. The sum is cut off
where the sums of neighbouring pairs rho_{2t} + rho_{2t+1} are no longer positive, and these are
made to fall: Geyer's initial monotone sequence [1]_. Of several columns the slowest counts.

Contiguous blocks of a few tau stand in the place of rows: what chooses, judges and trains are whole
blocks, and a standard error is that of their means (batch means [2]_).

References
----------
.. [1] C. J. Geyer, "Practical Markov Chain Monte Carlo", Statistical Science 7(4), 1992, section
       3.3.
.. [2] J. M. Flegal, G. L. Jones, "Batch means and spectral variance estimators in Markov chain
       Monte Carlo", Annals of Statistics 38(2), 2010.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.fft import next_fast_len

# Autocorrelation times in a block, and blocks in a table at least: what is left of the correlation
# of neighbouring blocks is a tenth of a standard error.
TIMES_A_BLOCK, LEAST_BLOCKS = 3.0, 20
# Correlation of neighbouring rows above which they look like a chain, and standard errors of that
# of independent rows.
LAG_ONE, LAG_ONE_ERRORS = 0.2, 4.0


@dataclass(frozen=True)
class Blocks:
    """Which rows belong together.

    Attributes
    ----------
    block : (N,)
        The number of every row's block.
    time : float
        Integrated autocorrelation time in rows; at least one.
    """

    block: Int[np.ndarray, " N"]
    time: float


def blocks_of(X: Float[np.ndarray, "N d"], groups: np.ndarray) -> Blocks:
    """Return contiguous blocks of chains.

    Parameters
    ----------
    X : (N, d)
        Rows; those of one chain in its order, whatever stands between them.
    groups : (N,)
        A label of every row's chain.
    """
    _, chain = np.unique(groups, return_inverse=True)
    chain = chain.reshape(len(X))
    time = autocorrelation_time(X, chain)
    length = min(TIMES_A_BLOCK * time, len(X) / LEAST_BLOCKS)
    rows = np.argsort(chain, kind="stable")
    sizes = np.bincount(chain)
    n_blocks = np.maximum(1, sizes // max(1.0, length)).astype(np.int64)
    place = np.concatenate([np.arange(size) for size in sizes])
    of_chain = np.repeat(np.arange(len(sizes)), sizes)
    before = np.concatenate([[0], np.cumsum(n_blocks)[:-1]])
    block = np.empty(len(X), dtype=np.int64)
    block[rows] = before[of_chain] + place * n_blocks[of_chain] // sizes[of_chain]
    return Blocks(block, time)


def autocorrelation_time(X: Float[np.ndarray, "N d"], chain: Int[np.ndarray, " N"]) -> float:
    """Return the integrated autocorrelation time of the slowest column, in rows; at least one.

    Parameters
    ----------
    X : (N, d)
        Rows.
    chain : (N,)
        The number of every row's chain: rows of different ones count as independent.
    """
    largest = np.maximum(np.max(np.abs(X), axis=0), np.finfo(float).tiny)
    centred = X / largest
    centred = centred - np.mean(centred, axis=0)
    order = np.argsort(chain, kind="stable")
    parts = np.split(centred[order], np.cumsum(np.bincount(chain))[:-1])
    longest = max(len(part) for part in parts)
    sums = np.zeros((longest, X.shape[1]))
    for part in parts:
        sums[: len(part)] += _autocovariances(part)
    variances = np.where(sums[0] > 0, sums[0], 1.0)
    return max(1.0, *(_integrated(rho) for rho in (sums / variances).T))


def lag_one_correlations(X: Float[np.ndarray, "N d"]) -> Float[np.ndarray, " d"]:
    """Return every column's correlation of rows with the next, in the order given."""
    largest = np.maximum(np.max(np.abs(X), axis=0), np.finfo(float).tiny)
    centred = X / largest
    centred = centred - np.mean(centred, axis=0)
    squares = np.sum(centred**2, axis=0)
    products = np.sum(centred[1:] * centred[:-1], axis=0)
    return products / np.where(squares > 0, squares, 1.0)


def looks_like_a_chain(correlations: Float[np.ndarray, " d"], n_rows: int) -> np.ndarray:
    """Return which columns' neighbours are correlated by more than chance, (d,)."""
    return correlations > max(LAG_ONE, LAG_ONE_ERRORS / np.sqrt(n_rows))


def _autocovariances(x: Float[np.ndarray, "L d"]) -> Float[np.ndarray, "L d"]:
    """Return the sums of products of rows t apart, for every t."""
    padded = next_fast_len(2 * len(x), real=True)
    spectrum = np.fft.rfft(x, padded, axis=0)
    return np.fft.irfft(np.abs(spectrum) ** 2, padded, axis=0)[: len(x)]


def _integrated(rho: Float[np.ndarray, " L"]) -> float:
    """Return 1 + 2 sum rho_t by the initial monotone sequence."""
    even = len(rho) // 2 * 2
    if even == 0:
        return 1.0
    pairs = rho[:even].reshape(-1, 2).sum(axis=1)
    positive = pairs[: len(pairs) if np.all(pairs > 0) else int(np.argmax(pairs <= 0))]
    return float(2.0 * np.sum(np.minimum.accumulate(positive)) - 1.0)
