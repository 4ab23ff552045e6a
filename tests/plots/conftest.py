"""The fitted flows that the tests of pictures draw, and a check that nothing global is changed."""

import warnings

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from pictures import table
from sklearn.exceptions import ConvergenceWarning
from small_fits import FEW_MIXTURES, other_defaults

from brenier import ConvexPotentialFlow, ConvexPotentialMixture
from brenier.data.datasets import CorrelatedGaussian, MAFMoon

mpl.use("Agg")


def fitted(estimator, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X)


def small(**changes):
    """Return an estimator that takes little time."""
    settings = {"widths": (8,), "n_radial": 2, "max_iter": 5, "decay": 1e-3, "n_estimators": 1}
    return ConvexPotentialFlow(**settings | changes)


@pytest.fixture(scope="session")
def moon():
    """Two named columns, their flow."""
    X = table(MAFMoon().sample(300, random_state=0), ["length", "width"])
    return fitted(small(max_iter=20), X), X


@pytest.fixture(scope="session")
def islands():
    """Two named columns of rows in two pieces, and their mixture."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 2)) + np.where(np.arange(300) < 200, 0.0, 20.0)[:, None]
    X = table(rng.permutation(rows), ["length", "width"])
    settings = {"max_iter": 1, "widths": (8,), "decay": 1e-3, "n_radial": 2, "n_estimators": 1}
    with other_defaults(**FEW_MIXTURES, most_pieces=1):
        return fitted(ConvexPotentialMixture(**settings), X), X


@pytest.fixture(scope="session")
def line():
    """One column."""
    X = np.exp(CorrelatedGaussian(1).sample(300, random_state=0))
    return fitted(small(bounds=[(0, None)]), X), X


@pytest.fixture(scope="session")
def space():
    """Three named columns."""
    X = table(CorrelatedGaussian(3).sample(300, random_state=0), ["a", "b", "c"])
    return fitted(small(), X), X


@pytest.fixture(scope="session")
def thesis():
    """Two columns, no quadratic terms: some z have no preimage."""
    X = MAFMoon().sample(300, random_state=0)
    return fitted(ConvexPotentialFlow.thesis(widths=(8,), max_iter=5), X), X


@pytest.fixture(autouse=True)
def nothing_global_is_changed():
    before = mpl.rcParams.copy()
    yield
    assert mpl.rcParams == before
    plt.close("all")
