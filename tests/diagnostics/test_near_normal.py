"""Small densities: each is one, and says what it should where it is known."""

import numpy as np
import pytest
from normal_model import bent, normal
from scipy import stats

from brenier.diagnostics.given_context import fit_mixture_given, fit_scaled_by_context
from brenier.diagnostics.near_normal import (
    fit_contaminated,
    fit_diagonal,
    fit_full,
    fit_mixture_of,
    fit_none,
    fit_regressions,
    fit_scaled,
    fit_shifted,
    fit_sparse,
    gaussian,
    sparse_regression,
    standard_normal,
    terms,
)
from brenier.diagnostics.small_density import stacking_weights

KINDS = {
    "none": fit_none,
    "shifted": fit_shifted,
    "scaled": fit_scaled,
    "diagonal": fit_diagonal,
    "sparse": fit_sparse,
    "full": fit_full,
    "regressions": fit_regressions(reverse=False),
    "regressions in reverse": fit_regressions(reverse=True),
    "contaminated": fit_contaminated,
    "mixture": fit_mixture_of(3, "full"),
}
CONTEXT_KINDS = {"scaled": fit_scaled_by_context, "mixture": fit_mixture_given(2)}
POINTS = np.linspace(-9, 9, 181)
CELL = (POINTS[1] - POINTS[0]) ** 2
GRID = np.stack(np.meshgrid(POINTS, POINTS), axis=-1).reshape(-1, 2)


@pytest.mark.parametrize("name", KINDS)
def test_a_small_density_integrates_to_one(name):
    log_density = KINDS[name](bent(200) + [0.3, 0.0], 0)
    np.testing.assert_allclose(np.sum(np.exp(log_density(GRID))) * CELL, 1, atol=1e-3)


@pytest.mark.parametrize("name", CONTEXT_KINDS)
@pytest.mark.parametrize("at", [-1.0, 0.5])
def test_a_density_given_a_context_integrates_to_one_at_each(name, at):
    W = normal(200, 1, seed=1)
    Z = bent(200) * np.exp(0.3 * W) + 0.3 * W
    log_density = CONTEXT_KINDS[name](Z, W, 0)
    values = log_density(GRID, np.full((len(GRID), 1), at))
    np.testing.assert_allclose(np.sum(np.exp(values)) * CELL, 1, atol=2e-3)


def test_a_gaussian_is_that_of_scipy():
    mean, covariance = np.array([1.0, -2.0]), np.array([[2.0, 0.5], [0.5, 1.0]])
    X = normal(5, 2)
    expected = stats.multivariate_normal(mean, covariance).logpdf(X)
    np.testing.assert_allclose(gaussian(mean, covariance)(X), expected)


def test_the_sparse_density_of_normal_rows_is_the_normal():
    X = normal(300, 2)
    assert np.abs(X.mean(axis=0)).max() < 2 / np.sqrt(300)
    np.testing.assert_allclose(fit_sparse(X, 0)(X), standard_normal(X))


def test_the_sparse_density_keeps_what_is_not_chance():
    X = normal(300, 2)
    np.testing.assert_allclose(
        fit_sparse(X + [1.0, 0.0], 0)(X), gaussian(X.mean(0) * [1, 0] + [1, 0], np.eye(2))(X)
    )


def test_many_kept_correlations_are_those_of_a_covariance():
    X = normal(25, 12)
    X[:, 1:6] += X[:, :1] * [1, -1, 1, -1, 1]
    assert np.isfinite(fit_sparse(X, 0)(X)).all()


def test_a_sparse_regression_finds_the_terms_that_count():
    X = normal(500, 2)
    y = 0.5 * (X[:, 0] ** 2 - 1) + 0.8 * normal(500, seed=1)
    beta, sd = sparse_regression(terms(X, 50), y)
    # 1, the columns, their squares over sqrt(2), their product.
    np.testing.assert_allclose(beta, [0, 0, 0, 0.5 * np.sqrt(2), 0, 0], atol=0.1)
    assert abs(sd - 0.8) < 0.08


def test_too_few_rows_for_the_terms_give_none():
    beta, _ = sparse_regression(terms(normal(30, 4), 50), normal(30))
    np.testing.assert_array_equal(beta, 0)


def test_products_are_left_out_where_they_are_too_many():
    assert terms(normal(9, 3), 10).shape == (9, 10)
    assert terms(normal(9, 3), 9).shape == (9, 7)


def test_stacking_weights_are_the_best():
    X = normal(4000, 1) * np.where(np.random.default_rng(3).random((4000, 1)) < 0.3, 3.0, 1.0)
    wide = gaussian(np.zeros(1), 9 * np.eye(1))
    each = np.stack([standard_normal(X), wide(X)], axis=1)
    weights = stacking_weights(each)
    np.testing.assert_allclose(weights, [0.7, 0.3], atol=0.04)
    shares = np.linspace(0.01, 0.99, 99)
    values = [np.mean(np.log(np.exp(each) @ [1 - share, share])) for share in shares]
    assert np.mean(np.log(np.exp(each) @ weights)) > max(values) - 1e-6
