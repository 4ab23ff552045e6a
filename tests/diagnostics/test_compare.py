"""Models compared: known divergences and entropies, paired differences, what could be chance."""

import json

import numpy as np
import pytest
from normal_model import normal
from scipy import stats

from brenier.diagnostics.compare import compare, weighted_mean_and_error
from brenier.diagnostics.near_normal import gaussian, standard_normal

COVARIANCE = np.array([[2.0, 0.6], [0.6, 1.0]])
FACTOR = np.linalg.cholesky(COVARIANCE)
OTHER = gaussian(np.array([0.5, 0.0]), COVARIANCE)


@pytest.fixture(scope="module")
def comparison():
    draws = [normal(20_000, 2), normal(20_000, 2, seed=1) @ FACTOR.T + [0.5, 0.0]]
    return compare(["normal", "other"], [standard_normal, OTHER], draws, normal(2000, 2, seed=2))


def known_divergence(mean, S, other):
    """Return KL(N(mean, S) || N(0, other))."""
    inverse = np.linalg.inv(other)
    quadratic = np.trace(inverse @ S) + mean @ inverse @ mean - len(mean)
    return 0.5 * (quadratic + np.log(np.linalg.det(other) / np.linalg.det(S)))


def test_divergences_are_known_both_ways(comparison):
    shift = np.array([0.5, 0.0])
    known = (
        known_divergence(shift, np.eye(2), COVARIANCE),
        known_divergence(shift, COVARIANCE, np.eye(2)),
    )
    found = comparison.divergences[[0, 1], [1, 0]]
    errors = comparison.divergence_errors[[0, 1], [1, 0]]
    assert (np.abs(found - known) < 3 * errors).all()
    np.testing.assert_array_equal(np.diag(comparison.divergences), 0)


def test_entropies_are_known(comparison):
    known = [stats.multivariate_normal(np.zeros(2), S).entropy() for S in (np.eye(2), COVARIANCE)]
    assert (np.abs(comparison.entropies - known) < 3 * comparison.entropy_errors).all()


def test_differences_are_paired_and_antisymmetric(comparison):
    X = normal(2000, 2, seed=2)
    lead = standard_normal(X) - OTHER(X)
    np.testing.assert_allclose(comparison.differences[0, 1], lead.mean())
    np.testing.assert_allclose(comparison.difference_errors[0, 1], stats.sem(lead))
    np.testing.assert_allclose(comparison.differences, -comparison.differences.T)


def test_the_best_is_named_and_plain(comparison):
    assert comparison.verdict.startswith("normal is the best of 2 on 2000 rows. It leads other by")
    assert "chance" not in comparison.verdict
    json.dumps(comparison.to_dict(), allow_nan=False)
    assert str(comparison).startswith(comparison.verdict)


def test_a_lead_that_could_be_chance_is_called_so():
    near = gaussian(np.array([0.01, 0.0]), np.eye(2))
    draws = [normal(100, 2), normal(100, 2, seed=1)]
    found = compare(["a", "b"], [standard_normal, near], draws, normal(50, 2, seed=2))
    assert "which could be chance" in found.verdict


def test_a_model_without_density_at_a_row_is_the_worst():
    def bounded(X):
        return np.where(X[:, 0] > 0, standard_normal(X), -np.inf)

    draws = [normal(100, 2), np.abs(normal(100, 2))]
    found = compare(["a", "b"], [standard_normal, bounded], draws, normal(50, 2))
    assert found.verdict.startswith("a is the best")
    assert "chance" not in found.verdict
    assert found.differences[0, 1] == np.inf


def test_whole_weights_are_copies_in_the_mean():
    values = normal(50)
    weights = np.repeat([1.0, 3.0], 25)
    mean, error = weighted_mean_and_error(values, weights)
    np.testing.assert_allclose(mean, np.average(values, weights=weights))
    assert error > weighted_mean_and_error(values, None)[1]
