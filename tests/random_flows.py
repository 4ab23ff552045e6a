"""Flows of random weights, far from any fit, and one that was fitted."""

from functools import cache
from typing import NamedTuple

import jax
import numpy as np

from brenier import ConvexPotentialFlow
from brenier.data.datasets import MAFMoon
from brenier.flow.evaluation import BATCH, in_batches, inverse
from brenier.flow.flow import ConvexFlow
from brenier.flow.preprocessing import ColumnBounds, Preprocessing, whitening
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.features import ConvexPotential
from brenier.potential.head import SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.nonnegativity import NONNEGATIVITY

INF = np.inf


class Spec(NamedTuple):
    """What a flow of random weights is made of."""

    n: int
    seed: int
    whiten: str = "full"
    quadratic: bool = True
    activation: str = "gaussian-softplus"
    nonnegativity: str = "bounds"
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None


# "thesis" has no quadratics: no strong convexity, and a bounded image.
FLOWS = {
    "one column": Spec(1, 0),
    "two columns": Spec(2, 2),
    "two bounded columns": Spec(
        2, 3, "none", activation="squareplus", low=(0.0, 0.0), high=(INF, 1.0)
    ),
    "five columns": Spec(5, 5, "standardize"),
    "thesis": Spec(2, 6, "none", quadratic=False, activation="softplus", nonnegativity="softplus"),
    "fitted": None,
}
ONTO = [name for name in FLOWS if name != "thesis"]


@cache
def flow_of(name):
    """Return the flow of a name and 60 rows of its data space."""
    spec = FLOWS[name]
    if spec is None:
        X = MAFMoon().sample(300, random_state=0)
        # A run this loose ends by itself.
        fitted = ConvexPotentialFlow(
            widths=(8,), n_radial=2, tol=0.03, validation_fraction=0.0
        ).fit(X)
        return fitted.flow_, X[:60]
    rng = np.random.default_rng(spec.seed)
    n, widths = spec.n, (4, 3)
    with jax.enable_x64(True):
        bounds = ColumnBounds(
            np.array(spec.low or [-INF] * n, float), np.array(spec.high or [INF] * n, float)
        )
        Y = rng.normal(size=(300, n)) @ (np.eye(n) + 0.4 * np.tri(n, k=-1)) + 0.5
        X = np.asarray(bounds.inverse(Y))
        preprocessing = Preprocessing(bounds, whitening(Y, np.ones(300), spec.whiten))
    nonnegativity = NONNEGATIVITY[spec.nonnegativity]
    network = InputConvexNetwork(
        K=tuple(rng.normal(scale=1.5, size=(width, n)) for width in widths),
        b=tuple(rng.normal(size=width) for width in widths),
        L=(nonnegativity.raw(rng.exponential(size=widths[::-1])),),
        activation=ACTIVATIONS[spec.activation],
        nonnegativity=nonnegativity,
    )
    axes = np.linalg.qr(rng.normal(size=(n, n)))[0] if spec.quadratic else np.zeros((0, n))
    w = [rng.exponential(size=widths[-1]), rng.uniform(0.5, 2.0, len(axes)), rng.normal(size=n)]
    if not spec.quadratic:
        # A small image about the origin, which many normal points miss.
        w = [0.4 * w[0], *w[1:]]
        w[-1] = -np.asarray(0.5 * w[0] @ _slopes(network))
    features = SeparableFeatures(network, axes, normalised=spec.quadratic)
    return ConvexFlow(preprocessing, ConvexPotential(features, np.concatenate(w))), X[:60]


def _slopes(network):
    """Return the limits of the outputs' gradients, summed over all units switched on."""
    with jax.enable_x64(True):
        hidden = np.asarray(network.hidden_weights()[0])
    return hidden @ network.K[0] + network.K[1]


def preprocessed(flow, X):
    with jax.enable_x64(True):
        return np.asarray(flow.preprocessing.forward(X)[0])


@cache
def preimages(name):
    """Return 10,000 normal points, what the map's inverse makes of them, and the certificates."""
    Z = np.random.default_rng(1).normal(size=(10_000, flow_of(name)[0].n))
    return Z, *in_batches(inverse, flow_of(name)[0], Z)


def padded_inverse(flow, Z):
    """Return what `in_batches` does with more rows, at the shape that `preimages` has compiled."""
    return in_batches(inverse, flow, np.vstack([Z, np.zeros((BATCH - len(Z), flow.n))]))
