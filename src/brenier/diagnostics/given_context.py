"""Small densities of z given a context, fitted to few rows: what a conditional model leaves out.

Where a model is wrong at one end of the context and the other way at the other, z as a whole may
still be normal; given the context it is not.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy import special

from brenier.diagnostics.near_normal import (
    LEAST_SQUARE,
    LEAST_VARIANCE,
    ROWS_PER_TERM,
    SPARSE,
    LogDensity,
    fitted_mixture,
    gaussian,
    mixture_of,
    sparse_regression,
    standard_normal,
    terms,
)

# The log-density of z at context w.
GivenContext = Callable[
    [Float[np.ndarray, "N n"], Float[np.ndarray, "N q"]], Float[np.ndarray, " N"]
]
FitGiven = Callable[[Float[np.ndarray, "N n"], Float[np.ndarray, "N q"], int], GivenContext]

# The mean and the variance of log z^2 of a standard normal z.
LOG_SQUARE_MEAN, LOG_SQUARE_VARIANCE = float(special.digamma(0.5) + np.log(2)), np.pi**2 / 2


def fit_scaled_by_context(
    Z: Float[np.ndarray, "N n"], W: Float[np.ndarray, "N q"], seed: int
) -> GivenContext:
    """Return independent normals whose means and log-variances are regressions on the context.

    Of a normal residual r of variance v, log r^2 has the mean log v - 1.27, whatever v.
    """
    most = max(1, len(Z) // ROWS_PER_TERM)
    A = terms(W, most)
    means = [sparse_regression(A, z)[0] for z in Z.T]
    logs = [_log_variance(A, z - A @ beta) for z, beta in zip(Z.T, means, strict=True)]
    of_mean, of_log = np.stack(means, axis=1), np.stack(logs, axis=1)

    def log_density(z: np.ndarray, w: np.ndarray) -> Float[np.ndarray, " N"]:
        at = terms(w, most)
        log_variance = at @ of_log
        unit = (z - at @ of_mean) * np.exp(-0.5 * log_variance)
        return standard_normal(unit) - 0.5 * log_variance.sum(axis=1)

    return log_density


def _log_variance(
    A: Float[np.ndarray, "N p"], residuals: Float[np.ndarray, " N"]
) -> Float[np.ndarray, " p"]:
    """Return coefficients of the log-variance of residuals; zeros where it is one throughout."""
    logs = np.log(residuals**2 + LEAST_SQUARE) - LOG_SQUARE_MEAN
    N, p = A.shape
    if ROWS_PER_TERM * p > N:
        return np.zeros(p)
    inverse = np.linalg.pinv(A.T @ A, hermitian=True)
    full = inverse @ (A.T @ logs)
    support = np.abs(full) > SPARSE * np.sqrt(LOG_SQUARE_VARIANCE * np.diag(inverse))
    beta = np.zeros(p)
    beta[support] = np.linalg.lstsq(A[:, support], logs, rcond=None)[0]
    # The first term is the constant: with it the mean square of what is left is one.
    beta[0] += np.log(np.mean(residuals**2 * np.exp(-A @ beta))) if support.any() else 0.0
    return beta


def fit_mixture_given(n_components: int) -> FitGiven:
    """Return what fits a Gaussian mixture of (z, w), which gives one of z at every w."""

    def fit(Z: Float[np.ndarray, "N n"], W: Float[np.ndarray, "N q"], seed: int) -> GivenContext:
        both = np.concatenate([Z, W], axis=1)
        joint, context = with_marginal(both, Z.shape[1], n_components, seed)
        return lambda z, w: joint(np.concatenate([z, w], axis=1)) - context(w)

    return fit


def with_marginal(
    X: Float[np.ndarray, "N d"],
    n: int,
    n_components: int,
    seed: int,
    least_variance: float = LEAST_VARIANCE,
) -> tuple[LogDensity, LogDensity]:
    """Return the log-density of a Gaussian mixture fitted to X, and that of its columns from n."""
    mixture = fitted_mixture(X, n_components, "full", seed, least_variance)
    of_context = zip(mixture.means_[:, n:], mixture.covariances_[:, n:, n:], strict=True)
    marginal = mixture_of(mixture.weights_, [gaussian(*one) for one in of_context])
    return mixture.score_samples, marginal
