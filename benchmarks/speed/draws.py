"""Smooth draws that are not Gaussian, where a measurement brings no data of its own."""

import numpy as np

CORRELATION = 0.5
BEND = 0.4


def smooth_rows(N: int, n: int, seed: int) -> np.ndarray:
    """Return N draws of x_1 = sinh z_1, x_j = z_j + 0.4 z_{j-1}^2.

    z is Gaussian with mean 0, variances 1 and correlations 0.5^|i - j|.
    """
    z = np.random.default_rng(seed).normal(size=(N, n))
    for j in range(1, n):
        z[:, j] = CORRELATION * z[:, j - 1] + np.sqrt(1.0 - CORRELATION**2) * z[:, j]
    X = z.copy()
    X[:, 0] = np.sinh(z[:, 0])
    X[:, 1:] += BEND * z[:, :-1] ** 2
    return X
