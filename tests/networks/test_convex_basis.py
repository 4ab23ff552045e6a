"""Convex basis functions that do not decrease in some inputs: bounds, and what these promise."""

import numpy as np
import pytest

from brenier.networks.convex import ConvexBasis, MonotoneNetwork
from brenier.potential.activations import Softplus
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.nonnegativity import Bounded

pytestmark = pytest.mark.usefixtures("x64")

INCREASING = (False, True)


def basis():
    """Return functions of two inputs that increase in the second one."""
    rng = np.random.default_rng(0)
    K = tuple(np.where(INCREASING, np.abs(k), k) for k in rng.normal(size=(2, 3, 2)))
    b, L = tuple(rng.normal(size=(2, 3))), (rng.exponential(size=(3, 3)),)
    convex = InputConvexNetwork(K, b, L, Softplus(), Bounded())
    return ConvexBasis(MonotoneNetwork(convex, INCREASING), np.array([[1.0, 0.0]]))


def test_bounds_are_zero_for_what_is_curved_and_what_increases():
    made = basis()
    np.testing.assert_array_equal(made.lower, [0, 0, 0, 0, -np.inf, 0, -np.inf])
    assert made.n_functions == len(made.lower)
    lower = made.network.lower_bounds().convex
    for K in lower.K:
        np.testing.assert_array_equal(K, [[-np.inf, 0.0]] * 3)
    np.testing.assert_array_equal(lower.L[0], np.zeros((3, 3)))
    assert np.all(np.isneginf(lower.b[0]))


def test_functions_increase_in_the_increasing_inputs():
    made = basis()
    X = 10.0 * np.random.default_rng(1).normal(size=(50, 2))
    before, after = made.values(X), made.values(X + [0.0, 3.0])
    assert np.all(np.asarray(after >= before))
    np.testing.assert_array_equal(before[:, -3:-1], X)


def test_what_decays_are_the_convex_networks_slopes():
    made = basis()
    found = made.network.decayed()
    assert len(found) == 3
    np.testing.assert_array_equal(found[0], made.network.convex.K[0])
