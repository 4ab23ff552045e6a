"""Marginal likelihoods from fitted densities: constants that are known."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm
from small_fits import ends_early, small

from brenier import (
    ConditionalConvexPotentialFlow,
    ConvexPotentialFlow,
    TriangularConvexPotentialFlow,
)
from brenier.status import InputWarning

pytestmark = ends_early
LOG_Z = -12.5
NORMAL = multivariate_normal(np.array([1.0, -2.0]), np.array([[1.0, 0.6], [0.6, 2.0]]))


def log_posterior(X):
    return NORMAL.logpdf(X) + LOG_Z


@pytest.fixture(scope="module")
def posterior():
    return small().fit(NORMAL.rvs(400, random_state=0))


def test_by_evaluations_at_new_draws(posterior):
    found = posterior.evidence(log_posterior, n_samples=4000)
    assert abs(found.log_evidence - LOG_Z) < 4 * found.standard_error
    assert found.standard_error < 0.02
    assert found.n_draws == 4000
    assert found.effective_size > 2000
    again = posterior.evidence(log_posterior, n_samples=4000)
    assert again.log_evidence == found.log_evidence


def test_by_draws_and_their_values(posterior):
    X = NORMAL.rvs(2000, random_state=1)
    found = posterior.evidence_of_draws(X, log_posterior(X))
    assert abs(found.log_evidence - LOG_Z) < 4 * found.standard_error
    assert found.standard_error < 0.02
    # Every draw five times in a row, as of a chain that stays where it is.
    chain = np.repeat(X, 5, axis=0)
    alike = posterior.evidence_of_draws(chain, log_posterior(chain), groups=np.zeros(len(chain)))
    assert alike.log_evidence == pytest.approx(found.log_evidence, abs=1e-9)
    assert alike.standard_error == pytest.approx(found.standard_error, rel=0.3)


def test_posteriors_with_tails_that_are_missed_are_warned_of(posterior):
    wide = multivariate_normal(NORMAL.mean, 12.0 * NORMAL.cov)
    with pytest.warns(InputWarning, match="neither the estimate nor its standard error"):
        posterior.evidence(wide.logpdf)


def test_wrong_values_are_named(posterior):
    X = NORMAL.rvs(10, random_state=1)
    with pytest.raises(ValueError, match=r"Expected 10 numbers as log_posterior.* shape \(9,\)"):
        posterior.evidence_of_draws(X, log_posterior(X)[:9])
    with pytest.raises(ValueError, match="got -inf in row 3"):
        posterior.evidence_of_draws(X, np.where(np.arange(10) == 3, -np.inf, 0.0))
    with pytest.raises(ValueError, match="NaN or plus infinity"):
        posterior.evidence(lambda X: np.full(len(X), np.nan))
    with pytest.raises(ValueError, match="one label of groups"):
        posterior.evidence_of_draws(X, log_posterior(X), groups=[1, 2])


def test_one_draw_has_no_error(posterior):
    with pytest.raises(ValueError, match=r"Expected 2 n_samples or more.*got 1"):
        posterior.evidence(log_posterior, n_samples=1)
    with pytest.raises(ValueError, match=r"Expected 2 draws or more.*got 1"):
        posterior.evidence_of_draws([[1.0, -2.0]], [LOG_Z])


def test_a_funnel_by_a_density_that_was_fitted_to_it():
    rng = np.random.default_rng(4)
    v = rng.normal(size=3000)
    X = np.column_stack([v, np.exp(v / 2) * rng.normal(size=3000)])

    def log_funnel(X):
        return norm.logpdf(X[:, 0]) + norm.logpdf(X[:, 1], scale=np.exp(X[:, 0] / 2)) + LOG_Z

    parts = {"widths": (4,), "n_estimators": 1, "max_iter": 40, "decay": 1e-3}
    following = ConditionalConvexPotentialFlow(context_widths=(4,), **parts)
    leading = ConvexPotentialFlow(n_radial=0, noise=0.0, **parts)
    density = TriangularConvexPotentialFlow(leading=leading, following=following).fit(X[:1500])
    by_draws = density.evidence_of_draws(X[1500:], log_funnel(X[1500:]))
    for found in (density.evidence(log_funnel, n_samples=4000), by_draws):
        assert abs(found.log_evidence - LOG_Z) < 4 * found.standard_error
        assert found.standard_error < 0.03
        assert found.pareto_shape < 0.7
