"""Simulators and their exact posteriors, the classifier test, and the benchmark's bookkeeping."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2, multivariate_normal

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks import sbi
    from benchmarks.observations import Official, Own
    from benchmarks.peers import Peer
    from benchmarks.peers.protocol import Posterior, draws_inside
    from examples import simulators
    from examples.c2st import c2st
    from examples.simulators import SIMULATORS, SLCP, TwoMoons
finally:
    sys.path.remove(str(ROOT))

# The least p-value of a correct sampler's tests; seeds are fixed, so that none fails by chance.
LEAST_P = 1e-3
# Kolmogorov's statistic at this p-value, a little more for the several columns.
LARGEST_DISTANCE = 2.2


def generator(seed=0):
    return np.random.default_rng(seed)


def an_observation(simulator, seed):
    rng = generator(seed)
    return simulator.simulate(simulator.prior(1, rng), rng)[0]


def worst_distance(simulator, x, seed):
    """Return how far draws of the posterior are from the prior's, weighted by the likelihood.

    The largest distance between distribution functions of any column, and of the log-likelihood,
    in units of its standard error: sqrt(1 / N + 1 / worth), where `worth` is the number of
    draws that the weighted ones are worth. The weights know nothing of how `posterior` draws.
    """
    draws = simulator.posterior(x, 20_000, generator(seed))
    theta = simulator.prior(1_000_000, generator(seed + 1))
    log_weights = simulator.log_likelihood(theta, x)
    weights = np.exp(log_weights - log_weights.max())
    worth = weights.sum() ** 2 / np.sum(weights**2)
    theta, log_weights, weights = (a[weights > 0] for a in (theta, log_weights, weights))
    assert worth > 2000
    error = math.sqrt(1 / len(draws) + 1 / worth)
    columns = [*zip(draws.T, theta.T, strict=True)]
    columns.append((simulator.log_likelihood(draws, x), log_weights))
    return max(distance(one, other, weights) for one, other in columns) / error


def distance(one, other, weights):
    """Return the largest distance of two distribution functions, the second one weighted."""
    order = np.argsort(other)
    below = np.cumsum(weights[order]) / weights.sum()
    return np.abs(
        np.searchsorted(np.sort(one), other[order], side="right") / len(one) - below
    ).max()


@pytest.mark.parametrize("simulator", SIMULATORS.values(), ids=SIMULATORS)
def test_priors_fill_their_box(simulator):
    theta = simulator.prior(10_000, generator())
    assert theta.shape == (10_000, simulator.n_parameters)
    assert simulator.inside(theta).all()
    # Mean and variance of a uniform distribution, within 5 standard errors.
    assert np.abs(theta.mean(axis=0)).max() < 5 * simulator.bound / math.sqrt(3 * 10_000)
    assert np.allclose(theta.var(axis=0), simulator.bound**2 / 3, rtol=5 * 0.9 / 100)
    assert simulator.bounds == [(-simulator.bound, simulator.bound)] * simulator.n_parameters


def test_two_moons_have_their_moments():
    theta = np.tile([0.3, -0.5], (100_000, 1))
    X = TwoMoons().simulate(theta, generator())
    # E[r cos a] = 0.1 * 2 / pi, E[r sin a] = 0; z = (-0.2, -0.8) / sqrt 2.
    expected = [0.25 + 0.2 / math.pi - 0.2 / math.sqrt(2), -0.8 / math.sqrt(2)]
    assert np.allclose(X.mean(axis=0), expected, atol=5 * 0.1 / math.sqrt(100_000))
    # theta and its mirror image (t_1 + t_2 of the other sign) have the same distribution.
    mirrored = TwoMoons().simulate(np.tile([0.5, -0.3], (100_000, 1)), generator())
    assert np.allclose(X, mirrored)


def test_two_moons_density_integrates_to_one():
    # Over theta at this x: once for each sign of z_1, and all of both crescents is in the box.
    h = 1e-3
    grid = np.arange(-1, 1, h) + h / 2
    theta = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    densities = np.exp(TwoMoons().log_likelihood(theta, np.array([-0.2, 0.0])))
    assert densities.sum() * h**2 == pytest.approx(2, abs=0.01)


def test_two_moons_draws_lead_back_to_the_observation():
    simulator, x = TwoMoons(), an_observation(TwoMoons(), 3)
    theta = simulator.posterior(x, 5000, generator())
    assert simulator.inside(theta).all()
    # The noise that makes x of theta lies on the crescent: r ~ N(0.1, 0.01^2), u >= 0.
    p = x - simulators._folded(theta) - [0.25, 0.0]
    assert (p[:, 0] >= 0).all()
    r = np.hypot(*p.T)
    assert np.abs(r - 0.1).max() < 5 * 0.01
    assert np.isfinite(simulator.log_likelihood(theta, x)).all()


def test_two_moons_draws_are_those_of_the_posterior():
    # At the second, |z_1| = p_1 - x_1 has no solution for a part of the noise.
    for x in (np.array([-0.2, 0.1]), np.array([0.3, 0.1])):
        assert worst_distance(TwoMoons(), x, 0) < LARGEST_DISTANCE


def test_slcp_has_the_density_of_four_normals():
    simulator, rng = SLCP(), generator()
    theta = simulator.prior(5, rng)
    x = simulator.simulate(theta, rng)[2]
    for row, log_likelihood in zip(theta, simulator.log_likelihood(theta, x), strict=True):
        s1, s2, rho = row[2] ** 2, row[3] ** 2, math.tanh(row[4])
        S = [[s1**2, rho * s1 * s2], [rho * s1 * s2, s2**2]]
        expected = multivariate_normal(row[:2], S).logpdf(x.reshape(4, 2)).sum()
        assert log_likelihood == pytest.approx(expected, rel=1e-8)


def test_slcp_has_its_moments():
    theta = np.tile([0.7, -2.9, -1.0, 0.8, 0.5], (100_000, 1))
    X = SLCP().simulate(theta, generator()).reshape(-1, 2)
    assert np.allclose(X.mean(axis=0), [0.7, -2.9], atol=0.01)
    assert np.allclose(np.std(X, axis=0), [1, 0.64], atol=0.01)
    assert np.corrcoef(X.T)[0, 1] == pytest.approx(math.tanh(0.5), abs=0.01)


def test_slcp_draws_are_those_of_the_posterior():
    # theta with wide posteriors, so that a million draws of the prior are worth thousands.
    rng = generator()
    for theta in ([-1.4, -1.2, 1.9, -2.4, 0.6], [2.7, -1.8, 2.0, -2.1, -1.5]):
        x = SLCP().simulate(np.array([theta]), rng)[0]
        assert worst_distance(SLCP(), x, 0) < LARGEST_DISTANCE


def test_slcp_draws_have_both_signs_of_the_roots_alike():
    simulator = SLCP()
    theta = simulator.posterior(an_observation(simulator, 4), 4000, generator())
    counts = np.unique(theta[:, 2:4] > 0, axis=0, return_counts=True)[1]
    assert len(counts) == 4
    assert np.sum((counts - 1000) ** 2 / 1000) < chi2.isf(LEAST_P, 3)


@pytest.mark.parametrize("simulator", SIMULATORS.values(), ids=SIMULATORS)
def test_the_parameters_rank_uniformly_among_draws_given_their_data(simulator):
    # Simulation-based calibration: theta and 99 draws given its data are exchangeable.
    rng = generator()
    theta = simulator.prior(500, rng)
    X = simulator.simulate(theta, rng)
    ranks = np.array(
        [(simulator.posterior(x, 99, rng) < t).sum(axis=0) for t, x in zip(theta, X, strict=True)]
    )
    counts = np.stack([np.bincount(column // 10, minlength=10) for column in ranks.T])
    assert (np.sum((counts - 50) ** 2 / 50, axis=1) < chi2.isf(LEAST_P, 9)).all()


def test_observations_that_no_parameters_made_are_errors(monkeypatch):
    monkeypatch.setattr(simulators, "MOST", 20_000)
    with pytest.raises(ValueError, match="parameters in the box could have made"):
        TwoMoons().posterior(np.array([9.0, 9.0]), 10, generator())
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        TwoMoons().posterior(np.zeros(3), 10, generator())


def test_equal_samples_are_not_told_apart_and_shifted_ones_are():
    rng = generator()
    reference, same = rng.normal(size=(2, 400, 2))
    # Four standard errors of a coin, thrown 800 times.
    assert c2st(reference, same) == pytest.approx(0.5, abs=0.07)
    assert c2st(reference, same + 10) == pytest.approx(1, abs=0.01)
    with pytest.raises(ValueError, match="one shape"):
        c2st(reference, same[1:])


class Exact:
    """A peer that knows the posterior of two_moons."""

    fits = 0
    missing = ()

    def load(self):
        return self.fit

    def fit(self, simulations, seed):
        Exact.fits += 1
        rng = generator(seed)
        return Posterior(lambda x, N: TwoMoons().posterior(x, N, rng), {})


def test_a_run_keeps_records_and_goes_on_from_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sbi.PEERS, "exact", Exact())
    choice = sbi.Choice(("two_moons",), (1000,), (0,), ("exact",))
    sbi.run(choice, Own(number=2, draws=200), tmp_path)
    sbi.run(choice, Own(number=2, draws=200), tmp_path)
    assert Exact.fits == 1
    records = sbi.report.read("sbi", tmp_path)
    assert [record["observation"] for record in records] == [0, 1]
    assert [record["draws"] for record in records] == [200, 200]
    assert all(record["c2st"] == pytest.approx(0.5, abs=0.1) for record in records)
    assert "two_moons, N = 1,000, seed 0, exact: C2ST 0." in capsys.readouterr().out


def test_what_is_not_installed_is_said_and_skipped(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sbi.PEERS, "npe", Peer("npe", "npe", ("no_such_package",), ""))
    choice = sbi.Choice(("two_moons",), (1000,), (0,), ("npe",))
    sbi.run(choice, Own(number=1, draws=10), tmp_path)
    assert "skipped npe: install no_such_package" in capsys.readouterr().out


def test_the_table_marks_the_best_and_shows_what_was_published():
    shared = {"data": "slcp, N = 1,000", "status": sbi.FITTED, "seconds": 3.0}
    records = [
        {**shared, "peer": peer, "observation": k, "c2st": value + 0.1 * k}
        for peer, value in (("brenier", 0.6), ("npe", 0.7))
        for k in range(2)
    ]
    lines = sbi.markdown(records, Own.published)
    assert "| | brenier | npe | NPE as published |" in lines
    assert "| slcp, N = 1,000 | **0.650 ± 0.071** | 0.750 ± 0.071 | 0.98 |" in lines
    lines = sbi.section(Official())(records)
    assert lines[0] == "## Posteriors from simulations, on the observations of sbibm"
    assert lines[4].startswith("- **brenier**: `ConditionalConvexPotentialFlow(")
    assert "| | brenier | npe | NPE | 5 NPE | TabPFN | NLE | transformer |" in lines
    cells = "0.968 | 0.965 | 0.895 | 0.904 |  |"
    assert f"| slcp, N = 1,000 | **0.650 ± 0.071** | 0.750 ± 0.071 | {cells}" in lines
    assert "| slcp, N = 1,000 | 3 | 3 |" in lines
    assert not any("max_seconds" in line for line in lines)


def test_fits_without_time_are_named():
    shared = {"data": "slcp, N = 1,000", "status": sbi.FITTED, "seconds": 3.0, "c2st": 0.6}
    chosen = {"brenier": {"status": "time limit", "max_seconds": 3.0}, "npe": {}}
    records = [
        {**shared, "peer": peer, "observation": 0, "chosen": own} for peer, own in chosen.items()
    ]
    assert (
        sbi.markdown(records, {})[-1] == "Ended by `max_seconds`: slcp, N = 1,000, brenier (3 s)."
    )


def test_draws_outside_of_the_box_are_made_anew():
    rng, inside = generator(), TwoMoons().inside
    draws = draws_inside(lambda size: 2 * rng.normal(size=(size, 2)), inside, 100)
    assert draws.shape == (100, 2)
    assert inside(draws).all()
    with pytest.raises(FloatingPointError, match="0 of 1000 draws"):
        draws_inside(lambda size: np.full((size, 2), 9.0), inside, 1)


def test_npe_stays_in_the_box(monkeypatch):
    pytest.importorskip("zuko")
    from benchmarks.peers import npe, zuko_flows

    monkeypatch.setattr(zuko_flows, "MAX_EPOCHS", 2)
    monkeypatch.setattr(npe, "RATES", (1e-2,))
    given = sbi.simulations("two_moons", 200, 0)
    posterior = npe.npe(given, 0)
    assert posterior.chosen["coordinates"] in ("plain", "logit")
    assert TwoMoons().inside(posterior.draw(given.data[0], 50)).all()
    low, high = np.array(given.bounds).T
    for kind in (npe.Plain, npe.Logit):
        coordinates = kind.of(low, high, given.theta)
        Z = coordinates(given.theta)
        assert np.allclose(coordinates.inverse(Z), given.theta)
        step = 1e-6 * np.ones(2)
        slopes = (coordinates(given.theta + step) - coordinates(given.theta - step)) / 2e-6
        log_det = np.log(slopes).sum(axis=1)
        assert np.allclose(coordinates.log_det(given.theta), log_det, atol=1e-4)
