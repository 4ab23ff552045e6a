"""Small densities of z near the standard normal, each fitted to few rows.

From N(0, I) itself to Gaussian mixtures. *Sparse* ones have the numbers of N(0, I) but where the
rows say otherwise by more than chance: means, variances, correlations; and regressions of every
coordinate on those before it, their squares and products, which follow bends.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import special
from sklearn.exceptions import ConvergenceWarning

from brenier.arrays import LOG_2_PI
from brenier.diagnostics.normality import unit

LogDensity = Callable[[Float[np.ndarray, "N n"]], Float[np.ndarray, " N"]]
Fit = Callable[[Float[np.ndarray, "N n"], int], LogDensity]

# Standard errors from those of N(0, I) at which a sparse density has numbers of its own.
SPARSE = 2.0
# Rows to each term of a regression.
ROWS_PER_TERM = 10
# Added to the variances of components, in those of N(0, I).
LEAST_VARIANCE = 0.02
# Least mean square of residuals, where a column is constant.
LEAST_SQUARE = 1e-4
# Steps of EM at most, of mixtures and of the one with N(0, I).
MOST_EM, CONTAMINATED_STEPS = 200, 50


def standard_normal(Z: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
    """Return log N(z; 0, I)."""
    return -0.5 * (np.sum(Z**2, axis=1) + LOG_2_PI * Z.shape[1])


def gaussian(mean: Float[np.ndarray, " n"], covariance: Float[np.ndarray, "n n"]) -> LogDensity:
    """Return log N(.; mean, covariance)."""
    L = np.linalg.cholesky(covariance)
    log_det = 2 * np.sum(np.log(np.diag(L)))

    def log_density(Z: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
        return standard_normal(np.linalg.solve(L, (Z - mean).T).T) - 0.5 * log_det

    return log_density


def mixture_of(weights: Float[np.ndarray, " K"], components: Sequence[LogDensity]) -> LogDensity:
    """Return the log-density of a mixture."""

    def log_density(X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
        each = np.stack([one(X) for one in components], axis=1)
        return np.asarray(special.logsumexp(each, axis=1, b=weights))

    return log_density


def fit_none(Z: Float[np.ndarray, "N n"], seed: int) -> LogDensity:
    """Return N(0, I), whatever the rows."""
    return standard_normal


def fit_shifted(Z: Float[np.ndarray, "N n"], seed: int) -> LogDensity:
    """Return N(mean, I)."""
    return gaussian(Z.mean(axis=0), np.eye(Z.shape[1]))


def fit_scaled(Z: Float[np.ndarray, "N n"], seed: int) -> LogDensity:
    """Return N(0, s^2 I)."""
    return gaussian(np.zeros(Z.shape[1]), np.mean(Z**2) * np.eye(Z.shape[1]))


def fit_diagonal(Z: Float[np.ndarray, "N n"], seed: int) -> LogDensity:
    """Return the Gaussian of independent coordinates."""
    return gaussian(Z.mean(axis=0), np.diag(Z.var(axis=0) + 1 / len(Z)))


def fit_full(Z: Float[np.ndarray, "N n"], seed: int) -> LogDensity:
    """Return the Gaussian, its covariance shrunk as Ledoit and Wolf do."""
    covariance = shrunk_covariance(Z)
    return gaussian(Z.mean(axis=0), covariance + np.eye(len(covariance)) / len(Z))


def shrunk_covariance(X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "n n"]:
    """Return the covariance of rows, shrunk as Ledoit and Wolf do."""
    # Here and not above: it takes a while, and no fit needs it.
    from sklearn.covariance import ledoit_wolf

    return np.asarray(ledoit_wolf(X)[0])


def kept(values: Float[np.ndarray, "*k"], errors: float | np.ndarray) -> Float[np.ndarray, "*k"]:
    """Return the values that are more than chance, and zero for the others."""
    return np.where(np.abs(values) > SPARSE * errors, values, 0.0)


def kept_deviation(residuals: Float[np.ndarray, "N k"]) -> Float[np.ndarray, " k"]:
    """Return the standard deviations of residuals that differ from 1 by more than chance, or 1."""
    variance = np.maximum(np.mean(residuals**2, axis=0), LEAST_SQUARE)
    return np.exp(kept(0.5 * np.log(variance), np.sqrt(0.5 / len(residuals))))


def fit_sparse(Z: Float[np.ndarray, "N n"], seed: int) -> LogDensity:
    """Return the Gaussian with the means, variances and correlations that are more than chance."""
    N, n = Z.shape
    mean = kept(Z.mean(axis=0), 1 / np.sqrt(N))
    deviation = kept_deviation(Z - mean)
    correlation = kept((1 - np.eye(n)) * (unit(Z).T @ unit(Z)), 1 / np.sqrt(N))
    least = np.linalg.eigvalsh(correlation)[0]
    # What is left of a correlation matrix need not be one.
    shrunk = correlation * min(1.0, (1 - LEAST_VARIANCE) / max(-least, LEAST_VARIANCE))
    return gaussian(mean, np.outer(deviation, deviation) * (np.eye(n) + shrunk))


def terms(Z: Float[np.ndarray, "N k"], most: int) -> Float[np.ndarray, "N p"]:
    """Return 1, the columns, their squares, and their products where these are not too many."""
    N, k = Z.shape
    columns = [np.ones((N, 1)), Z, (Z**2 - 1) / np.sqrt(2)]
    rows, cols = np.tril_indices(k, -1)
    if 1 + 2 * k + len(rows) <= most:
        columns.append(Z[:, rows] * Z[:, cols])
    return np.concatenate(columns, axis=1)


def fit_regressions(*, reverse: bool) -> Fit:
    """Return what fits a regression of every coordinate on the terms of those before it."""

    def fit(Z: Float[np.ndarray, "N n"], seed: int) -> LogDensity:
        Z = Z[:, ::-1] if reverse else Z
        most = max(1, len(Z) // ROWS_PER_TERM)
        each = [sparse_regression(terms(Z[:, :k], most), Z[:, k]) for k in range(Z.shape[1])]

        def log_density(z: Float[np.ndarray, "M n"]) -> Float[np.ndarray, " M"]:
            z = z[:, ::-1] if reverse else z
            residuals = [
                (z[:, k] - terms(z[:, :k], most) @ beta) / sd for k, (beta, sd) in enumerate(each)
            ]
            log_det = sum(np.log(sd) for _, sd in each)
            return standard_normal(np.stack(residuals, axis=1)) - log_det

        return log_density

    return fit


def sparse_regression(
    A: Float[np.ndarray, "N p"], y: Float[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, " p"], float]:
    """Return the coefficients of y on A that are more than chance, and the residuals' deviation.

    Where there are too few rows for the terms, none.
    """
    N, p = A.shape
    beta = np.zeros(p)
    if N >= ROWS_PER_TERM * p:
        inverse = np.linalg.pinv(A.T @ A, hermitian=True)
        full = inverse @ (A.T @ y)
        sd = np.std(y - A @ full)
        support = np.abs(full) > SPARSE * sd * np.sqrt(np.diag(inverse))
        beta[support] = np.linalg.lstsq(A[:, support], y, rcond=None)[0]
    return beta, float(kept_deviation((y - A @ beta)[:, None])[0])


def fit_mixture_of(n_components: int, kind: str) -> Fit:
    """Return what fits a Gaussian mixture; `kind` is scikit-learn's covariance_type."""

    def fit(Z: Float[np.ndarray, "N n"], seed: int) -> LogDensity:
        return fitted_mixture(Z, n_components, kind, seed).score_samples

    return fit


def fit_contaminated(Z: Float[np.ndarray, "N n"], seed: int) -> LogDensity:
    """Return a mixture of N(0, I), which stays what it is, and one Gaussian, by EM.

    It begins with the component of a mixture of two that is further from N(0, I).
    """
    n = Z.shape[1]
    mixture = fitted_mixture(Z, 2, "full", seed)
    both = zip(mixture.means_, mixture.covariances_, strict=True)
    k = int(np.argmax([_distance(mean, covariance) for mean, covariance in both]))
    share = mixture.predict_proba(Z)[:, k]
    background = standard_normal(Z)
    for _ in range(CONTAMINATED_STEPS):
        weight, total = share.mean(), max(share.sum(), 1.0)
        mean = share @ Z / total
        centred = Z - mean
        covariance = (share * centred.T) @ centred / total + LEAST_VARIANCE * np.eye(n)
        own = gaussian(mean, covariance)
        share = special.expit(special.logit(weight) + own(Z) - background)
    return mixture_of(np.array([1 - weight, weight]), [standard_normal, own])


def _distance(mean: Float[np.ndarray, " n"], covariance: Float[np.ndarray, "n n"]) -> float:
    """Return KL(N(mean, covariance) || N(0, I))."""
    _, log_det = np.linalg.slogdet(covariance)
    return 0.5 * float(np.trace(covariance) + mean @ mean - len(mean) - log_det)


def fitted_mixture(
    Z: Float[np.ndarray, "N n"],
    n_components: int,
    kind: str,
    seed: int,
    least_variance: float = LEAST_VARIANCE,
) -> Any:
    """Return scikit-learn's mixture, fitted; `kind` is its covariance_type."""
    # Here and not above: it takes a while, and no fit needs it.
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(
        n_components,
        covariance_type=kind,
        reg_covar=least_variance,
        max_iter=MOST_EM,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(Z)
