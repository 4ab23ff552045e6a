"""Compositions of conditional potentials: a density in two pieces at every context."""

import numpy as np
import pytest
from scipy import stats

from brenier import Algorithm, ConditionalConvexPotentialFlow, load
from brenier.status import FitStatus

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:The fit ended with status 'iteration limit':sklearn.exceptions.ConvergenceWarning"
    ),
]
N = 300
SMALL = {"widths": (4,), "context_widths": (3,), "n_init": 1, "decay": 1e-3, "max_iter": 40}
SMALL |= {"n_maps": 2}
INVERSE = 1e-8


def data(seed=0, n_rows=N):
    """Return rows whose targets are near +-(1, x): one piece or the other."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n_rows, 1))
    side = rng.choice([-1.0, 1.0], size=(n_rows, 1))
    return X, side * np.hstack([np.ones_like(X), X]) + 0.2 * rng.normal(size=(n_rows, 2))


@pytest.fixture(scope="module")
def flow():
    return ConditionalConvexPotentialFlow(**SMALL).fit(*data())


def test_two_maps_follow_two_pieces(flow):
    X, Y = data(seed=1, n_rows=2000)
    assert len(flow.flow_.map.potentials) == flow.report_.n_maps == 2
    assert "a composition of 2 maps" in flow.report_.message
    # Two potentials by themselves, and both together.
    assert len(flow.report_.run_decay) == 3
    # The truth is 1.7 above it.
    assert flow.score(X, Y) > np.mean(flow.baseline_score_samples(X, Y)) + 0.8
    # Trained together the potentials are better than one by one.
    *one_by_one, together = flow.report_.run_log_likelihood
    assert together > max(one_by_one) + 0.05


def test_log_density_is_that_of_the_map_and_integrates_to_one(flow):
    X, Y = data(seed=2, n_rows=40)
    Z = flow.transform(X, Y)
    np.testing.assert_allclose(flow.inverse_transform(X, Z), Y, rtol=INVERSE, atol=INVERSE)
    h = 1e-5
    columns = [
        (flow.transform(X, Y + h * e) - flow.transform(X, Y - h * e)) / (2 * h) for e in np.eye(2)
    ]
    log_det = np.linalg.slogdet(np.stack(columns, axis=-1)).logabsdet
    expected = stats.norm.logpdf(Z).sum(axis=1) + log_det
    np.testing.assert_allclose(flow.score_samples(X, Y), expected, rtol=1e-6, atol=1e-6)
    # A context inside of the training rows, and one far outside.
    steps = np.linspace(-4, 4, 401)
    axis, width = np.sinh(steps), np.cosh(steps) * (steps[1] - steps[0])
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    for x in (0.3, -1.4):
        density = np.exp(flow.score_samples(np.full((len(grid), 1), x), grid)).reshape(401, 401)
        assert width @ density @ width == pytest.approx(1.0, abs=1e-3)


def test_samples_are_in_both_pieces(flow):
    draws = flow.sample(np.array([[0.5]]), 2000)[0]
    right = draws[draws[:, 0] > 0]
    assert len(right) / 2000 == pytest.approx(0.5, abs=0.1)
    np.testing.assert_allclose(right.mean(axis=0), [1.0, 0.5], atol=0.3)
    np.testing.assert_array_equal(draws, flow.sample(np.array([[0.5]]), 2000)[0])


def test_model_file_gives_the_same_estimator(flow, tmp_path):
    X, Y = data(seed=3, n_rows=40)
    flow.save(tmp_path / "composed.brenier")
    again = load(tmp_path / "composed.brenier")
    assert type(again) is type(flow)
    np.testing.assert_array_equal(again.score_samples(X, Y), flow.score_samples(X, Y))
    assert again.get_params() == flow.get_params()
    assert again.report_ == flow.report_


def test_weights_are_repeated_rows(flow):
    X, Y = data()
    weights = np.random.default_rng(4).integers(0, 3, size=N)
    few = {**SMALL, "max_iter": 5}
    weighted = ConditionalConvexPotentialFlow(**few).fit(X, Y, sample_weight=weights)
    repeated = ConditionalConvexPotentialFlow(**few).fit(
        np.repeat(X, weights, axis=0), np.repeat(Y, weights, axis=0)
    )
    difference = weighted.report_.train_log_likelihood - repeated.report_.train_log_likelihood
    assert abs(difference) < 1e-10


def test_one_target_has_quantiles():
    X, Y = data()
    flow = ConditionalConvexPotentialFlow(**{**SMALL, "max_iter": 10}).fit(X, Y[:, 0])
    Q = flow.quantile(X[:20], 0.9)
    np.testing.assert_allclose(flow.cdf(X[:20], Q), 0.9, rtol=0, atol=INVERSE)


@pytest.mark.filterwarnings("ignore:The fit ended with status 'time limit'")
def test_no_time_leaves_the_regression():
    X, Y = data()
    flow = ConditionalConvexPotentialFlow(**SMALL, max_seconds=0.0).fit(X, Y)
    assert flow.report_.status is FitStatus.TIME_LIMIT
    assert flow.report_.is_gaussian
    np.testing.assert_allclose(flow.score_samples(X, Y), flow.baseline_score_samples(X, Y))


def test_interrupted_joint_training_leaves_a_fitted_estimator():
    def interrupt(progress):
        if progress.run == 3:
            raise KeyboardInterrupt

    flow = ConditionalConvexPotentialFlow(**SMALL | {"max_iter": 5})
    with pytest.raises(KeyboardInterrupt):
        flow.fit(*data(), callback=interrupt)
    assert flow.report_.status is FitStatus.INTERRUPTED
    assert np.isfinite(flow.score_samples(*data())).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_maps": 0}, "'n_maps' parameter"),
        ({"n_estimators": 2}, "n_estimators=1 with n_maps=2; got 2.*cannot be averaged"),
        ({"algorithm": Algorithm(quadratic=False)}, "quadratic=True for conditional"),
    ],
    ids=str,
)
def test_settings_that_compositions_have_not(settings, message):
    with pytest.raises(ValueError, match=message):
        ConditionalConvexPotentialFlow(**SMALL | settings).fit(*data())


def test_no_setting_but_the_number_of_maps_makes_a_composition(flow):
    defaults = ConditionalConvexPotentialFlow().get_params()
    assert ConditionalConvexPotentialFlow(n_maps=2).get_params() == defaults | {"n_maps": 2}
    single = ConditionalConvexPotentialFlow(**SMALL | {"n_maps": 1, "n_estimators": 1})
    X, Y = data()
    assert len(single.set_params(max_iter=5).fit(X, Y).flow_.map.potentials) == 1
