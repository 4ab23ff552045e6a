"""Integrals over a line: every mode is found, however narrow, and quantiles are the inverse."""

import numpy as np
import pytest
from scipy.stats import norm, t

from brenier.marginal.quadrature import NODES, X15, edges_of, integrate

# What the rules leave, and what a quantile of a distribution function of such an error may miss.
EXACT, QUANTILE = 1e-8, 1e-6
EDGES = edges_of(np.random.default_rng(0).normal(size=512))
K = 60


def normals(seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-3, 3, K), 10.0 ** rng.uniform(-4, 0.5, K)


def test_nodes_are_those_of_kronrod():
    legendre = np.polynomial.Legendre.basis(len(NODES) - 1)
    np.testing.assert_allclose(legendre(X15[1::2]), 0.0, atol=1e-14)
    assert np.all(np.diff(X15) > 0)


def test_normals_of_any_width_together():
    m, s = normals()
    panels = integrate(lambda k, x: norm.logpdf(x, m[k], s[k]), K, EDGES)
    np.testing.assert_allclose(panels.log_integrals, 0.0, atol=EXACT)
    np.testing.assert_allclose(panels.shares.sum(), K, rtol=EXACT)
    which = np.repeat(np.arange(K), 3)
    levels = np.tile([1e-3, 0.5, 0.9], K)
    found = (panels.quantiles(which, levels) - m[which]) / s[which]
    np.testing.assert_allclose(found, norm.ppf(levels), atol=QUANTILE)


@pytest.mark.parametrize("width", [0.3, 0.03, 0.003])
def test_two_modes_are_both_found(width):
    rng = np.random.default_rng(1)
    m, share = rng.uniform(-3, 3, (K, 2)), rng.uniform(0.01, 0.99, K)

    def log_function(k, x):
        first = np.log(share[k]) + norm.logpdf(x, m[k, 0], width)
        return np.logaddexp(first, np.log1p(-share[k]) + norm.logpdf(x, m[k, 1], 2 * width))

    panels = integrate(log_function, K, EDGES)
    np.testing.assert_allclose(panels.log_integrals, 0.0, atol=EXACT)


def test_what_lies_far_outside_is_found():
    panels = integrate(lambda k, x: norm.logpdf(x, 40.0 * k), 3, EDGES)
    np.testing.assert_allclose(panels.log_integrals, 0.0, atol=EXACT)


def test_heavy_tails():
    panels = integrate(lambda k, x: t.logpdf(x, 3.0), 1, EDGES)
    # Beyond the widest panels so much is left.
    assert panels.log_integrals[0] == pytest.approx(0.0, abs=1e-7)


def test_functions_that_are_zero_somewhere_and_everywhere():
    def half(k, x):
        return np.where((x > 0) & (k == 0), norm.logpdf(x), -np.inf)

    panels = integrate(half, 2, EDGES)
    assert panels.log_integrals[0] == pytest.approx(np.log(0.5), abs=EXACT)
    assert panels.log_integrals[1] == -np.inf


def test_scale_of_the_function_makes_no_difference():
    plain, scaled = (
        integrate(lambda k, x, c=c: norm.logpdf(x, 0.3, 0.2) + c, 1, EDGES) for c in (0.0, -4000.0)
    )
    assert scaled.log_integrals[0] + 4000.0 == pytest.approx(plain.log_integrals[0], abs=EXACT)


def test_no_integrals_are_none():
    assert integrate(lambda k, x: x, 0, EDGES).log_integrals.shape == (0,)


def test_many_integrals_are_those_of_one_at_a_time():
    m, s = np.linspace(-2, 2, 2100), 0.1
    panels = integrate(lambda k, x: norm.logpdf(x, m[k], s), len(m), EDGES)
    np.testing.assert_allclose(panels.log_integrals, 0.0, atol=EXACT)
    assert panels.quantiles(np.array([2099]), np.array([0.5]))[0] == pytest.approx(2.0, abs=1e-6)
