"""Marginal likelihoods from fitted densities: constants that are known."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from small_fits import ends_early, small

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
