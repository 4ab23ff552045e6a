"""The model N(0, I), rows of it and of others, as a diagnosis takes them."""

import numpy as np

from brenier.diagnostics.diagnose import Draws, Images
from brenier.diagnostics.near_normal import standard_normal


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def images(X):
    return Images(X, X, standard_normal(X))


def draws(n, M=300, seed=77):
    X = normal(M, n, seed=seed)
    return Draws(X, standard_normal(X))


def bent(N, seed=0):
    """Return rows whose second column bends with the first."""
    X = normal(N, 2, seed=seed)
    X[:, 1] = (X[:, 1] + 0.5 * (X[:, 0] ** 2 - 1)) / np.sqrt(1.5)
    return X
