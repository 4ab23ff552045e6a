"""Densities that the model stands beside: a Gaussian, a kernel density, a Gaussian mixture.

They are fitted to other rows than those that are judged. Of a conditional density p(y | x) each is
that of (y, x) over that of x, of the same kind.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from brenier.diagnostics.diagnosis import Score
from brenier.diagnostics.given_context import with_marginal
from brenier.diagnostics.near_normal import LogDensity, gaussian, shrunk_covariance

# Kernel widths, in those of Scott's rule, and components: the best on rows held out.
WIDTHS, COMPONENTS = (0.3, 0.5, 0.7, 1.0, 1.4), (1, 2, 4, 8, 16, 32)
# Share of the rows held out to choose; rows that a kernel density is made of at most.
HELD_OUT, MOST_KERNELS = 0.25, 2000
# Rows to a component and column at least.
ROWS_PER_COLUMN = 3
# Added to the variances of components, in those of the columns.
LEAST_VARIANCE = 1e-4

Fitted = tuple[LogDensity, LogDensity]
Reference = Callable[[Float[np.ndarray, "N d"], int, int], Fitted]


def fit_gaussian(X: Float[np.ndarray, "N d"], n: int, seed: int) -> Fitted:
    """Return the Gaussian of the rows, and that of the columns from n on."""
    mean, covariance = X.mean(axis=0), shrunk_covariance(X)
    return gaussian(mean, covariance), _marginal_gaussian(mean, covariance, n)


def _marginal_gaussian(mean: np.ndarray, covariance: np.ndarray, n: int) -> LogDensity:
    if n == len(mean):
        return _nothing
    return gaussian(mean[n:], covariance[n:, n:])


def _nothing(X: Float[np.ndarray, "N q"]) -> Float[np.ndarray, " N"]:
    """Return the log-density of no columns."""
    return np.zeros(len(X))


def fit_kernels(X: Float[np.ndarray, "N d"], n: int, seed: int) -> Fitted:
    """Return the kernel density whose width is the best on rows held out."""
    # Here and not above: it takes a while, and no fit needs it.
    from sklearn.neighbors import KernelDensity

    X = X[:MOST_KERNELS]
    N, d = X.shape
    scott = N ** (-1.0 / (d + 4))

    def fit(rows: np.ndarray, width: float) -> Fitted:
        joint = KernelDensity(bandwidth=width * scott).fit(rows).score_samples
        if n == d:
            return joint, _nothing
        return joint, KernelDensity(bandwidth=width * scott).fit(rows[:, n:]).score_samples

    return _best(X, n, WIDTHS, fit)


def fit_mixture(X: Float[np.ndarray, "N d"], n: int, seed: int) -> Fitted:
    """Return the Gaussian mixture whose number of components is the best on rows held out."""
    N, d = X.shape

    def fit(rows: np.ndarray, K: int) -> Fitted:
        joint, context = with_marginal(rows, n, K, seed, LEAST_VARIANCE)
        return joint, _nothing if n == d else context

    fitting = (1 - HELD_OUT) * N
    possible = [K for K in COMPONENTS if K == 1 or fitting >= ROWS_PER_COLUMN * K * (d + 1)]
    return _best(X, n, possible, fit)


def _best(X: np.ndarray, n: int, settings: Any, fit: Callable[[np.ndarray, Any], Fitted]) -> Fitted:
    """Return the fit to all rows with the setting that is the best on the last ones."""
    start = len(X) - max(1, round(HELD_OUT * len(X)))
    train, test = X[:start], X[start:]
    scores = [float(np.mean(_conditional(fit(train, one), test, n))) for one in settings]
    return fit(X, settings[int(np.argmax(scores))])


def _conditional(fitted: Fitted, X: Float[np.ndarray, "N d"], n: int) -> Float[np.ndarray, " N"]:
    joint, context = fitted
    return joint(X) - context(X[:, n:])


REFERENCES: tuple[tuple[str, Reference], ...] = (
    ("Gaussian", fit_gaussian),
    ("kernel density", fit_kernels),
    ("Gaussian mixture", fit_mixture),
)


def reference_scores(
    train: Float[np.ndarray, "M d"],
    judged: Float[np.ndarray, "N d"],
    n: int,
    log_density: Float[np.ndarray, " N"],
    fitted_to: str,
    seed: int,
) -> tuple[Score, ...]:
    """Return the scores of the model and of densities fitted to other rows.

    Parameters
    ----------
    train, judged : (M, d), (N, d)
        Rows that reference densities are fitted to, and rows that are scored; of a conditional
        density the targets come first.
    n : int
        Columns whose density it is, the first ones.
    log_density : (N,)
        The model's, of the judged rows.
    fitted_to : str
        What the training rows are.
    seed : int
        Of mixtures.
    """
    mean, scale = train.mean(axis=0), train.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    units = float(np.sum(np.log(scale[:n])))
    found = [_score("model", log_density, log_density, "training rows")]
    for name, fit in REFERENCES:
        fitted = fit((train - mean) / scale, n, seed)
        values = _conditional(fitted, (judged - mean) / scale, n) - units
        found.append(_score(name, values, log_density, fitted_to))
    return tuple(found)


def _score(
    name: str, values: Float[np.ndarray, " N"], model: Float[np.ndarray, " N"], fitted_to: str
) -> Score:
    lead = model - values
    return Score(
        name,
        *mean_and_error(values),
        *mean_and_error(lead),
        n_rows=len(values),
        fitted_to=fitted_to,
    )


def mean_and_error(values: Float[np.ndarray, " N"]) -> tuple[float, float]:
    """Return the mean of values and its standard error; NaN of one value, or of infinite ones."""
    mean = float(np.mean(values))
    if len(values) < 2 or not np.isfinite(mean):
        return mean, float("nan")
    return mean, float(values.std(ddof=1) / np.sqrt(len(values)))
