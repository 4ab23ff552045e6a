"""Few rows: when the Gaussian is returned, and when the average of what all folds found."""

import numpy as np
import pytest
from small_fits import ROUNDING, ends_early

from brenier import ConvexPotentialFlow
from brenier.potential.sums import SumPotential
from brenier.training.cross_fit import crossed
from brenier.training.settings import default_settings

pytestmark = ends_early
SMALL = {"widths": (4,), "n_radial": 0, "max_iter": 15}


def bent(N, seed):
    x = np.random.default_rng(seed).normal(size=(N, 2))
    x[:, 1] = 0.3 * x[:, 1] + x[:, 0] ** 2
    return x


@pytest.mark.filterwarnings("ignore:Expected more distinct rows than columns")
@pytest.mark.parametrize(("N", "n"), [(3, 1), (5, 2), (10, 1), (40, 2), (60, 5)])
def test_few_normal_rows_are_no_worse_than_their_gaussian(N, n):
    X = np.random.default_rng((7, N, n)).normal(size=(N, n))
    T = np.random.default_rng(8).normal(size=(4000, n))
    flow = ConvexPotentialFlow(**SMALL).fit(X)
    assert flow.score(T) > flow.baseline_score_samples(T).mean() - 0.1
    if N < 30:
        assert flow.report_.is_gaussian
        assert not flow.report_.searched
        assert "too few for more" in flow.report_.verdict


def test_few_bent_rows_are_averaged_over_folds_and_better_than_a_gaussian():
    X, T = bent(120, 0), bent(4000, 1)
    flow = ConvexPotentialFlow(**SMALL).fit(X)
    report = flow.report_
    assert not report.is_gaussian
    # A quarter held out by each of four: every row by one.
    assert (report.n_train, report.n_heldout, report.n_members) == (120, 120, 4)
    assert isinstance(flow.flow_.map, SumPotential)
    assert flow.score(T) > flow.baseline_score_samples(T).mean() + 0.3
    # The baseline is of all rows, not of a fold's.
    covariance = np.cov(X.T, ddof=0)
    centred = X - X.mean(axis=0)
    squares = np.sum(centred @ np.linalg.inv(covariance) * centred, axis=1)
    exact = -0.5 * (squares + np.linalg.slogdet(covariance)[1]) - np.log(2 * np.pi)
    np.testing.assert_allclose(flow.baseline_score_samples(X), exact, rtol=1e-9)


def test_rows_are_few_up_to_a_number_and_where_they_can_be_averaged():
    settings = default_settings()
    few = crossed(settings, 100.0)
    assert few.noise_max_bandwidth == np.inf
    assert few.noise_copies == 10
    assert crossed(settings, 301.0) == settings
    composed = default_settings(composed=True)
    assert crossed(composed, 100.0) == composed


def test_more_rows_are_averaged_over_folds_and_never_below_their_gaussian():
    X, T = bent(500, 0), bent(4000, 1)
    flow = ConvexPotentialFlow(**SMALL).fit(X)
    report = flow.report_
    # A hundred rows or so held out by each of four, and all but the judge rows trained on.
    assert (report.n_train + report.n_judge, report.n_members) == (500, 4)
    assert 320 < report.n_heldout < 480
    assert flow.score(T) > flow.baseline_score_samples(T).mean() + 0.3
    assert report.train_log_likelihood > report.gaussian_train_log_likelihood


@pytest.mark.parametrize("N", [120, 400])
def test_what_is_no_better_on_all_rows_is_the_gaussian_of_all(N):
    X = np.random.default_rng(N).normal(size=(N, 2)) @ np.array([[1.0, 0.6], [0.0, 1.0]])
    # A far row leaves the whitened rows correlated, along other axes in every split.
    X[0] *= 100.0
    flow = ConvexPotentialFlow(**SMALL, decay=1e4).fit(X)
    report = flow.report_
    assert report.train_log_likelihood >= report.gaussian_train_log_likelihood - ROUNDING
    assert report.is_gaussian
    np.testing.assert_allclose(
        flow.score_samples(X), flow.baseline_score_samples(X), rtol=0, atol=1e-9
    )


def test_own_splits_are_of_few_rows_or_given_a_context():
    assert default_settings().splits_are_own(2000)
    assert not default_settings().splits_are_own(2001)
    assert default_settings(conditional=True).splits_are_own(10**6)
    X = bent(500, 0)
    flow = ConvexPotentialFlow(**SMALL, n_estimators=2).fit(X, validation_data=bent(200, 1))
    assert flow.report_.n_heldout == 200
