"""Estimators of p(y | x): one-dimensional formulas, what a fit promises, bad input."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats
from scipy.integrate import simpson
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from brenier import ConditionalConvexPotentialFlow, ConvexPotentialRegressor, load
from brenier.io.model_file import ModelFileError, read_model, write_model
from brenier.status import FitStatus, InputWarning

# Fits here end early, and say so; nothing else may warn.
pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:The fit ended with status 'iteration limit':sklearn.exceptions.ConvergenceWarning"
    ),
]

# Programs are compiled for few numbers of rows (`padded_length`), and compiling takes most of the
# time here. A quarter of N rows is held out: every split has 112 to train on and 64 to judge, with
# padding. M rows are 64, with 32 nodes each 2048, as are DRAWN and those of a GRID.
N, WHOLE, M = 150, 112, 60
DRAWN, GRID = 2000, 2001
SMALL = {"widths": (3,), "context_widths": (3,), "n_gates": 1, "n_estimators": 1, "max_iter": 15}
SMALL |= {"validation_fraction": 0.25}
# The preimages' tolerance, and rounding of the same rows in other batches.
INVERSE, SAME = 1e-8, {"rtol": 1e-10, "atol": 1e-10}


def small(**changes):
    """Return a quick estimator, of one potential unless the changes say otherwise."""
    return ConditionalConvexPotentialFlow(**SMALL | changes)


def data(seed=0, n_rows=N):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n_rows, 2))
    return X, np.sin(3 * X[:, 0]) + np.exp(X[:, 1] - 1.5) * rng.normal(size=n_rows)


def two_targets(seed=0, n_rows=N):
    X, y = data(seed, n_rows)
    noise = np.random.default_rng(seed).normal(size=n_rows)
    return X, np.column_stack([y, y * X[:, 1] + noise])


@pytest.fixture(scope="module")
def flow():
    return small(n_estimators=2).fit(*data())


@pytest.fixture(scope="module")
def bounded():
    X, y = data()
    return small(bounds=[(0, None)]).fit(X, np.exp(y))


@pytest.fixture(scope="module")
def pair():
    return small(validation_fraction=0.0, decay=0.1).fit(*two_targets())


# The regressor.


def test_regressor_predicts_the_mean_of_its_density(flow):
    regressor = ConvexPotentialRegressor(**SMALL | {"n_estimators": 2}).fit(*data())
    X, y = data(seed=2, n_rows=M)
    np.testing.assert_array_equal(regressor.predict(X), flow.mean(X)[:, 0])
    np.testing.assert_array_equal(regressor.log_density(X, y), flow.score_samples(X, y))
    np.testing.assert_array_equal(regressor.interval(X[:9], 0.8), flow.interval(X[:9], 0.8))
    residual = np.sum((y - regressor.predict(X)) ** 2) / np.sum((y - y.mean()) ** 2)
    assert regressor.score(X, y) == pytest.approx(1 - residual)
    assert regressor.score(X, y) > 0.8


# What a fit promises.


def test_better_than_the_regression_on_rows_not_seen(flow):
    X, y = data(seed=1)
    assert flow.report_.status in (FitStatus.ITERATION_LIMIT, FitStatus.STOPPED_ON_VALIDATION)
    assert not flow.report_.is_gaussian
    gain = flow.score(X, y) - np.mean(flow.baseline_score_samples(X, y))
    assert gain > 0.2
    assert flow.report_.train_log_likelihood > flow.report_.gaussian_train_log_likelihood


@pytest.mark.parametrize("name", ["flow", "bounded"])
def test_density_integrates_to_one_at_every_context(name, request):
    flow = request.getfixturevalue(name)
    X = np.random.default_rng(3).uniform(-2, 2, size=(5, 2))
    for x in X:
        low, high = flow.quantile(x[None], [1e-9, 1 - 1e-9])[0]
        grid = np.geomspace(low, high, GRID) if low > 0 else np.linspace(low, high, GRID)
        density = np.exp(flow.score_samples(np.tile(x, (len(grid), 1)), grid))
        assert simpson(density, x=grid) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", ["flow", "bounded", "pair"])
def test_map_and_its_inverse(name, request):
    flow = request.getfixturevalue(name)
    X, y = (two_targets if name == "pair" else data)(seed=4, n_rows=M)
    Y = np.exp(y) if name == "bounded" else y
    Z = flow.transform(X, Y)
    back = flow.inverse_transform(X, Z)
    np.testing.assert_allclose(back, Y.reshape(M, -1), rtol=INVERSE, atol=INVERSE)
    # Each row by itself, whatever the batch.
    np.testing.assert_allclose(flow.transform(X[:3], Y[:3]), Z[:3], **SAME)


def test_log_density_is_that_of_the_map(flow):
    X, y = data(seed=5, n_rows=M)
    h = 1e-5
    slope = (flow.transform(X, y + h) - flow.transform(X, y - h))[:, 0] / (2 * h)
    expected = stats.norm.logpdf(flow.transform(X, y)[:, 0]) + np.log(slope)
    np.testing.assert_allclose(flow.score_samples(X, y), expected, rtol=1e-6, atol=1e-6)


def test_quantiles_cdf_and_interval_are_each_other_s_inverse(flow):
    X, _ = data(seed=6, n_rows=M // 3)
    p = np.array([0.05, 0.5, 0.95])
    Q = flow.quantile(X, p)
    assert Q.shape == (M // 3, 3)
    assert (np.diff(Q, axis=1) > 0).all()
    for column, probability in zip(Q.T, p, strict=True):
        np.testing.assert_allclose(flow.cdf(X, column), probability, rtol=0, atol=INVERSE)
    np.testing.assert_allclose(flow.interval(X, 0.9), Q[:, [0, 2]], **SAME)
    np.testing.assert_allclose(flow.quantile(X, 0.5), Q[:, 1], **SAME)


def test_mean_is_the_integral_of_y_under_the_density(flow):
    X, _ = data(seed=7, n_rows=M)
    for x, mean in zip(X[:3], flow.mean(X)[:3, 0], strict=True):
        low, first, last, high = flow.quantile(x[None], [1e-10, 0.16, 0.84, 1 - 1e-10])[0]
        spread = 0.5 * (last - first)
        # Dense in the middle, and far into heavy tails.
        steps = np.linspace(*np.arcsinh((np.array([low, high]) - mean) / spread), GRID)
        grid = mean + spread * np.sinh(steps)
        density = np.exp(flow.score_samples(np.tile(x, (len(grid), 1)), grid))
        assert simpson(grid * density, x=grid) == pytest.approx(mean, abs=1e-4 * spread)


def test_samples_have_the_mean_and_the_quantiles(pair, flow):
    X, _ = data(seed=8, n_rows=4)
    # Kolmogorov-Smirnov at one in 10,000.
    for x in X[:, None]:
        drawn = flow.sample(x, DRAWN)
        assert drawn.shape == (1, DRAWN, 1)
        p = flow.cdf(np.tile(x, (DRAWN, 1)), drawn[0])
        assert stats.kstest(p, "uniform").pvalue > 1e-4
    np.testing.assert_array_equal(drawn, flow.sample(x, DRAWN))
    assert (drawn != flow.sample(x, DRAWN, random_state=1)).all()
    # As many at a time as the mean has nodes.
    two = np.concatenate([pair.sample(X, 256, random_state=seed) for seed in range(16)], axis=1)
    assert two.shape == (4, 4096, 2)
    error = two.std(axis=1) / np.sqrt(4096)
    # Five standard errors of the draws, and as much again for the 256 nodes.
    assert (np.abs(two.mean(axis=1) - pair.mean(X)) < 10 * error).all()


def test_without_targets_the_conditional_means_are_meant(flow):
    X, _ = data(seed=9, n_rows=M)
    mean = flow.mean(X)
    np.testing.assert_array_equal(flow.score_samples(X), flow.score_samples(X, mean))
    np.testing.assert_array_equal(flow.transform(X), flow.transform(X, mean))
    np.testing.assert_array_equal(
        flow.baseline_score_samples(X), flow.baseline_score_samples(X, mean)
    )


def test_images_are_a_table_if_asked_for(pair):
    X, Y = two_targets(n_rows=M)
    images = clone_of(pair).set_output(transform="pandas").transform(X, Y)
    assert list(images.columns) == ["z0", "z1"] == pair.get_feature_names_out().tolist()
    np.testing.assert_array_equal(images.to_numpy(), pair.transform(X, Y))


def clone_of(fitted):
    """Return a copy of a fitted estimator that may be changed."""
    return pickle.loads(pickle.dumps(fitted))


def test_bounds_are_kept(bounded):
    X, _ = data(seed=9, n_rows=M)
    assert (bounded.sample(X[:3], 20) > 0).all()
    outside = np.full(M, -1.0)
    assert (bounded.score_samples(X, outside) == -np.inf).all()
    np.testing.assert_array_equal(bounded.cdf(X, outside), 0.0)
    with pytest.warns(InputWarning, match="60 of 60 targets lie on or beyond their bounds"):
        assert np.isnan(bounded.transform(X, outside)).all()


def test_weights_are_repetition_and_row_order_does_not_matter():
    X, y = data()
    none_X, none_y = data(seed=10, n_rows=9)
    weights = np.random.default_rng(1).integers(1, 4, size=N)
    order = np.random.default_rng(2).permutation(weights.sum())
    weighted = small(max_iter=5).fit(
        np.concatenate([X, none_X]),
        np.concatenate([y, none_y]),
        sample_weight=np.concatenate([weights, np.zeros(9)]),
    )
    repeated = small(max_iter=5).fit(
        np.repeat(X, weights, axis=0)[order], np.repeat(y, weights)[order]
    )
    assert weighted.report_.n_heldout == repeated.report_.n_heldout > 0
    np.testing.assert_array_equal(weighted.score_samples(X, y), repeated.score_samples(X, y))


def test_validation_data_and_its_weights_decide_and_choose_the_shares():
    X, y = data(n_rows=WHOLE)
    held_X, held_y = data(seed=1, n_rows=M)
    flow = small(max_iter=5, n_estimators=2)
    flow.fit(X, y, validation_data=(held_X, held_y, np.ones(M)))
    report = flow.report_
    assert (report.n_train, report.n_heldout) == (WHOLE, M)
    reached = report.heldout_log_likelihood
    assert reached == pytest.approx(flow.score(held_X, held_y))
    # The best of all sums but for the prior, whose pull is of the order of one row's worth a share.
    # The regression has a share beside those of the potentials.
    shares = flow.flow_.map.shares
    assert (len(shares), report.n_members) == (3, 2)
    assert (shares > 0).all()
    assert reached >= max(report.run_log_likelihood) - 3 / M


def test_runs_of_all_potentials_are_told_of_and_counted():
    told = []
    report = small(n_estimators=2, max_iter=2).fit(*data(), callback=told.append).report_
    # Two candidates, compared after the two iterations there are, and the second potential.
    assert {progress.run for progress in told} == {1, 2, 3}
    assert len(report.run_decay) == len(report.run_log_likelihood) == 3
    assert report.run_decay[2] in report.run_decay[:2]
    assert max(progress.seconds for progress in told) <= report.seconds["total"]
    assert report.seconds["runs"] <= 3 * report.seconds["total"]


def test_few_rows_get_six_potentials():
    report = small(n_estimators=None, decay=1e-2, max_iter=2).fit(*data()).report_
    assert len(report.run_decay) == 6


@pytest.mark.filterwarnings("ignore:The fit ended with status 'time limit'")
@pytest.mark.parametrize("max_seconds", [0.0, 1.0])
def test_out_of_time_leaves_the_best_so_far(max_seconds):
    X, y = data()
    flow = small(n_estimators=2, max_seconds=max_seconds, max_iter=10**6, tol=0.0)
    flow.set_params(n_iter_no_change=10**6).fit(X, y)
    assert flow.report_.status is FitStatus.TIME_LIMIT
    assert np.isfinite(flow.score_samples(X, y)).all()
    # No potential that no run was made for is in the sum: two candidates, and the second potential.
    assert flow.report_.is_gaussian == (max_seconds == 0.0)
    n_runs = len(flow.report_.run_decay)
    most = 0 if max_seconds == 0.0 else 2 if n_runs == 2 + 1 else 1
    assert flow.report_.n_members <= most


@pytest.mark.parametrize("run", [1, 3])
def test_interruption_leaves_a_fitted_estimator(run):
    def interrupt(progress):
        if progress.run == run:
            raise KeyboardInterrupt

    X, y = data()
    flow = small(n_estimators=2)
    with pytest.raises(KeyboardInterrupt):
        flow.fit(X, y, callback=interrupt)
    assert flow.report_.status is FitStatus.INTERRUPTED
    assert "interrupted" in flow.report_.message
    assert np.isfinite(flow.score_samples(X, y)).all()


@pytest.mark.parametrize("name", ["flow", "bounded", "pair"])
def test_pickle_and_model_file_give_the_same_estimator(name, tmp_path, request):
    flow = request.getfixturevalue(name)
    X, y = (two_targets if name == "pair" else data)(seed=4, n_rows=M)
    flow.save(tmp_path / "m")
    for copy in (pickle.loads(pickle.dumps(flow)), load(tmp_path / "m")):
        assert type(copy) is type(flow)
        np.testing.assert_array_equal(copy.score_samples(X, y), flow.score_samples(X, y))
        np.testing.assert_array_equal(copy.sample(X), flow.sample(X))
        np.testing.assert_array_equal(
            copy.baseline_score_samples(X, y), flow.baseline_score_samples(X, y)
        )
        assert copy.target_names_.tolist() == flow.target_names_.tolist()
        assert copy.n_features_in_ == 2
    assert str(load(tmp_path / "m").get_params()) == str(
        flow.get_params() | {"bounds": [(0.0, None)] if name == "bounded" else None}
    )


def test_file_whose_weights_were_changed_is_refused(flow, tmp_path):
    flow.save(tmp_path / "m")
    metadata, arrays = read_model(tmp_path / "m")
    write_model(tmp_path / "m", metadata, arrays | {"map.1.w": arrays["map.1.w"] * 1.01})
    with pytest.raises(ModelFileError, match="to give the log-densities stored with it"):
        load(tmp_path / "m")


def test_clone_is_unfitted(flow):
    with pytest.raises(NotFittedError):
        clone(flow).score_samples(*data())


# Tables and bad input.


def frames(kind):
    X, y = data()
    return kind({"a": X[:, 0], "b": X[:, 1]}), kind({"speed": y})


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_tables_keep_their_names(kind):
    X, Y = frames(kind)
    flow = small(max_iter=2).fit(X, Y)
    assert flow.feature_names_in_.tolist() == ["a", "b"]
    assert flow.target_names_.tolist() == ["speed"]
    series = small(max_iter=2).fit(X, Y["speed"])
    assert series.target_names_.tolist() == ["speed"]
    np.testing.assert_array_equal(series.score_samples(X, Y), flow.score_samples(X, Y))


def test_far_context_is_finite_and_said_once(flow):
    X, y = data()
    far = X[:5].copy()
    far[2] = 1e200, -1e200
    for call in (lambda: flow.score_samples(far, y[:5]), lambda: flow.interval(far, 0.9)):
        with pytest.warns(InputWarning, match="1 of 5 rows of X lie far outside .*row 2") as seen:
            assert np.isfinite(call()).all()
        assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        flow.score_samples(X, y)


def test_constant_context_is_named_and_has_no_influence_and_collinear_context_is_finite():
    X, y = data()
    wide = np.column_stack([X, X @ [2.0, -1.0], np.full(N, 7.0)])
    with pytest.warns(InputWarning, match="constant 'x3': they have no influence"):
        flow = small(max_iter=5).fit(wide, y)
    moved = wide + np.array([0.0, 0.0, 0.0, 1e3])
    np.testing.assert_array_equal(flow.score_samples(moved, y), flow.score_samples(wide, y))
    assert np.isfinite(flow.score_samples(wide, y)).all()
    assert np.isfinite(flow.report_.train_log_likelihood)


def test_few_rows_give_a_shrunk_regression():
    X, y = data()
    with pytest.warns(InputWarning, match="got 4 rows with 3 columns"):
        flow = small().fit(X[:4], y[:4])
    assert flow.report_.is_gaussian
    assert np.isfinite(flow.score_samples(X, y)).all()


def test_ties_in_the_target_are_named():
    X, y = data(n_rows=WHOLE)
    with pytest.warns(InputWarning, match="many equal values in 'y'.*dequantisation"):
        small(max_iter=2, validation_fraction=0.0).fit(X, np.round(y))


BAD = {
    "rows": (lambda X, y: (X, y[:-1]), "got 150 rows of X and 149 of y"),
    "context NaN": (
        lambda X, y: (np.where(np.arange(2 * N).reshape(N, 2) == 9, np.nan, X), y),
        "got NaN in 1 of 150 rows .*row 4 column 'x1'",
    ),
    "target NaN": (
        lambda X, y: (X, np.where(np.arange(N) == 3, np.nan, y)),
        "row 3 column 'y'",
    ),
    "no context": (lambda X, y: (X[:, :0], y), "got 0 feature.*ConvexPotentialFlow fits"),
    "text": (
        lambda X, y: (pd.DataFrame({"a": X[:, 0], "colour": ["red", "blue"] * (N // 2)}), y),
        "text in column.*'colour'.*one column of 0 and 1 for each value but one",
    ),
    "category": (
        lambda X, y: (
            pl.DataFrame({"a": X[:, 0], "k": ["u", "v"] * (N // 2)}).with_columns(
                pl.col("k").cast(pl.Categorical)
            ),
            y,
        ),
        "categories in column.*'k'",
    ),
    "text target": (lambda X, y: (X, ["high"] * N), "got 'high' in row 0 column 'y'"),
    "constant target": (lambda X, y: (X, 0 * y), "got constant column.* 'y'"),
    "depth": (lambda X, y: (X, y[:, None, None]), "Expected y of shape"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_with_its_remedy(name):
    change, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        small().fit(*change(*data()))


def test_calls_that_make_no_sense_are_errors(pair, flow):
    X, Y = two_targets()
    for call in (
        lambda: pair.quantile(X, 0.5),
        lambda: pair.cdf(X, Y),
        lambda: pair.interval(X),
    ):
        with pytest.raises(ValueError, match="Expected one target for .*; got 2"):
            call()
    X, y = data()
    for call, message in (
        (lambda: flow.quantile(X, [0.0, 0.5]), "probabilities strictly between 0 and 1"),
        (lambda: flow.interval(X, 1.0), "a level strictly between 0 and 1"),
        (lambda: flow.sample(X, 0), "n_samples to be a positive integer"),
        (lambda: flow.score_samples(X, Y), r"Expected y with 1 column\(s\)"),
        (lambda: flow.score_samples(X[:9], y), "got 9 rows of X and 150 of y"),
        (lambda: flow.inverse_transform(X, np.zeros((3, 1))), "got 150 rows of X and 3 of Z"),
        (lambda: small().fit(X, y, validation_data=X), "as a tuple"),
        (lambda: small(context_widths=()).fit(X, y), "Expected context_widths to be positive"),
        (lambda: small(widths=(0,)).fit(X, y), "Expected widths to be positive"),
        (lambda: small().fit(X, None), "got None.*the target y is None.*fits the density of X"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
