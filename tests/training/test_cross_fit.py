"""Few rows: when the Gaussian is returned, and when the average of what all folds found."""

import numpy as np
import pytest
from small_fits import ends_early

from brenier import ConvexPotentialFlow
from brenier.potential.features import SumPotential
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
