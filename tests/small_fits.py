"""Fits of a few seconds, of one shape for (nearly) all tests, so that JAX compiles once."""

from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest

from brenier import ConvexPotentialFlow
from brenier.data.datasets import CorrelatedGaussian, EightGaussians, MAFMoon, Moons, Rings
from brenier.estimators import parameters
from brenier.training.settings import default_settings

N = 300
DATA = {
    distribution.name: distribution
    for distribution in (MAFMoon(), Moons(), EightGaussians(), Rings(), CorrelatedGaussian(2))
}
BOUNDS = {"share": (0, 1), "rate": (0, None)}
# What equal content in another order or form may change: rounding only.
SAME = {"rtol": 1e-10, "atol": 1e-10}
ROUNDING = 1e-12
# Of each split there are 23 Gaussian mixtures of up to 64 components, in tables that need none.
FEW_MIXTURES = {"mixture_sizes": (1, 2, 4), "mixture_starts": 1, "mixture_starts_few": 1}

# Such fits end early, and say so; nothing else may warn.
ends_early = pytest.mark.filterwarnings(
    "ignore:The fit ended with status 'iteration limit':sklearn.exceptions.ConvergenceWarning"
)


def small(**changes):
    """Return a quick estimator; no row held out or judging, no radial units, no noise by itself."""
    settings = {"widths": (8,), "n_radial": 0, "noise": 0.0, "max_iter": 15, "n_estimators": 1}
    return ConvexPotentialFlow(
        **settings | {"validation_fraction": 0.0, "judge_fraction": 0.0} | changes
    )


@contextmanager
def other_defaults(**settings):
    """Let fits have other numbers of the recipe where their estimators say nothing."""

    def changed(**kind):
        return replace(default_settings(**kind), **settings)

    with patch.object(parameters, "default_settings", changed):
        yield


def rows(name="maf-moon", n_rows=N, seed=0):
    return DATA[name].sample(n_rows, random_state=seed)


def pieces():
    """Return positive rows in two pieces."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(200, 2)), rng.normal(size=(100, 2)) + [30.0, 0.0]])
    return np.exp(0.1 * rng.permutation(X))


def same(value):
    """Return what numbers are equal to that differ from a value by rounding."""
    return pytest.approx(value, rel=SAME["rtol"], abs=SAME["atol"])


def assert_same_fit(a, b, X):
    """Assert that two estimators are the same but for rounding."""
    np.testing.assert_allclose(a.score_samples(X), b.score_samples(X), **SAME)
    assert a.n_iter_ == b.n_iter_
    assert a.report_.train_log_likelihood == same(b.report_.train_log_likelihood)
