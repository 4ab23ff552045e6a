"""Draws of a posterior from its likelihood, against exact ones."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp, truncnorm
from small_fits import ends_early, other_defaults

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks.peers.convex import likelihood, likelihood_of_parts
    from benchmarks.peers.protocol import Simulations
    from examples import likelihood as sampler
    from examples.simulators import SIMULATORS
finally:
    sys.path.remove(str(ROOT))

# Kolmogorov's distance of 4000 draws and 4000 nearly independent ones: 0.036 has a p-value of 1 %.
LARGEST_DISTANCE = 0.06
# Fits of a line with constant error.
FEW = {"widths": (4,), "context_widths": (4,), "decay": 1e-2, "max_iter": 15}
FEW |= {"n_estimators": 1, "n_estimators_few": 1}


def generator(seed=0):
    return np.random.default_rng(seed)


def distance(draws, exact):
    return max(ks_2samp(*pair).statistic for pair in zip(draws.T, exact.T, strict=True))


def test_two_moons_are_drawn_with_both_crescents():
    simulator, x = SIMULATORS["two_moons"], np.array([-0.2, 0.1])
    draws = sampler.posterior(
        lambda theta: simulator.log_likelihood(theta, x), simulator.bounds, 4000, generator()
    )
    assert simulator.inside(draws).all()
    assert distance(draws, simulator.posterior(x, 4000, generator())) < LARGEST_DISTANCE
    # Rows that were drawn anew have moved apart.
    assert len(np.unique(draws, axis=0)) > 3900


def test_slcp_is_drawn_with_its_four_modes():
    simulator, rng = SIMULATORS["slcp"], generator()
    x = simulator.simulate(np.array([[0.7, -1.2, 1.2, -0.9, 0.6]]), rng)[0]
    draws = sampler.posterior(
        lambda theta: simulator.log_likelihood(theta, x), simulator.bounds, 4000, rng
    )
    assert distance(draws, simulator.posterior(x, 4000, rng)) < LARGEST_DISTANCE


def test_draws_respect_the_box_and_may_be_few():
    draws = sampler.posterior(
        lambda theta: -0.5 * (theta[:, 0] - 1) ** 2, [(0.0, 1.0)], 500, generator()
    )
    assert draws.shape == (500, 1)
    exact = truncnorm.rvs(-1, 0, loc=1, size=4000, random_state=0)
    assert ks_2samp(draws[:, 0], exact).pvalue > 1e-3


def test_an_impossible_observation_is_an_error():
    with pytest.raises(ValueError, match=r"none in 4000.*the observation and the box"):
        sampler.posterior(
            lambda theta: np.full(len(theta), -np.inf), [(0.0, 1.0)], 100, generator()
        )


@ends_early
@pytest.mark.parametrize("learn", [likelihood, likelihood_of_parts])
def test_learnt_likelihoods_lead_to_the_posterior(learn):
    # Two draws of N(theta, 1 / 4) under a flat prior: theta is N(their mean, 1 / 8).
    rng = generator()
    theta = rng.uniform(-2, 2, size=(400, 1))
    given = Simulations(theta, theta + 0.5 * rng.normal(size=(400, 2)), [(-2.0, 2.0)], 2)
    with other_defaults(**FEW):
        posterior = learn(given, 0, 20.0)
    draws = posterior.draw(np.array([0.1, 0.5]), 2000)
    assert draws.mean() == pytest.approx(0.3, abs=0.15)
    assert draws.std() == pytest.approx(0.5**1.5, rel=0.25)
    assert posterior.chosen["max_seconds"] == 20.0
