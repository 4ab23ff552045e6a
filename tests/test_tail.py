"""Heavy tails: the map, its inverse and Jacobian, and how heavy held-out rows make them."""

from copy import copy
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats
from scipy.integrate import simpson
from sklearn.exceptions import ConvergenceWarning

from brenier import ConditionalConvexPotentialFlow, load
from brenier.flow.tail import Tail, lambert_w
from brenier.status import FitStatus
from brenier.training.tail import MOST_H, fit_tail

pytestmark = [
    pytest.mark.usefixtures("x64"),
    pytest.mark.filterwarnings(
        "ignore:The fit ended with status 'iteration limit':sklearn.exceptions.ConvergenceWarning"
    ),
]
ROUNDING = {"rtol": 1e-12, "atol": 1e-12}
H = 0.2


def images(n, scale=3.0, n_rows=9, seed=0):
    """Return z, (n, rows)."""
    return jnp.asarray(scale * np.random.default_rng(seed).normal(size=(n, n_rows)))


def test_lambert_w_from_zero_to_overflow():
    v = np.concatenate([[0.0], np.geomspace(1e-300, 1e300, 1001)])
    np.testing.assert_allclose(lambert_w(jnp.asarray(v)), special.lambertw(v).real, rtol=1e-14)


@pytest.mark.parametrize("n", [1, 3])
def test_forward_and_inverse_and_jacobian(n):
    tail, z = Tail(jnp.asarray(H)), images(n)
    u, log_det = tail.forward(z)
    np.testing.assert_allclose(tail.inverse(u.T).T, z, **ROUNDING)
    jacobians = jax.vmap(jax.jacfwd(lambda z: tail.forward(z[:, None])[0][:, 0]), in_axes=1)(z)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobians).logabsdet, **ROUNDING)
    # The gradient of a convex function: symmetric, with positive eigenvalues.
    np.testing.assert_allclose(jacobians, np.swapaxes(jacobians, 1, 2), **ROUNDING)
    assert (np.linalg.eigvalsh(jacobians) > 0).all()


@pytest.mark.parametrize("n", [1, 3])
def test_one_sphere_stays_where_it_is_and_far_points_come_nearer(n):
    tail, z = Tail(jnp.asarray(H)), images(n)
    on_sphere = z * jnp.sqrt((n + 1) / jnp.sum(z**2, axis=0))
    np.testing.assert_allclose(tail.forward(on_sphere)[0], on_sphere, **ROUNDING)
    u, _ = tail.forward(1e8 * z)
    assert (np.linalg.norm(u, axis=0) < 20).all()
    # Where |z|^2 overflows nothing is NaN.
    u, log_det = tail.forward(1e200 * z)
    assert np.isfinite(u).all()
    assert np.isfinite(log_det).all()
    np.testing.assert_array_equal(np.sign(u), np.sign(z))


def test_survival_falls_like_the_power_that_is_said():
    y = np.array([[1e10, 1e14]])
    u, _ = Tail(jnp.asarray(H)).forward(jnp.asarray(y))
    log_survival = stats.norm.logsf(np.asarray(u)[0])
    slope = np.diff(log_survival)[0] / np.log(1e4)
    # Its logarithm over that of y, up to the logarithm of u.
    assert slope == pytest.approx(-1 / H, rel=0.05)


def test_normal_rows_get_no_tail_and_heavy_ones_the_likeliest():
    rng = np.random.default_rng(0)
    ones = np.ones(2000)
    assert fit_tail(rng.normal(size=(2000, 2)), ones) is None
    z = rng.standard_t(4, size=(2000, 1))
    tail = fit_tail(z, ones)
    assert 0.05 < tail.h < MOST_H

    def log_likelihood(h):
        u, log_det = Tail(jnp.asarray(h)).forward(jnp.asarray(z.T))
        return np.sum(stats.norm.logpdf(u)[0] + log_det)

    best = log_likelihood(float(tail.h))
    for other in (0.9, 1.1):
        assert log_likelihood(other * float(tail.h)) < best
    assert best > np.sum(stats.norm.logpdf(z)) + 100


def test_tail_knows_no_scale_of_the_weights():
    z = np.random.default_rng(1).standard_t(3, size=(200, 1))
    weights = np.random.default_rng(2).uniform(0.1, 2.0, size=200)
    tail, other = fit_tail(z, weights), fit_tail(z, 1e-6 * weights)
    assert float(tail.h) == pytest.approx(float(other.h), rel=1e-6)
    # Hardly any row says anything: no tail.
    weights = np.where(np.arange(200) < 2, 1.0, 1e-9)
    assert fit_tail(z, weights) is None


def test_rows_held_out_several_times_count_once():
    z = np.random.default_rng(3).standard_t(6, size=(100, 1))
    assert fit_tail(z, np.ones(100)) is not None
    assert fit_tail(z, np.ones(100), 20.0) is None


def heavy(seed=0, n_rows=400):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n_rows, 1))
    return X, X[:, 0] + 0.1 * rng.standard_t(4, size=n_rows)


@pytest.fixture(scope="module")
def flow():
    settings = {"widths": (3,), "context_widths": (3,), "n_gates": 1, "decay": 1e-2}
    return ConditionalConvexPotentialFlow(**settings, n_estimators=2, max_iter=15).fit(*heavy())


def test_fit_to_heavy_tailed_targets_has_a_tail_and_says_so(flow):
    assert flow.report_.status in (FitStatus.ITERATION_LIMIT, FitStatus.STOPPED_ON_VALIDATION)
    assert flow.report_.tail == float(flow.flow_.tail.h) > 0.02
    X, y = heavy(seed=1, n_rows=2000)
    without = copy(flow)
    without.flow_ = replace(flow.flow_, tail=None)
    assert flow.score(X, y) > without.score(X, y)
    # A row that is a thousand standard deviations away.
    far = [one.score_samples(X[:1], [100.0])[0] for one in (flow, without)]
    assert far[0] > 0.1 * far[1]
    p = flow.cdf(X, y)
    assert 0.85 < np.mean((p > 0.05) & (p < 0.95)) < 0.95


def test_the_regression_is_left_as_it_is():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(400, 1))
    y = X[:, 0] + 0.1 * rng.standard_t(3, size=400)
    settings = {"widths": (3,), "context_widths": (3,), "n_gates": 1, "decay": 1e-2}
    flow = ConditionalConvexPotentialFlow(**settings, n_estimators=2, max_seconds=0.0)
    with pytest.warns(ConvergenceWarning, match="time limit"):
        flow.fit(X, y)
    assert flow.report_.is_gaussian
    assert flow.flow_.tail is None
    np.testing.assert_allclose(flow.score_samples(X, y), flow.baseline_score_samples(X, y))


def test_bounded_targets_have_no_tail():
    X, y = heavy()
    settings = {"widths": (3,), "context_widths": (3,), "n_gates": 1, "decay": 1e-2}
    bounded = ConditionalConvexPotentialFlow(**settings, n_estimators=2, max_iter=15)
    bounded.set_params(bounds=[(0, None)]).fit(X, np.exp(y))
    assert bounded.flow_.tail is None
    assert bounded.report_.tail == 0.0
    # Its conditional mean would be infinite.
    assert bounded.mean(X).max() < 1e3


def test_laws_hold_with_a_tail(flow):
    X, y = heavy(seed=2, n_rows=60)
    Z = flow.transform(X, y)
    np.testing.assert_allclose(flow.inverse_transform(X, Z)[:, 0], y, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(flow.cdf(X, flow.quantile(X, 0.99)), 0.99, rtol=0, atol=1e-10)
    low, high = flow.quantile(X[:1], [1e-6, 1 - 1e-6])[0]
    centre = float(flow.quantile(X[:1], 0.5)[0])
    steps = np.sinh(np.linspace(np.arcsinh(low - centre), np.arcsinh(high - centre), 20001))
    density = np.exp(flow.score_samples(np.tile(X[:1], (len(steps), 1)), centre + steps))
    assert simpson(density, x=steps) == pytest.approx(1.0, abs=1e-4)
    h = 1e-6
    slope = (flow.transform(X, y + h) - flow.transform(X, y - h))[:, 0] / (2 * h)
    by_hand = stats.norm.logpdf(Z[:, 0]) + np.log(slope)
    np.testing.assert_allclose(flow.score_samples(X, y), by_hand, rtol=1e-5, atol=1e-5)


def test_report_counts_the_tail(flow):
    report, (X, y) = flow.report_, heavy()
    assert report.train_log_likelihood == pytest.approx(flow.score(X, y), abs=1e-10)
    assert report.train_log_likelihood >= report.gaussian_train_log_likelihood


def test_model_file_keeps_the_tail(flow, tmp_path):
    X, y = heavy(seed=3, n_rows=20)
    flow.save(tmp_path / "heavy.brenier")
    again = load(tmp_path / "heavy.brenier")
    np.testing.assert_array_equal(again.score_samples(X, y), flow.score_samples(X, y))
    assert again.report_ == flow.report_
