"""Basis functions: what they are, their bounds, and convexity where it is promised."""

import numpy as np
import pytest

from brenier.networks.basis import NetworkBasis
from brenier.networks.tanh import TanhNetwork, initial_tanh_network

pytestmark = pytest.mark.usefixtures("x64")

ROUNDING = {"rtol": 1e-12, "atol": 1e-12}
X = np.random.default_rng(0).normal(size=(7, 2))


def test_layers_are_their_formulas():
    rng = np.random.default_rng(1)
    dense = initial_tanh_network(2, (3, 3, 3), rng)
    first = np.tanh(X @ dense.K[0].T + dense.b[0])
    added = np.tanh(first @ dense.K[1].T + dense.b[1])
    second = np.tanh(added @ dense.K[2].T + dense.b[2])
    np.testing.assert_allclose(dense.value(X), second, **ROUNDING)
    # Steps of half a unit of time: two residual layers.
    residual = TanhNetwork(dense.K, dense.b, residual=True)
    u = first + 0.5 * added
    u = u + 0.5 * np.tanh(u @ dense.K[2].T + dense.b[2])
    np.testing.assert_allclose(residual.value(X), u, **ROUNDING)


def test_affine_functions_are_among_the_models():
    basis = NetworkBasis(initial_tanh_network(2, (3,), np.random.default_rng(1)))
    F = basis.values(X)
    assert F.shape == (7, basis.n_functions)
    assert basis.n_functions == basis.network.width + 3
    np.testing.assert_array_equal(F[:, basis.network.width :], np.c_[X, np.ones(7)])
    assert not np.any(np.isfinite(basis.lower))


def test_units_alone_are_read_out_with_a_constant():
    network = initial_tanh_network(2, (3,), np.random.default_rng(1))
    basis, F = NetworkBasis(network, linear=False), NetworkBasis(network, linear=False).values(X)
    assert F.shape == (7, basis.n_functions) == (7, basis.network.width + 1)
    np.testing.assert_array_equal(F, np.c_[network.value(X), np.ones(7)])
    assert not np.any(np.isfinite(basis.lower))
