r"""Jitter: copies of the training rows with a little noise, for the search to see.

A flexible density gains on few rows by growing sharp between and on top of them. On the rows'
kernel density it cannot: every row stands for its neighbourhood. The kernel is narrower than that
of the best kernel density (its bandwidth is found by leaving each row out), since the model has
restraint of its own, and it is used only where that one is narrow: where the data's structure is
fine against their spread. Wide kernels would blur what the model can learn without them.

The noise has the Gaussian's covariance times h^2, and comes in opposite pairs, so that the rows'
mean is kept.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from brenier.potential.gaussian import AbstractGaussian
from brenier.varpro.sample import Data

# Bandwidths that are tried, in standard deviations of the data.
BANDWIDTHS = np.geomspace(0.01, 0.6, 20)
# Rows whose leave-one-out densities are compared, and rows that these are made of.
MAX_JUDGES, MAX_KERNELS = 512, 8192
# Best bandwidths above this are wide.
NARROW = 0.2
# The noise, in best bandwidths.
SHARE = 0.65
# Copies of every row, and most rows altogether: with more rows there is less to gain.
COPIES = 4
MAX_ROWS = 16384


def chosen_noise(data: Data, gaussian: AbstractGaussian) -> float:
    """Return the noise's standard deviation h, in those of the data; 0 where there is to be none.

    Parameters
    ----------
    data : Data
        Rows to train on and to hold out; the training rows decide.
    gaussian : AbstractGaussian
        The Gaussian fit to the training rows.
    """
    if _copies(len(data.X)) == 0:
        return 0.0
    # Distances do not know the mean, but their rounding does.
    centred = data.X - np.average(data.X, axis=0, weights=data.weights)
    bandwidth = kernel_bandwidth(centred @ gaussian.axes.T / gaussian.sd, data.weights)
    return SHARE * bandwidth if bandwidth <= NARROW else 0.0


def noisy_copies(data: Data, gaussian: AbstractGaussian, h: float, seed: int) -> Data:
    """Return the data with noisy_copies copies in place of the training rows.

    Parameters
    ----------
    data : Data
        Rows to train on and to hold out; the latter stay as they are.
    gaussian : AbstractGaussian
        The Gaussian fit to the training rows.
    h : float
        The noise's standard deviation, in those of the data; with 0 nothing changes.
    seed : int
        Of the noise.
    """
    N, n = data.X.shape
    copies = _copies(N)
    if h == 0 or copies == 0:
        return data
    # A stream of its own: the seed's first numbers are the initial weights' directions.
    rng = np.random.default_rng((seed, 1))
    noise = h * (rng.normal(size=(copies // 2, N, n)) * gaussian.sd) @ gaussian.axes
    X = data.X + np.concatenate([noise, -noise])
    return replace(data, X=X.reshape(-1, n), weights=np.tile(data.weights, copies))


def kernel_bandwidth(Y: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"]) -> float:
    """Return the bandwidth of the best Gaussian kernel density, each row judged by the others."""
    Y, weights = Y[:MAX_KERNELS], weights[:MAX_KERNELS]
    judges = Y[:MAX_JUDGES]
    norms = np.sum(Y**2, axis=1)
    square = np.maximum(norms[: len(judges), None] + norms - 2.0 * judges @ Y.T, 0.0)
    np.fill_diagonal(square, np.inf)
    nearest = np.min(square, axis=1, keepdims=True)
    scores = []
    for h in BANDWIDTHS:
        # The nearest row's share is one: no sum is zero, however narrow the kernels.
        sums = np.exp((nearest - square) / (2.0 * h**2)) @ weights
        log_density = np.log(sums) - nearest[:, 0] / (2.0 * h**2) - Y.shape[1] * np.log(h)
        scores.append(np.average(log_density, weights=weights[: len(judges)]))
    return float(BANDWIDTHS[np.argmax(scores)])


def _copies(N: int) -> int:
    """Return the number of copies of each of N rows, even; 0 where the rows are enough."""
    return COPIES if COPIES * N <= MAX_ROWS else MAX_ROWS // N // 2 * 2
