r"""Importance weights, known by their logarithms: their mean, its error, what they are worth.

    Z = E_q[f / q] ~ (1 / S) sum_s w_s,    effective size (sum w)^2 / sum w^2.

Where few weights are nearly the whole, the error is itself not to be trusted. The shape k of a
generalised Pareto distribution fitted to the largest weights tells [1]_: above 0.7 the mean of so
many points is no estimate.

References
----------
.. [1] A. Vehtari, D. Simpson, A. Gelman, Y. Yao, J. Gabry, "Pareto Smoothed Importance Sampling",
       Journal of Machine Learning Research 25(72), 2024.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp
from scipy.stats import genpareto

# The largest of S weights: so many times sqrt(S), at most a fifth of all; five of them at least.
TAIL, MOST_TAIL, LEAST_TAIL = 3.0, 0.2, 5
# The shape above which the mean is no estimate, of very many weights.
LARGEST_SHAPE = 0.7


@dataclass(frozen=True)
class LogMean:
    """The logarithm of the mean of weights.

    Attributes
    ----------
    value : float
        It (nats).
    standard_error : float
        Of it: that of the mean, divided by the mean.
    effective_size : float
        How many equal weights they are worth.
    """

    value: float
    standard_error: float
    effective_size: float


def log_means(
    log_weights: Float[np.ndarray, "K S"],
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Return the logarithms of every row's mean, their standard errors, and effective sizes."""
    S = log_weights.shape[1]
    largest = np.max(log_weights, axis=1)
    safe = np.where(np.isfinite(largest), largest, 0.0)
    w = np.exp(log_weights - safe[:, None])
    total = np.maximum(w.sum(axis=1), np.finfo(float).tiny)
    squares = np.sum((w / total[:, None]) ** 2, axis=1)
    # The variance of the mean over its square is (sum w^2 / (sum w)^2 - 1 / S) S / (S - 1).
    errors = np.sqrt(np.maximum(squares - 1.0 / S, 0.0) * S / (S - 1))
    found = np.isfinite(largest)
    values = np.where(found, np.log(total) + safe - np.log(S), -np.inf)
    sizes = np.where(found, 1.0 / np.maximum(squares, np.finfo(float).tiny), 0.0)
    return values, np.where(found, errors, np.inf), sizes


def log_mean(log_weights: Float[np.ndarray, " S"]) -> LogMean:
    """Return the logarithm of the mean of weights, its standard error and the effective size."""
    value, error, size = (float(part[0]) for part in log_means(log_weights[None]))
    return LogMean(value, error, size)


def normalised(log_weights: Float[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
    """Return weights that sum to one."""
    return np.exp(log_weights - logsumexp(log_weights))


def pareto_shape(log_weights: Float[np.ndarray, " S"]) -> float:
    """Return the shape k of the largest weights; NaN where there are too few."""
    S = len(log_weights)
    n_tail = int(min(MOST_TAIL * S, TAIL * np.sqrt(S)))
    if n_tail < LEAST_TAIL:
        return float("nan")
    ordered = np.sort(log_weights)
    w = np.exp(ordered - ordered[-1])
    above = w[-n_tail:] - w[-n_tail - 1]
    if not np.max(above) > np.finfo(float).eps:
        # Weights that are alike have no tail.
        return float("-inf")
    shape, _, _ = genpareto.fit(above[above > 0] / np.mean(above), floc=0.0)
    return float(shape)


def largest_shape(S: int) -> float:
    """Return the shape above which the mean of S weights is no estimate."""
    return float(min(1.0 - 1.0 / np.log10(S), LARGEST_SHAPE))
