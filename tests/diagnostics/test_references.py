"""Reference densities: known scores, in the data's units, joint and given a context."""

import numpy as np
import pytest
from normal_model import normal
from scipy import stats

from brenier.diagnostics.references import REFERENCES, mean_and_error, reference_scores

UNITS = np.array([100.0, 0.01])


def scores(train, judged, n, model):
    return reference_scores(train, judged, n, model, "other rows", 0)


def test_all_come_near_the_entropy_of_a_gaussian_in_the_data_s_units():
    train, judged = UNITS * normal(1500, 2), UNITS * normal(3000, 2, seed=1)
    model = stats.multivariate_normal(np.zeros(2), np.diag(UNITS**2)).logpdf(judged)
    found = scores(train, judged, 2, model)
    assert [score.name for score in found] == ["model", *(name for name, _ in REFERENCES)]
    for score in found[1:]:
        assert -0.01 < score.lead < 0.06, score.name
        np.testing.assert_allclose(score.mean + score.lead, found[0].mean)


def test_of_a_conditional_density_the_context_s_own_is_taken_away():
    def rows(N, seed):
        X = normal(N, 2, seed=seed)
        return np.stack([2 * X[:, 1] + 0.5 * X[:, 0], X[:, 1]], axis=1)

    judged = rows(3000, 1)
    model = stats.norm.logpdf(judged[:, 0], 2 * judged[:, 1], 0.5)
    found = {score.name: score for score in scores(rows(1500, 0), judged, 1, model)}
    assert abs(found["Gaussian"].lead) < 0.01
    assert abs(found["Gaussian mixture"].lead) < 0.03
    # Its kernels are as wide along the shape as across.
    assert -0.01 < found["kernel density"].lead < 0.3


@pytest.mark.parametrize("N", [2, 200])
def test_mean_and_error_are_numpy_s(N):
    values = normal(N)
    expected = values.mean(), stats.sem(values)
    np.testing.assert_allclose(mean_and_error(values), expected)


def test_a_single_value_has_no_error():
    assert np.isnan(mean_and_error(np.ones(1))[1])
