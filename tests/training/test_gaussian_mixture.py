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
from brenier.training.pooling import kinds_of_mixtures
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


def test_a_prior_draws_covariances_towards_their_mean():
    rows = canonical_rows(Y, RNG.uniform(0.5, 2.0, size=len(Y)), 0)
    settings = replace(SETTINGS, mixture_iterations=0, least_variance=0.0)
    prior = 12.5

    def covariances(prior):
        mixture = fit_gaussian_mixture(rows, 3, (0,), settings, prior)
        factors = mixture.gaussians.factors
        return factors @ factors.transpose(0, 2, 1), mixture.weights

    own, weights = covariances(0.0)
    n_rows = rows.effective_size * weights
    common = np.average(own, axis=0, weights=weights)
    drawn = [(N * S + prior * common) / (N + prior) for N, S in zip(n_rows, own, strict=True)]
    np.testing.assert_allclose(covariances(prior)[0], drawn, rtol=1e-10)
    far = covariances(1e12)[0]
    np.testing.assert_allclose(far, np.broadcast_to(common, far.shape), rtol=1e-6)


def test_a_prior_gains_where_components_have_few_rows_a_column():
    rng = np.random.default_rng(1)
    centres, width = rng.normal(size=(4, 12)), 0.3

    def drawn(N):
        return centres[rng.integers(4, size=N)] + width * rng.normal(size=(N, 12))

    rows, fresh = canonical_rows(drawn(100), None, 0), drawn(500)
    reached = [
        fit_gaussian_mixture(rows, 4, (0,), SETTINGS, prior).log_density(fresh).mean()
        for prior in (0.0, SETTINGS.mixture_prior * 13)
    ]
    assert reached[1] > reached[0] + 1.0


def sizes(N, n, starts=3, **changes):
    kinds = kinds_of_mixtures(N, n, starts, replace(SETTINGS, **changes))
    assert len(set(kinds)) == len(kinds)
    return [kind.size for kind in kinds if not kind.prior], [k.size for k in kinds if k.prior]


def test_mixtures_with_a_prior_are_beside_the_others():
    # A quarter of 1,258 images of 61 pixels held out.
    plain, with_prior = sizes(943, 61)
    assert plain == [1, *np.repeat([2, 3, 4, 6, 8, 12], 3)]
    # Without it there would be no more than 15 components.
    assert with_prior == [2, 3, 4, 6, 8, 12, *np.repeat([16, 24, 32, 48, 64], 3)]
    assert sizes(943, 61, mixture_prior=0.0) == (plain, [])


def test_rows_enough_need_no_prior():
    plain, with_prior = sizes(8192, 2)
    assert max(plain) == 64
    assert with_prior == []
    assert sizes(1000, 2)[1] == [24, 32, 48, 64]


def test_mixtures_with_a_prior_fit_into_memory():
    assert max(sizes(3500, 663)[1]) * 663**2 <= SETTINGS.mixture_prior_numbers


def test_there_are_none_whose_common_covariance_has_no_inverse():
    assert sizes(40, 100) == ([1], [])
    assert sizes(103, 100)[1] == [2, 2, 2]


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
