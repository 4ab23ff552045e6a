"""Three small potentials to be composed, on rows of a crescent."""

from functools import cache

import numpy as np

from brenier.data.datasets import MAFMoon
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.features import ConvexPotential
from brenier.potential.head import SeparableFeatures
from brenier.potential.initialise import initial_network
from brenier.potential.nonnegativity import NONNEGATIVITY

N, n, WIDTH = 112, 2, 3
# Lower bounds of a potential's last weights: of network, quadratics, and free ones.
LOWER = np.array([0.0] * WIDTH + [0.05] * n + [-np.inf] * n)


@cache
def rows(seed=0):
    return MAFMoon().sample(N, random_state=seed) / np.array([3.0, 2.0])


def potential(seed):
    rng = np.random.default_rng(seed)
    forms = ACTIVATIONS["gaussian-softplus"], NONNEGATIVITY["bounds"]
    network = initial_network(rows(), (WIDTH,), *forms, rng, spread=(0.5, 3.0))
    w = np.concatenate([rng.uniform(0.2, 1.0, WIDTH + n), rng.normal(size=n)])
    return ConvexPotential(SeparableFeatures(network, np.eye(n)), w)


def potentials():
    return tuple(potential(seed) for seed in range(3))
