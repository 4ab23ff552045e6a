"""Gaussian mixtures of weighted rows, and how much of each density is in a pool."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture as OfScikitLearn

from brenier.data.rows import WeightedRows, canonical_rows
from brenier.training.gaussian_mixture import fit_gaussian_mixture
from brenier.training.pool import PARTS, pool_weights, unseen_log_density
from brenier.training.settings import default_settings

SETTINGS = default_settings()
RNG = np.random.default_rng(0)
Y = np.concatenate([RNG.normal(size=(200, 2)), 0.5 * RNG.normal(size=(100, 2)) + [4.0, 1.0]])


def of_rows(Y, weights=None, **changes):
    return fit_gaussian_mixture(
        canonical_rows(Y, weights, 0), 2, (0,), replace(SETTINGS, **changes)
    )


def test_two_pieces_are_found():
    mixture = of_rows(Y)
    heavier = np.argmax(mixture.weights)
    assert mixture.weights[heavier] == pytest.approx(2 / 3, abs=0.03)
    np.testing.assert_allclose(mixture.gaussians.means[heavier], [0, 0], atol=0.2)
    np.testing.assert_allclose(mixture.gaussians.means[1 - heavier], [4, 1], atol=0.2)


def test_it_ends_where_that_of_scikit_learn_does():
    mixture = of_rows(Y, mixture_tol=1e-10, mixture_iterations=1000)
    peer = OfScikitLearn(2, tol=1e-10, max_iter=1000, random_state=0).fit(Y)
    np.testing.assert_allclose(mixture.log_density(Y), peer.score_samples(Y), atol=1e-3)


def test_an_integer_weight_is_that_many_copies():
    weights = RNG.integers(1, 4, size=len(Y)).astype(float)
    copies = np.repeat(Y, weights.astype(int), axis=0)
    np.testing.assert_allclose(
        of_rows(Y, weights).log_density(Y), of_rows(copies).log_density(Y), rtol=1e-9
    )


@pytest.mark.parametrize("size", [1, 3, 8])
def test_the_likelihood_climbs(size):
    reached = []
    for iterations in range(6):
        settings = replace(SETTINGS, mixture_iterations=iterations, mixture_tol=0.0)
        rows = canonical_rows(Y, None, 0)
        mixture = fit_gaussian_mixture(rows, size, (0,), settings)
        reached.append(rows.mean(mixture.log_density(rows.X)))
    # Up to what is added to the variances.
    assert np.all(np.diff(reached) > -1e-6)


def test_rows_on_a_point_have_the_least_variance():
    rows = WeightedRows(np.array([[0.0], [1e-9], [1.0], [2.0]]), np.ones(4), np.arange(4) / 4)
    mixture = fit_gaussian_mixture(rows, 2, (0,), SETTINGS)
    assert np.min(mixture.gaussians.factors) >= SETTINGS.least_variance**0.5


def test_pool_weights_are_the_best_there_are():
    log_densities = RNG.normal(size=(50, 4)) - [0.0, 0.5, 2.0, 0.1]
    omega = RNG.uniform(size=50)
    a = pool_weights(log_densities, omega)

    def loss(u):
        b = np.exp(u - logsumexp(u))
        told = omega / omega.sum() @ logsumexp(log_densities + np.log(b), axis=1)
        return -(told + np.mean(np.log(b)) / 50)

    best = minimize(loss, np.zeros(4), tol=1e-14).x
    assert a.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(a, np.exp(best - logsumexp(best)), atol=1e-4)


def test_no_row_decides_the_weights_that_judge_it():
    log_densities = RNG.normal(size=(30, 3))
    # Pairs of rows decide together.
    blocks = np.repeat(np.arange(15), 2)
    unseen = unseen_log_density(log_densities, np.ones(30), blocks)
    for j in range(30):
        others = blocks % PARTS != blocks[j] % PARTS
        a = pool_weights(log_densities[others], np.ones(others.sum()))
        assert unseen[j] == pytest.approx(logsumexp(log_densities[j] + np.log(a)), abs=1e-12)


def test_a_row_alone_is_judged_by_an_even_pool():
    log_densities = RNG.normal(size=(1, 3))
    unseen = unseen_log_density(log_densities, np.ones(1), np.zeros(1, int))
    assert unseen[0] == pytest.approx(logsumexp(log_densities[0] - np.log(3)), abs=1e-12)


def test_a_density_that_misses_rows_gets_hardly_anything():
    log_densities = np.zeros((1000, 2))
    log_densities[:200, 1] = -np.inf
    a = pool_weights(log_densities, np.ones(1000))
    assert a[1] < 0.01
