"""Constants that are known: of a normal distribution and of a funnel."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from brenier.marginal.evidence import of_draws, of_proposals

LOG_Z = 3.7


def funnel(X):
    """Return log p of v ~ N(0, 1), x_i ~ N(0, exp(v / 2)^2)."""
    v, x = X[:, 0], X[:, 1:]
    return norm.logpdf(v) + np.sum(norm.logpdf(x, 0.0, np.exp(v / 2)[:, None]), axis=1)


def funnel_rows(N, rng, spread=1.0):
    v = spread * rng.normal(size=N)
    return np.column_stack([v, np.exp(v / 2)[:, None] * rng.normal(size=(N, 3))])


def test_normal_by_proposals_and_by_draws():
    rng = np.random.default_rng(0)
    f, q = multivariate_normal(np.zeros(3)), multivariate_normal(np.full(3, 0.2), 1.3)
    X, Y = f.rvs(4000, rng), q.rvs(4000, rng)
    for found in (
        of_proposals(f.logpdf(Y) + LOG_Z, q.logpdf(Y)),
        of_draws(f.logpdf(X) + LOG_Z, q.logpdf(X), q.logpdf(Y), 0.8),
    ):
        assert abs(found.log_evidence - LOG_Z) < 4 * found.standard_error
        assert found.standard_error < 0.03
        assert found.pareto_shape < 0.7


def test_funnel_by_draws_though_its_tails_are_missed():
    # The density that is fitted has a funnel too short: q / f is bounded, f / q is not.
    rng = np.random.default_rng(1)
    X, Y = funnel_rows(20_000, rng), funnel_rows(20_000, rng, spread=0.7)

    def log_q(X):
        return funnel(X) - norm.logpdf(X[:, 0]) + norm.logpdf(X[:, 0], scale=0.7)

    by_draws = of_draws(funnel(X) + LOG_Z, log_q(X), log_q(Y), 0.8)
    assert abs(by_draws.log_evidence - LOG_Z) < 4 * by_draws.standard_error
    assert by_draws.standard_error < 0.02
    by_proposals = of_proposals(funnel(Y) + LOG_Z, log_q(Y))
    assert by_proposals.pareto_shape > by_draws.pareto_shape


def test_errors_are_what_they_are_said_to_be():
    rng = np.random.default_rng(2)
    z = []
    for _ in range(200):
        X, Y = rng.normal(size=400), 1.2 * rng.normal(size=400)
        log_f, log_q = norm.logpdf, lambda x: norm.logpdf(x, scale=1.2)
        found = of_draws(log_f(X), log_q(X), log_q(Y), 0.8)
        z.append(found.log_evidence / found.standard_error)
    assert 0.85 < np.std(z) < 1.2


def test_draws_that_are_worth_less_have_larger_errors():
    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=1000), rng.normal(size=100_000)
    one, ten = (
        of_draws(norm.logpdf(X), norm.logpdf(X), norm.logpdf(Y), 0.8, time) for time in (1.0, 10.0)
    )
    assert ten.standard_error == pytest.approx(np.sqrt(10) * one.standard_error, rel=0.05)
    assert ten.effective_size == pytest.approx(one.effective_size / 10)
    assert str(one).startswith("log evidence ")
