"""How many nats a density loses, whatever the fault.

With q the density of z if the model is not right, the model's loss per row is KL(q || N(0, I)),
since maps that are one to one keep KL divergences. Any density g, fitted to other rows, bounds it
from below:

    KL(q || N(0, I)) >= E_q[log g(z) - log N(z; 0, I)],

with equality at g = q. Here g is pooled of small densities: each fifth of the rows is scored by
what is fitted to the other four. Of a conditional density q and g are given the context. Of a
mixture, where z is the image under a drawn component's map, which loses some of the row, it is a
lower bound all the more.

What a fit of k numbers to m rows costs on other rows, k / (2 m), it seems to gain on its own: half
the difference between the two, how far the bound lies too low, is in the standard error too.

Where a few rows make most of the loss, a sample that lacks them has both too small a mean and too
small a standard deviation. With gains of skewness g, N rows and z standard errors, that moves the
end of the interval on the tail's side by g (1 + 2 z^2) / (6 sqrt(N)) standard errors, to first
order [1]_: the standard error is larger by as much at z = 2.

References
----------
.. [1] N. J. Johnson, "Modified t Tests and Confidence Intervals for Asymmetrical Populations",
       Journal of the American Statistical Association 73, 1978.
"""

import numpy as np
from jaxtyping import Float

from brenier.diagnostics.diagnosis import NatsMissing
from brenier.diagnostics.near_normal import standard_normal
from brenier.diagnostics.normality import normal_scores
from brenier.diagnostics.small_density import fit_small_density

# Rows that the small density is fitted to at most: more make no difference to so few numbers.
MOST_FITTED = 10_000
# Parts that are scored in turn by what is fitted to the others.
N_PARTS = 5


def nats_missing(
    Z: Float[np.ndarray, "N n"], context: Float[np.ndarray, "N q"], rng: np.random.Generator
) -> NatsMissing:
    """Return a lower bound of what a density loses per row, from images of rows not seen.

    Parameters
    ----------
    Z : (N, n)
        Images, standard normal if the model is right.
    context : (N, q)
        The context of a conditional density; q is 0 of a joint one.
    rng : Generator
        Where random numbers come from.
    """
    W = normal_scores(context)
    parts = np.array_split(rng.permutation(len(Z)), N_PARTS)
    gains, optimism = [], []
    for k, own in enumerate(parts):
        other = np.concatenate([*parts[:k], *parts[k + 1 :]])
        some = other[:MOST_FITTED]
        fitted = fit_small_density(Z[some], W[some], rng)
        gains.append(fitted(Z[own], W[own]) - standard_normal(Z[own]))
        on_its_own = fitted(Z[some], W[some]) - standard_normal(Z[some])
        optimism.append(on_its_own.mean() - gains[-1].mean())
    gain = np.concatenate(gains)
    of_rows, of_fit = standard_error(gain), 0.5 * np.mean(optimism)
    return NatsMissing(
        float(gain.mean()),
        float(np.hypot(of_rows, of_fit)),
        tuple(float(part.mean()) for part in gains),
        len(gain),
    )


def standard_error(gain: Float[np.ndarray, " N"]) -> float:
    """Return that of a mean, half of the longer side of an interval of two standard errors."""
    z, root = 2.0, np.sqrt(len(gain))
    deviation = float(gain.std(ddof=1))
    standardised = (gain - gain.mean()) / max(deviation, np.finfo(float).tiny)
    skewness = abs(float(np.mean(standardised**3)))
    return deviation / root * (1.0 + skewness * (1.0 + 2.0 * z**2) / (6.0 * root * z))
