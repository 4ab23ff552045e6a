"""A density of z near the standard normal, or of z given a context, pooled of small ones.

Densities of several kinds (`near_normal`, `given_context`) are pooled with the weights that are the
best on rows held out (stacking of densities [1]_): the weight of N(0, I) is a shrinkage towards it.

References
----------
.. [1] P. Smyth, D. Wolpert, "Linearly Combining Density Estimators via Stacking", Machine Learning
       36, 1999.
"""

import numpy as np
from jaxtyping import Float
from scipy import special

from brenier.diagnostics.given_context import (
    FitGiven,
    GivenContext,
    fit_mixture_given,
    fit_scaled_by_context,
)
from brenier.diagnostics.near_normal import (
    Fit,
    fit_contaminated,
    fit_diagonal,
    fit_full,
    fit_mixture_of,
    fit_none,
    fit_regressions,
    fit_scaled,
    fit_shifted,
    fit_sparse,
)

# Parts that are held out in turn.
N_FOLDS = 5
# Components of mixtures, each of as many rows as this many times the columns, and no fewer than.
COMPONENTS, ROWS_PER_COLUMN, LEAST_ROWS = (2, 3, 5), 6, 12
# A weight of next to nothing.
NEGLIGIBLE = 1e-3
# Steps of EM for the weights, which have one maximum.
N_STEPS = 200


def kinds_without_context(N: int, n: int) -> list[Fit]:
    """Return what is fitted to N rows of n columns."""
    kinds: list[Fit] = [fit_none, fit_shifted, fit_scaled, fit_diagonal, fit_sparse]
    if n > 1:
        kinds += [fit_full, fit_regressions(reverse=False), fit_regressions(reverse=True)]
        kinds += [fit_mixture_of(2, "diag")] if N >= 2 * LEAST_ROWS else []
    least = max(LEAST_ROWS, ROWS_PER_COLUMN * n)
    kinds += [fit_contaminated] if N >= 2 * least else []
    return [*kinds, *(fit_mixture_of(K, "full") for K in COMPONENTS if N >= K * least)]


def kinds_with_context(N: int, d: int) -> list[FitGiven]:
    """Return what is fitted to N rows of d columns, those of the context included."""
    least = max(LEAST_ROWS, ROWS_PER_COLUMN * d)
    mixtures = [fit_mixture_given(K) for K in (1, *COMPONENTS) if N >= K * least]
    return [fit_scaled_by_context, *mixtures]


def whatever_context(fit: Fit) -> FitGiven:
    """Return what fits the same density of z at every context."""

    def fit_given(Z: np.ndarray, W: np.ndarray, seed: int) -> GivenContext:
        log_density = fit(Z, seed)
        return lambda z, w: log_density(z)

    return fit_given


def stacking_weights(log_densities: Float[np.ndarray, "N K"]) -> Float[np.ndarray, " K"]:
    """Return the weights of a pool whose log-density of held-out rows is the largest, by EM.

    Parameters
    ----------
    log_densities : (N, K)
        Of rows that were held out, under each of the pooled densities.
    """
    K = log_densities.shape[1]
    ratios = np.exp(log_densities - log_densities.max(axis=1, keepdims=True))
    weights = np.full(K, 1.0 / K)
    for _ in range(N_STEPS):
        joint = ratios * weights
        weights = np.mean(joint / joint.sum(axis=1, keepdims=True), axis=0)
    return weights


def fit_small_density(
    Z: Float[np.ndarray, "N n"], W: Float[np.ndarray, "N q"], rng: np.random.Generator
) -> GivenContext:
    """Return the log-density of z, at a context w, of a pool of small densities fitted to rows.

    Parameters
    ----------
    Z, W : (N, n), (N, q)
        Rows, and features of their context; q is 0 where there is none.
    rng : Generator
        Where random numbers come from.
    """
    (N, n), q = Z.shape, W.shape[1]
    seed = int(rng.integers(1 << 31))
    folds = np.array_split(rng.permutation(N), N_FOLDS)
    n_fitted = N - len(folds[0])
    kinds = [whatever_context(fit) for fit in kinds_without_context(n_fitted, n)]
    kinds += kinds_with_context(n_fitted, n + q) if q else []
    held_out = np.empty((N, len(kinds)))
    for fold in folds:
        z, w = np.delete(Z, fold, axis=0), np.delete(W, fold, axis=0)
        for k, fit in enumerate(kinds):
            held_out[fold, k] = fit(z, w, seed)(Z[fold], W[fold])
    weights = stacking_weights(held_out)
    used = np.flatnonzero(weights > NEGLIGIBLE)
    fitted = [kinds[k](Z, W, seed) for k in used]

    def log_density(z: np.ndarray, w: np.ndarray) -> Float[np.ndarray, " N"]:
        each = np.stack([one(z, w) for one in fitted], axis=1)
        return np.asarray(special.logsumexp(each, axis=1, b=weights[used]))

    return log_density
