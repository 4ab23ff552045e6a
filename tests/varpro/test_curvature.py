"""Gauss-Newton products against the dense matrix, made of the map's own derivatives."""

import jax
import numpy as np
import pytest
from small_problem import N_ROWS, function, network, rows

from brenier.linalg import unpack
from brenier.varpro.function import FullFunction

pytestmark = pytest.mark.usefixtures("x64")

# Inverses and sums over rows, of numbers of order one to a hundred.
ROUNDING = {"rtol": 1e-8, "atol": 1e-9}


def dense_matrix(p, theta, w):
    """Return M = sum_j omega_j Y_j^T l'' Y_j + decay + ridge in (mu, w)."""
    q, (X, weights) = len(theta), rows()
    omega = weights / weights.sum()

    def outputs(both):
        z, A = p.map(both[:q], both[q:]).gradient_and_hessian(X)
        return (z.T, unpack(A)), unpack(A)

    both = np.concatenate([theta, w])
    (Y_z, Y_A), A = jax.jit(jax.jacrev(outputs, has_aux=True))(both)
    inverse = np.linalg.inv(A)
    M = np.einsum("j,jap,jaq->pq", omega, Y_z, Y_z)
    S = np.einsum("jab,jbcp->jacp", inverse, Y_A)
    M += np.einsum("j,jabp,jbaq->pq", omega, S, S)
    # K comes first in the vector and L last; b in between has no decay.
    net = network("bounds")
    n_K, n_b = sum(K.size for K in net.K), sum(b.size for b in net.b)
    is_bias = (np.arange(q) >= n_K) & (np.arange(q) < n_K + n_b)
    return M + np.diag(np.concatenate([1e-3 * ~is_bias, p.ridge]))


def products(function_, here):
    """Return the rows of the Gauss-Newton matrix, by as many products."""
    product, before = function_.curvature(here), function_.counters.work_units
    found = np.stack([product(v) for v in np.eye(len(here.x))])
    assert function_.counters.work_units - before == len(here.x) * N_ROWS
    assert np.linalg.eigvalsh(found).min() > -ROUNDING["atol"]
    return found


def test_reduced_products_are_those_of_the_schur_complement():
    reduced, theta = function()
    p, here = reduced.problem, reduced.evaluate(theta)
    q, w = len(theta), here.w
    M = dense_matrix(p, theta, w)
    s = np.where(np.isfinite(p.lower), w - np.where(np.isfinite(p.lower), p.lower, 0), np.inf)
    M_ww = M[q:, q:] + np.diag(1e-3 / s**2)
    schur = M[:q, :q] - M[:q, q:] @ np.linalg.solve(M_ww, M[q:, :q])
    np.testing.assert_allclose(products(reduced, here), schur, **ROUNDING)


def test_full_products_are_those_of_the_dense_matrix():
    full, x = function(FullFunction)
    here = full.evaluate(x)
    dense = dense_matrix(full.problem, here.theta, here.w)
    np.testing.assert_allclose(products(full, here), dense, **ROUNDING)
