r"""Noise regularisation: copies of the training rows with a little noise, for the optimizer to see.

A flexible density gains on few rows by growing sharp between and on top of them. On the rows'
kernel density it cannot: every row stands for its neighbourhood ([1]_). The kernel is that of the
best kernel density (its bandwidth is found by leaving each row out), and it is used only where that
is narrow: where the data's structure is fine against their spread. Wide kernels would blur what the
model can learn without them.

The noise has the Gaussian's covariance times h^2, and comes in opposite pairs, so that the rows'
mean is kept.

References
----------
.. [1] J. Rothfuss, F. Ferreira, S. Boehm, S. Walther, M. Ulrich, T. Asfour, A. Krause, "Noise
       Regularization for Conditional Density Estimation", 2019, arXiv 1907.08982.
"""

import numpy as np
from jaxtyping import Float

from brenier.data.rows import WeightedRows
from brenier.potential.gaussian import AbstractGaussian
from brenier.training.settings import Settings


def chosen_noise(rows: WeightedRows, gaussian: AbstractGaussian, settings: Settings) -> float:
    """Return the noise's standard deviation h, in those of the data; 0 where there is to be none.

    Parameters
    ----------
    rows : WeightedRows
        Training rows in the potential's coordinates.
    gaussian : AbstractGaussian
        The Gaussian fit to them.
    settings : Settings
        Of the fit.
    """
    if settings.noise is not None:
        return settings.noise
    if _n_copies(len(rows.X), settings) == 0:
        return 0.0
    # Distances do not know the mean, but their rounding does.
    centred = rows.X - np.average(rows.X, axis=0, weights=rows.weights)
    bandwidth = kernel_bandwidth(centred @ gaussian.axes.T / gaussian.sd, rows.weights, settings)
    return bandwidth if bandwidth <= settings.noise_max_bandwidth else 0.0


def noisy_copies(
    rows: WeightedRows, gaussian: AbstractGaussian, h: float, seed: int, settings: Settings
) -> WeightedRows:
    """Return copies of the rows with noise; the rows as they are where there is to be none.

    Parameters
    ----------
    rows : WeightedRows
        Training rows in the potential's coordinates.
    gaussian : AbstractGaussian
        The Gaussian fit to them.
    h : float
        The noise's standard deviation, in those of the data; with 0 nothing changes.
    seed : int
        Of the noise.
    settings : Settings
        Of the fit.
    """
    N, n = rows.X.shape
    copies = _n_copies(N, settings)
    if h == 0 or copies == 0:
        return rows
    # A stream of its own: the seed's first numbers are the initial weights' directions.
    rng = np.random.default_rng((seed, 1))
    noise = h * (rng.normal(size=(copies // 2, N, n)) * gaussian.sd) @ gaussian.axes
    X = rows.X + np.concatenate([noise, -noise])
    return WeightedRows(
        X.reshape(-1, n), np.tile(rows.weights, copies), np.tile(rows.position, copies)
    )


def kernel_bandwidth(
    Y: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"], settings: Settings
) -> float:
    """Return the bandwidth of the best Gaussian kernel density, each row judged by the others."""
    least, largest, number = settings.noise_bandwidths
    bandwidths = np.geomspace(least, largest, number)
    Y, weights = Y[: settings.whole_rows], weights[: settings.whole_rows]
    judges = Y[: settings.noise_judges]
    norms = np.sum(Y**2, axis=1)
    square = np.maximum(norms[: len(judges), None] + norms - 2.0 * judges @ Y.T, 0.0)
    np.fill_diagonal(square, np.inf)
    nearest = np.min(square, axis=1, keepdims=True)
    # In single precision: sums of kernels are compared, and their exponentials take all the time.
    farther, shares = (nearest - square).astype(np.float32), weights.astype(np.float32)
    scores = []
    for h in bandwidths:
        # The nearest row's share is one: no sum is zero, however narrow the kernels.
        sums = np.exp(farther / np.float32(2.0 * h**2)) @ shares
        log_density = np.log(sums) - nearest[:, 0] / (2.0 * h**2) - Y.shape[1] * np.log(h)
        scores.append(np.average(log_density, weights=weights[: len(judges)]))
    return float(bandwidths[np.argmax(scores)])


def _n_copies(N: int, settings: Settings) -> int:
    """Return the number of copies of each of N rows, even; 0 where the rows are enough."""
    copies, most = settings.noise_copies, settings.noise_max_rows
    return copies if copies * N <= most else most // N // 2 * 2
