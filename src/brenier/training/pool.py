r"""Pooling: how much of each density, the convex problem of a mixture's weights.

    a = argmax_{a >= 0, sum a = 1}  sum_j omega_j log sum_c a_c p_c(x_j) + 1/(M C) sum_c log a_c

over M rows that none of the densities p_c was fitted to ([1]_, stacking of densities). The second
term is a prior: one row's worth of evidence, evenly for all of them. By expectation maximisation,
which climbs to the only maximum.

References
----------
.. [1] P. Smyth, D. Wolpert, "Linearly Combining Density Estimators via Stacking", Machine Learning
       36, 1999.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.special import logsumexp

# Gain (nats a row) below which the climb ends, and most steps.
TOLERANCE, MOST_STEPS = 1e-9, 10_000
# Parts of a cross-validation.
PARTS = 5


def pool_weights(
    log_densities: Float[np.ndarray, "M C"], weights: Float[np.ndarray, " M"]
) -> Float[np.ndarray, " C"]:
    """Return the densities' weights, summing to one.

    Parameters
    ----------
    log_densities : (M, C)
        Of rows that the densities were not fitted to; minus infinity is allowed, not for all C.
    weights : (M,)
        The rows'.
    """
    M, C = log_densities.shape
    omega = weights / np.sum(weights)
    # Relative to the highest of every row, which changes no share.
    relative = np.exp(log_densities - log_densities.max(axis=1, keepdims=True))
    a, before = np.full(C, 1.0 / C), -np.inf
    for _ in range(MOST_STEPS):
        density = relative @ a
        reached = float(omega @ np.log(density) + np.mean(np.log(a)) / M)
        if reached - before < TOLERANCE:
            break
        before = reached
        shares = a * ((omega / density) @ relative)
        a = (shares + 1.0 / (M * C)) / (1.0 + 1.0 / M)
    return a


def unseen_log_density(
    log_densities: Float[np.ndarray, "M C"],
    weights: Float[np.ndarray, " M"],
    blocks: Int[np.ndarray, " M"],
) -> Float[np.ndarray, " M"]:
    """Return the pool's log-density of every row, with weights that the row did not decide.

    By cross-validation: a pool says more of the rows that decided its weights than of others.

    Parameters
    ----------
    log_densities, weights
        As of `pool_weights`.
    blocks : (M,)
        Rows of one number are not independent of each other, and decide together.
    """
    found, part = np.empty(len(weights)), np.unique(blocks, return_inverse=True)[1] % PARTS
    for k in np.unique(part):
        out = part == k
        if out.all():
            # Nothing else to decide by: evenly.
            a = np.full(log_densities.shape[1], 1.0 / log_densities.shape[1])
        else:
            a = pool_weights(log_densities[~out], weights[~out])
        found[out] = logsumexp(log_densities[out] + np.log(a), axis=1)
    return found
