"""How heavy tails are: what held-out rows decide, and fits that have them."""

from copy import copy
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import simpson
from sklearn.exceptions import ConvergenceWarning

from brenier import ConditionalConvexPotentialFlow, load
from brenier.flow.tail import Tail
from brenier.status import FitStatus
from brenier.training.settings import default_settings
from brenier.training.tail import fit_tail

pytestmark = [
    pytest.mark.usefixtures("x64"),
    pytest.mark.filterwarnings(
        "ignore:The fit ended with status 'iteration limit':sklearn.exceptions.ConvergenceWarning"
    ),
]

SETTINGS = default_settings(conditional=True)
SMALL = {
    "judge_fraction": 0.0,
    "widths": (3,),
    "context_widths": (3,),
    "n_gates": 1,
    "decay": 1e-2,
    "n_estimators": 2,
    "max_iter": 15,
}


def test_normal_rows_get_no_tail_and_heavy_ones_the_likeliest():
    rng = np.random.default_rng(0)
    ones = np.ones(2000)
    assert fit_tail(rng.normal(size=(2000, 2)), ones, SETTINGS) is None
    z = rng.standard_t(4, size=(2000, 1))
    tail = fit_tail(z, ones, SETTINGS)
    assert 0.05 < tail.h < SETTINGS.tail_range[1]

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
    tail, other = (fit_tail(z, scale * weights, SETTINGS) for scale in (1.0, 1e-6))
    assert float(tail.h) == pytest.approx(float(other.h), rel=1e-6)
    # Hardly any row says anything: no tail.
    weights = np.where(np.arange(200) < 2, 1.0, 1e-9)
    assert fit_tail(z, weights, SETTINGS) is None


def test_rows_held_out_several_times_count_once():
    z = np.random.default_rng(3).standard_t(6, size=(100, 1))
    assert fit_tail(z, np.ones(100), SETTINGS) is not None
    assert fit_tail(z, np.ones(100), SETTINGS, repeats=20.0) is None


def test_a_tail_must_gain_what_is_asked_for():
    z = np.random.default_rng(3).standard_t(6, size=(100, 1))
    assert fit_tail(z, np.ones(100), replace(SETTINGS, tail_gain=1e3)) is None
    # Where less is wanted than the likeliest, the edge of the range is it.
    narrow = replace(SETTINGS, tail_range=(1e-4, 2e-3), tail_gain=0.0)
    assert float(fit_tail(z, np.ones(100), narrow).h) == pytest.approx(2e-3, rel=1e-3)


def heavy(seed=0, n_rows=400):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n_rows, 1))
    return X, X[:, 0] + 0.1 * rng.standard_t(3, size=n_rows)


@pytest.fixture(scope="module")
def flow():
    return ConditionalConvexPotentialFlow(**SMALL).fit(*heavy())


def test_fit_to_heavy_tailed_targets_has_a_tail_and_says_so(flow):
    assert flow.report_.status is FitStatus.ITERATION_LIMIT
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
    flow = ConditionalConvexPotentialFlow(**SMALL, max_seconds=0.0)
    with pytest.warns(ConvergenceWarning, match="time limit"):
        flow.fit(X, y)
    assert flow.report_.is_gaussian
    assert flow.flow_.tail is None
    np.testing.assert_allclose(flow.score_samples(X, y), flow.baseline_score_samples(X, y))


def test_bounded_targets_have_no_tail():
    X, y = heavy()
    bounded = ConditionalConvexPotentialFlow(**SMALL, bounds=[(0, None)]).fit(X, np.exp(y))
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
