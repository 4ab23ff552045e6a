r"""Initial weights of the network, placed by the data.

Every hidden unit is a smooth kink of a convex function. A kink that lies outside the data, or is
wider or much sharper than the data's structure, adds nothing that the search could take hold of.
So each unit's kink goes through a randomly chosen row, in a random direction, with a slope drawn
over a range of scales: its pre-activation a = L u + K x has mean square `spread`^2 over the data,
and b = -a at the chosen row.
"""

import numpy as np
from jaxtyping import Float

from brenier.potential.activations import AbstractActivation, evaluate
from brenier.potential.cones import Cones
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.nonnegativity import AbstractNonnegativity

# Standard deviations of the pre-activations: from broad to sharp against the data's own scale.
SPREAD = (0.5, 3.0)
# How far the cones' matrices are from multiples of the identity, entry by entry.
CONE_NOISE = 0.1


def kinks_in_data(
    X: Float[np.ndarray, "N n"],
    widths: tuple[int, ...],
    activation: AbstractActivation,
    nonnegativity: AbstractNonnegativity,
    rng: np.random.Generator,
) -> InputConvexNetwork:
    """Return a network of hidden `widths` whose kinks pass through rows of X."""
    n = X.shape[1]
    centred = X - X.mean(axis=0)
    K, b, L = [], [], []
    u = None
    for width in widths:
        directions = rng.normal(size=(width, n))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        a = centred @ directions.T
        hidden = np.zeros((width, 0))
        if u is not None:
            hidden = rng.exponential(size=(width, u.shape[1]))
            from_below = (u - u.mean(axis=0)) @ hidden.T
            balance = a.std(axis=0) / np.maximum(from_below.std(axis=0), 1e-12)
            hidden *= balance[:, None]
            a = a + from_below * balance
        spread = np.exp(rng.uniform(*np.log(SPREAD), size=width))
        scale = spread / np.maximum(a.std(axis=0), 1e-12)
        directions, hidden = scale[:, None] * directions, scale[:, None] * hidden
        raw = X @ directions.T + (0 if u is None else u @ hidden.T)
        bias = -raw[rng.integers(len(X), size=width), np.arange(width)]
        K.append(directions)
        b.append(bias)
        if u is not None:
            L.append(nonnegativity.raw(hidden))
        u = np.asarray(evaluate(activation, raw + bias)[0])
    return InputConvexNetwork(tuple(K), tuple(b), tuple(L), activation, nonnegativity)


def cones_in_data(X: Float[np.ndarray, "N n"], width: int, rng: np.random.Generator) -> Cones:
    """Return cones with apices at rows of X, nearly round, of scales drawn as those of kinks."""
    n = X.shape[1]
    spread = np.exp(rng.uniform(*np.log(SPREAD), size=width))
    shape = np.eye(n) + CONE_NOISE * rng.normal(size=(width, n, n))
    B = (spread / np.sqrt(X.var(axis=0).sum()))[:, None, None] * shape
    apices = X[rng.integers(len(X), size=width)]
    return Cones(B, -np.einsum("kra,ka->kr", B, apices))
