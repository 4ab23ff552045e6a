"""Trust-region steps in a Krylov space, against the whole space's."""

import numpy as np
import pytest
from scipy.optimize import brentq

from brenier.optimizers.krylov import KrylovSpace

RNG = np.random.default_rng(0)
G = RNG.normal(size=12)
A = RNG.normal(size=(9, 12))
# Three directions have no curvature.
M = A.T @ A


def space(radius, tolerance=1e-12, max_products=12, matrix=M):
    made = []

    def product(v):
        made.append(v)
        return matrix @ v

    return KrylovSpace.of(product, G, radius, tolerance, max_products), made


def exact(radius):
    """Return the region's step by the whole matrix; here it is always on the boundary."""

    def step(shift):
        return -np.linalg.solve(M + shift * np.eye(12), G)

    shift = brentq(lambda shift: np.linalg.norm(step(shift)) - radius, 1e-8, 1e8, xtol=1e-14)
    return step(shift)


@pytest.mark.parametrize("radius", [0.01, 0.3, 3.0])
def test_steps_are_those_of_the_whole_space(radius):
    step, predicted = space(radius)[0].step(radius)
    np.testing.assert_allclose(step, exact(radius), rtol=1e-6, atol=1e-8)
    assert np.linalg.norm(step) == pytest.approx(radius)
    assert predicted == pytest.approx(-(G @ step + 0.5 * step @ M @ step))


def test_a_smaller_region_needs_no_product():
    made, products = space(3.0)
    n = len(products)
    np.testing.assert_allclose(made.step(0.1)[0], exact(0.1), rtol=1e-5, atol=1e-7)
    assert len(products) == n


def test_within_the_region_it_is_newtons_step():
    matrix = M + np.eye(12)
    step, _ = space(1e3, matrix=matrix)[0].step(1e3)
    np.testing.assert_allclose(step, -np.linalg.solve(matrix, G), rtol=1e-8, atol=1e-10)


def test_products_end_at_the_tolerance_or_the_limit():
    # In a small region one product shows where to go.
    assert len(space(1e-6, tolerance=1e-2)[1]) == 1
    assert len(space(3.0, max_products=4)[1]) == 4
    # Two eigenvalues make a space of two dimensions.
    assert len(space(1e3, matrix=np.diag([1.0, 2.0] * 6))[1]) == 2


@pytest.mark.parametrize("radius", 10.0 ** np.arange(-8, 9, 2.0))
def test_without_curvature_the_step_goes_down_to_the_boundary(radius):
    step, _ = space(radius, matrix=np.zeros((12, 12)))[0].step(radius)
    np.testing.assert_allclose(step, -radius * G / np.linalg.norm(G), rtol=1e-6)
