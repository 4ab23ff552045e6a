"""The integral of a joint density over some columns, at many rows: the best way there is."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from brenier.marginal import cloud
from brenier.marginal.proposals import NormalMixture
from brenier.marginal.slices import Free

# At so many rows at most, two columns are integrated over by quadrature: each takes some 1e5
# evaluations of the density, and importance sampling some hundred.
MOST_PLANES = 16


class LogMasses(NamedTuple):
    """Logarithms of the integrals at K rows.

    Attributes
    ----------
    values : (K,)
        They (nats).
    errors : (K,)
        Their standard errors; zero by quadrature.
    sizes : (K,)
        Effective sizes of importance samples; infinite by quadrature.
    """

    values: Float[np.ndarray, " K"]
    errors: Float[np.ndarray, " K"]
    sizes: Float[np.ndarray, " K"]


def log_masses(
    free: Free, mixture: Callable[[], NormalMixture], rng: np.random.Generator
) -> LogMasses:
    """Return the integrals of a joint density over its free columns, at values of the others.

    Parameters
    ----------
    free : Free
        Which columns, and the values of all others in K rows.
    mixture : callable
        Returns a Gaussian mixture like the joint density, if one is needed.
    rng : Generator
        Of importance samples.
    """
    K, m = len(free.values), len(free.columns)
    if m == 0:
        exact = free.joint.log_density_of(free.values)
    elif m == 1 or (m == 2 and K <= MOST_PLANES):
        exact = free.panels().log_integrals
    else:
        return LogMasses(*cloud.log_masses(free, mixture(), rng))
    return LogMasses(exact, np.zeros(K), np.full(K, np.inf))
