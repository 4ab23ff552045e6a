r"""How much mass a density has: its integral, and the share of the normal that its map reaches.

A map z = grad Phi(x) without quadratic terms has a bounded image, and its density integrates to
the normal's mass of that image,

    int p(x) dx = P(z in grad Phi(R^n)) < 1.

Both sides are computed: the left by the trapezoidal rule on a grid, fine over the data and coarser
far outside, where such densities fall off slowly; the right by the share of normal points that have
a preimage.
"""

import math
from dataclasses import dataclass

import numpy as np

from brenier.estimators import ConvexPotentialFlow

# Grid points of one axis on each side of the data.
N_OUTSIDE = 40
# How far the grid reaches beyond the data, in ranges of the data.
REACH = 20.0


@dataclass(frozen=True)
class Mass:
    """Mass of a model's density.

    Attributes
    ----------
    integral : float
        By quadrature.
    preimages : float
        Share of standard normal points with a preimage.
    error : float
        Standard error of that share.
    n_normal : int
        How many points.
    """

    integral: float
    preimages: float
    error: float
    n_normal: int


def mass_of(flow: ConvexPotentialFlow, X: np.ndarray, *, n_grid: int, n_normal: int) -> Mass:
    """Return the mass of the density of a flow fitted to two columns.

    Parameters
    ----------
    flow : ConvexPotentialFlow
        Fitted.
    X : (N, 2)
        Its rows.
    n_grid : int
        Points of each axis of the grid over the data.
    n_normal : int
        Normal points whose preimages are sought.
    """
    x, y = (_axis(column.min(), column.max(), n_grid) for column in X.T)
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    # Where the curvature underflows the log-density is not a number; the density is zero.
    p = np.nan_to_num(np.exp(flow.score_samples(grid))).reshape(len(x), len(y))
    integral = float(np.trapezoid(np.trapezoid(p, y, axis=1), x))
    Z = np.random.default_rng(0).normal(size=(n_normal, 2))
    share = float(np.mean(flow.invert(Z)[1].converged))
    return Mass(integral, share, math.sqrt(share * (1 - share) / n_normal), n_normal)


def _axis(low: float, high: float, n: int) -> np.ndarray:
    """Return grid points: even over the data and a fifth around it, geometric outside."""
    span = high - low
    inside = np.linspace(low - 0.2 * span, high + 0.2 * span, n)
    steps = np.geomspace(inside[1] - inside[0], REACH * span, N_OUTSIDE)
    return np.concatenate([inside[0] - steps[::-1], inside, inside[-1] + steps])
