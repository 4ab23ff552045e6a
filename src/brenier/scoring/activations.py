"""Activations s with s' and s'', as in `brenier.potential.activations`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from brenier.potential.mills import LOG_SQRT_2_PI, MILLS, MILLS_CENTRE, MILLS_SHIFT

Jet = tuple[np.ndarray, np.ndarray, np.ndarray]


def softplus(a: np.ndarray) -> Jet:
    """Return log(1 + exp(a)) and its two derivatives."""
    tail = np.exp(-np.abs(a))
    larger = 1.0 / (1.0 + tail)
    smaller = tail * larger
    slope = np.where(a >= 0, larger, smaller)
    return np.maximum(a, 0.0) + np.log1p(tail), slope, smaller * larger


def gaussian_softplus(a: np.ndarray) -> Jet:
    """Return a Phi_N(a) + phi(a) and its two derivatives, Phi_N and phi."""
    density = np.exp(-0.5 * a * a - LOG_SQRT_2_PI)
    # Beyond this the density is zero, and infinity less infinity no number.
    t = np.minimum(np.abs(a), 1e3)
    v = (t - MILLS_CENTRE) / (t + MILLS_CENTRE)
    polynomial = np.full_like(v, MILLS[-1])
    for coefficient in reversed(MILLS[:-1]):
        polynomial = polynomial * v + coefficient
    tail, shifted = density * polynomial, t + MILLS_SHIFT
    cumulative = np.where(a >= 0, shifted - tail, tail) / shifted
    return a * cumulative + density, cumulative, density


def squareplus(a: np.ndarray) -> Jet:
    """Return (a + sqrt(a^2 + 4)) / 2 and its two derivatives."""
    r = np.hypot(a, 2.0)
    larger = 0.5 * (r + np.abs(a))
    s = np.where(a >= 0, larger, 1.0 / larger)
    return s, s / r, 2.0 / r**3


ACTIVATIONS: Mapping[str, Callable[[np.ndarray], Jet]] = MappingProxyType(
    {
        "gaussian-softplus": gaussian_softplus,
        "softplus": softplus,
        "squareplus": squareplus,
    }
)
"""By the names that files hold."""
