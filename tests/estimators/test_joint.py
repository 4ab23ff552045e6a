"""The joint density's estimator: scikit-learn's contract, and what a fit promises."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_fits import (
    DATA,
    ROUNDING,
    N,
    assert_same_fit,
    ends_early,
    rows,
    same,
    small,
)

from brenier import Algorithm, ConvexPotentialFlow, load
from brenier.data.datasets import CorrelatedGaussian
from brenier.status import FitStatus, InversionWarning

pytestmark = ends_early
STANDARD_ERRORS = 4

on_data = pytest.mark.parametrize("name", DATA)


@pytest.fixture(scope="module")
def with_radial(X):
    """A flow with radial units."""
    return small(n_radial=2, decay=1e-3, validation_fraction=0.3).fit(X)


@pytest.fixture(scope="module")
def fits():
    """One fit for each distribution, that of rings with radial units."""
    return {name: small(n_radial=2 * (name == "rings")).fit(rows(name)) for name in DATA}


# scikit-learn's contract.


def test_clone_is_unfitted_and_has_the_same_settings(flow):
    copy = clone(flow)
    assert copy.get_params() == flow.get_params()
    with pytest.raises(NotFittedError):
        copy.score_samples(rows())


@pytest.mark.parametrize("fixture", ["flow", "with_radial"])
def test_pickle_and_model_file_give_the_same_estimator(fixture, X, tmp_path, request):
    flow = request.getfixturevalue(fixture)
    flow.save(tmp_path / "m")
    for copy in (pickle.loads(pickle.dumps(flow)), load(tmp_path / "m")):
        np.testing.assert_array_equal(copy.score_samples(X), flow.score_samples(X))
        np.testing.assert_array_equal(copy.sample(5, 1), flow.sample(5, 1))
        np.testing.assert_array_equal(
            copy.baseline_score_samples(X), flow.baseline_score_samples(X)
        )
        assert copy.get_params() == flow.get_params()
        assert copy.report_.to_dict() == flow.report_.to_dict()
        assert copy.n_iter_ == flow.n_iter_


def test_pipeline_scores_what_its_last_step_does(X):
    pipeline = make_pipeline(StandardScaler(), small()).fit(X)
    scaled = StandardScaler().fit_transform(X)
    alone = small().fit(scaled)
    assert pipeline.score(X) == alone.score(scaled)
    np.testing.assert_array_equal(pipeline.transform(X), alone.transform(scaled))
    back = pipeline.inverse_transform(pipeline.transform(X))
    np.testing.assert_allclose(back, X, rtol=1e-8, atol=1e-8)


def test_grid_search_ranks_by_mean_held_out_log_likelihood():
    # Folds of two thirds: N rows to train on, as everywhere here.
    X, folds = rows(n_rows=3 * N // 2), KFold(3)
    search = GridSearchCV(small(), {"decay": [1e-4, 10.0]}, cv=folds, refit=False).fit(X)
    scores = search.cv_results_["mean_test_score"]
    by_hand = [small(decay=10.0).fit(X[train]).score(X[test]) for train, test in folds.split(X)]
    assert scores[1] == pytest.approx(np.mean(by_hand), rel=ROUNDING)
    # A decay of 10 holds the network down to the Gaussian, which a crescent is not.
    assert search.best_params_["decay"] == 1e-4
    assert scores[0] > scores[1] + 0.05


# Tables.


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_tables_give_their_names_and_the_same_numbers(library, flow, X):
    table = library({"speed": X[:, 0], "mass": X[:, 1]})
    fitted = small().fit(table)
    assert list(fitted.feature_names_in_) == ["speed", "mass"]
    np.testing.assert_array_equal(fitted.score_samples(table), flow.score_samples(X))
    for columns in (["mass", "speed"], ["speed", "weight"]):
        other = library(dict(zip(columns, X.T, strict=True)))
        with pytest.raises(ValueError, match="feature names"):
            fitted.score_samples(other)


@pytest.mark.parametrize(("library", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_output_is_a_table_if_asked_for(library, kind, flow, X):
    Z = clone(flow).set_output(transform=library).fit_transform(X)
    assert isinstance(Z, kind)
    assert list(Z.columns) == ["z0", "z1"] == list(flow.get_feature_names_out())
    np.testing.assert_array_equal(Z.to_numpy(), flow.transform(X))


# The same answer for the same content.


def test_same_seed_same_fit_to_the_last_bit_and_another_seed_another(flow, X):
    again = small().fit(X)
    np.testing.assert_array_equal(again.flow_.map.w, flow.flow_.map.w)
    np.testing.assert_array_equal(again.score_samples(X), flow.score_samples(X))
    other = small(random_state=1).fit(X)
    assert np.abs(other.score_samples(X) - flow.score_samples(X)).max() > 1e-6
    from_generator = small(random_state=np.random.RandomState(3)).fit(X)
    np.testing.assert_array_equal(
        from_generator.score_samples(X),
        small(random_state=np.random.RandomState(3)).fit(X).score_samples(X),
    )


@pytest.mark.parametrize(("fraction", "n_radial"), [(0.0, 0), (0.3, 2)])
def test_row_order_and_copies_against_weights_do_not_matter(fraction, n_radial, X):
    def fresh():
        return small(validation_fraction=fraction, n_radial=n_radial)

    rng = np.random.default_rng(0)
    counts = rng.integers(1, 4, size=N)
    weighted = fresh().fit(X, sample_weight=counts)
    # Copies one after the other look like a chain.
    repeated = rng.permutation(np.repeat(X, counts, axis=0))
    assert_same_fit(weighted, fresh().fit(repeated), X)
    shuffled = rng.permutation(repeated)
    assert_same_fit(weighted, fresh().fit(shuffled), X)
    assert (weighted.report_.n_heldout > 0) == (fraction > 0)
    assert weighted.report_.n_train + weighted.report_.n_heldout == N
    # Not by ignoring the weights.
    unweighted = fresh().fit(X)
    assert np.abs(weighted.score_samples(X) - unweighted.score_samples(X)).max() > 1e-3


def test_weights_of_zero_are_absence_and_their_unit_does_not_matter(X):
    weights = np.ones(N)
    weights[::20] = 0
    absent = small().fit(X[weights > 0])
    assert_same_fit(small().fit(X, sample_weight=weights), absent, X)
    assert_same_fit(small().fit(X, sample_weight=1e6 * weights), absent, X)


@pytest.mark.parametrize("weights", [-np.ones(N), np.zeros(N), np.ones(N - 1), np.full(N, np.nan)])
def test_weights_that_are_none(weights, X):
    with pytest.raises(ValueError, match="weight|inconsistent|NaN"):
        small().fit(X, sample_weight=weights)


def test_callers_arrays_and_settings_are_left_alone():
    X, V = rows(), rows(seed=1)
    weights, validation_weights = np.full(N, 2.0), np.full(N, 3.0)
    bounds = {0: [-50, None]}
    given = [X, V, weights, validation_weights]
    before = [array.copy() for array in given]
    estimator = small(bounds=bounds)
    for writeable in (True, False):
        for array in given:
            array.flags.writeable = writeable
        estimator.fit(X, sample_weight=weights, validation_data=(V, validation_weights))
        Z = estimator.transform(X)
        Z.flags.writeable = writeable
        estimator.inverse_transform(Z)
        estimator.score(X, sample_weight=weights)
    for array, copy in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert estimator.bounds is bounds
    assert bounds == {0: [-50, None]}


def test_fitted_arrays_are_numpy_float64(flow, X):
    leaves = jax.tree.leaves(flow.flow_)
    assert all(type(leaf) is np.ndarray for leaf in leaves)
    # But for the order of the columns.
    floats = [leaf for leaf in leaves if leaf.dtype != np.int64]
    assert all(leaf.dtype == np.float64 for leaf in floats)
    assert len(leaves) - len(floats) == 2
    for out in (flow.score_samples(X), flow.transform(X), flow.sample(3), flow.invert(X)[0]):
        assert type(out) is np.ndarray
        assert out.dtype == np.float64


def test_jax_stays_as_the_caller_has_set_it(X):
    def interrupt(_):
        raise KeyboardInterrupt

    assert not jax.config.jax_enable_x64
    estimator = small().fit(X)
    estimator.score(X)
    estimator.sample(3)
    estimator.baseline_score_samples(X)
    with pytest.raises(KeyboardInterrupt):
        small().fit(X, callback=interrupt)
    with pytest.raises(ValueError, match="constant"):
        small().fit(np.ones_like(X))
    assert not jax.config.jax_enable_x64
    assert jnp.ones(1).dtype == jnp.float32
    with jax.enable_x64(True):
        np.testing.assert_array_equal(estimator.score_samples(X), small().fit(X).score_samples(X))


# Validation rows.


def test_validation_rows_and_their_weights_decide(X):
    V = rows(seed=1)
    counts = np.random.default_rng(0).integers(1, 4, size=N)
    weighted = small().fit(X, validation_data=(V, counts))
    assert_same_fit(weighted, small().fit(X, validation_data=np.repeat(V, counts, axis=0)), X)
    report = weighted.report_
    assert (report.n_train, report.n_heldout) == (N, N)
    model, gaussian = weighted.score_samples(V), weighted.baseline_score_samples(V)
    mean = np.average(model, weights=counts)
    assert report.heldout_log_likelihood == same(mean)
    gain = np.average(model - gaussian, weights=counts)
    assert report.gaussian_heldout_log_likelihood == same(mean - gain)
    # They have chosen, and judge nothing.
    assert report.gain is report.log_likelihood is None
    best = report.history["heldout_log_likelihood"][report.best_iteration - 1]
    assert best == np.nanmax(report.history["heldout_log_likelihood"])
    assert best == same(mean)


def test_run_stops_once_validation_rows_get_worse(X):
    # Rows of another distribution: what is learnt from X does not hold for them.
    V = CorrelatedGaussian(2).sample(N, random_state=0) * 10 + np.array([5.0, 0.0])
    flow = small(max_iter=1000).fit(X, validation_data=V)
    assert flow.report_.status is FitStatus.STOPPED_ON_VALIDATION
    assert flow.report_.best_iteration < flow.n_iter_ < 1000
    report = flow.report_
    best = np.nanmax(report.history["heldout_log_likelihood"])
    best = max(best, report.gaussian_heldout_log_likelihood)
    assert report.heldout_log_likelihood == same(best)


# The quality of a fit.


@on_data
def test_training_likelihood_is_never_below_the_gaussian(name, fits):
    X, report = rows(name), fits[name].report_
    gaussian = stats.multivariate_normal(X.mean(axis=0), np.cov(X.T, ddof=0)).logpdf(X).mean()
    assert report.gaussian_train_log_likelihood == same(gaussian)
    assert fits[name].baseline_score_samples(X).mean() == same(gaussian)
    assert report.train_log_likelihood == same(fits[name].score(X))
    assert fits[name].score(X) >= gaussian - ROUNDING


@pytest.mark.parametrize(
    "settings",
    [
        {"whiten": "none"},
        {"whiten": "standardize"},
        {"decay": 1e3},
        {"max_iter": 1},
        {"max_seconds": 1e-9},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:The fit ended with status 'time limit'")
def test_no_setting_gets_below_the_gaussian(settings, X):
    fitted = small(**settings).fit(X)
    assert fitted.score(X) >= fitted.baseline_score_samples(X).mean() - ROUNDING


@on_data
def test_no_likelihood_is_better_than_the_entropy_allows(name, fits):
    fresh = rows(name, n_rows=20_000, seed=1)
    for log_q in (fits[name].score_samples(fresh), fits[name].baseline_score_samples(fresh)):
        gap = log_q - DATA[name].log_density(fresh)
        assert np.isfinite(gap).all()
        # The mean is minus the Kullback-Leibler divergence.
        assert gap.mean() <= STANDARD_ERRORS * gap.std() / np.sqrt(len(gap))


@on_data
def test_samples_come_from_the_density_that_is_reported(name, fits):
    drawn = fits[name].sample(20_000, random_state=0)
    # E_q[p / q] = 1 for samples of q, and q their true density.
    ratio = np.exp(DATA[name].log_density(drawn) - fits[name].score_samples(drawn))
    standard_error = ratio.std() / np.sqrt(len(ratio))
    assert standard_error < 0.1
    assert ratio.mean() == pytest.approx(1, abs=STANDARD_ERRORS * standard_error)


def test_gaussian_data_get_a_gaussian_to_a_hundredth_of_a_nat():
    truth = CorrelatedGaussian(2)
    X = truth.sample(2000, random_state=0)
    fitted = small(n_radial=2, max_iter=200, validation_fraction=0.2, n_estimators=3).fit(X)
    fresh = truth.sample(50_000, random_state=1)
    assert fitted.score(fresh) >= fitted.baseline_score_samples(fresh).mean() - 0.01


def test_crescent_gets_more_than_a_gaussian(fits):
    fresh = rows(n_rows=20_000, seed=1)
    gain = fits["maf-moon"].score(fresh) - fits["maf-moon"].baseline_score_samples(fresh).mean()
    # Its Gaussian is 0.4 nats short of the entropy.
    assert gain > 0.2


# Settings.


def test_thesis_form_is_what_the_thesis_says():
    thesis = ConvexPotentialFlow.thesis()
    assert thesis.get_params() == ConvexPotentialFlow().get_params() | {
        "widths": (32, 32, 32, 32),
        "n_radial": 0,
        "whiten": "none",
        "decay": 0.0,
        "noise": 0.0,
        "n_estimators": 1,
        "judge_fraction": 0.0,
        "algorithm": Algorithm(
            optimizer="lbfgs-varpro",
            inner="barrier",
            activation="softplus",
            nonnegativity="softplus",
            quadratic=False,
        ),
    }
    assert ConvexPotentialFlow.thesis(widths=(4,)).widths == (4,)
    with pytest.raises(TypeError, match="colour"):
        ConvexPotentialFlow.thesis(colour=1)


def test_thesis_form_fits_and_says_what_it_cannot_reach(X):
    thesis = ConvexPotentialFlow.thesis(widths=(4,), max_iter=15, validation_fraction=0.0).fit(X)
    potential = thesis.flow_.map
    assert potential.features.axes.shape == (0, 2)
    with jax.enable_x64(True):
        np.testing.assert_array_equal(thesis.flow_.preprocessing.forward(X)[0], X)
    assert (potential.w[:4] > 0).all()
    history = thesis.report_.history["train_log_likelihood"]
    assert history[-1] > history[0]
    np.testing.assert_allclose(
        thesis.inverse_transform(thesis.transform(X)), X, rtol=1e-6, atol=1e-6
    )
    with pytest.warns(InversionWarning, match=r"2 of 3 points have no preimage.*first: row 1"):
        back = thesis.inverse_transform([thesis.transform(X)[0], [1e3, 0], [0, -1e3]])
    assert np.isnan(back).any(axis=1).tolist() == [False, True, True]


def test_potentials_are_summed_by_their_worth_on_held_out_rows(X):
    held_out = rows(seed=5)
    single = [
        small(random_state=0, decay=1e-3).fit(X, validation_data=held_out),
        small(random_state=0, decay=1e-3, n_estimators=3).fit(X, validation_data=held_out),
    ]
    alone, summed = (flow.report_ for flow in single)
    assert (alone.n_members, len(summed.run_log_likelihood)) == (1, 3)
    assert summed.run_log_likelihood[0] == pytest.approx(alone.run_log_likelihood[0])
    reached = summed.heldout_log_likelihood
    # Those that have a share, and no other.
    assert len(single[1].flow_.map.members) == summed.n_members == 3
    # The best of all sums but for the prior, whose pull is of the order of one row's worth a share.
    assert reached >= max(summed.run_log_likelihood) - 4 / len(held_out)
    # J is convex in the potential.
    assert reached >= np.mean(summed.run_log_likelihood)
    assert single[1].score(held_out) == same(reached)


def test_noise_is_chosen_where_the_structure_is_fine_and_can_be_set():
    fine, coarse = rows("eight-gaussians"), CorrelatedGaussian(2).sample(N, random_state=0)
    settings = {"max_iter": 3, "noise": None}
    assert 0 < small(**settings).fit(fine).report_.noise < 0.2
    assert small(**settings).fit(coarse).report_.noise == 0
    fitted = small(**settings | {"noise": 0.1}).fit(fine)
    assert fitted.report_.noise == 0.1
    # The optimizer sees four copies of each row; the report's likelihood is that of the rows.
    assert set(fitted.report_.history["n_rows"]) == {4 * fitted.report_.n_train}
    assert fitted.report_.train_log_likelihood == same(fitted.score(fine))
    shuffled = small(**settings | {"noise": 0.1}).fit(fine[::-1])
    np.testing.assert_array_equal(shuffled.score_samples(fine), fitted.score_samples(fine))


def test_restarts_keep_the_best(flow, X):
    several = small(n_init=3).fit(X)
    reached = several.report_.run_log_likelihood
    assert len(reached) == 3
    assert len(set(reached)) == 3
    assert reached[0] == same(flow.report_.train_log_likelihood)
    assert several.report_.train_log_likelihood == same(max(reached))
    assert several.score(X) == same(max(reached))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"widths": ()}, r"widths to be positive integers.*\(\)"),
        ({"n_radial": -1}, "'n_radial' parameter"),
        ({"n_radial": 1.5}, "'n_radial' parameter"),
        ({"widths": (4, 0)}, r"\(4, 0\)"),
        ({"widths": 8}, "one a hidden layer; got 8"),
        ({"widths": "8"}, "got '8'"),
        ({"algorithm": "adam"}, "'algorithm' parameter .*Algorithm.* Got 'adam'"),
        ({"whiten": True}, "'whiten' parameter"),
        ({"max_iter": 0}, "'max_iter' parameter"),
        ({"tau": 0.0}, "'tau' parameter"),
        ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
        ({"bounds": {"y": (0, 1)}}, r"columns of the table \('x0', 'x1'\); got bounds for 'y'"),
        ({"bounds": {"X1": (0, 1)}}, r"got bounds for 'X1'\. Did you mean 'x1'\?"),
        ({"bounds": {2: (0, 1)}}, "got bounds for 2"),
        ({"bounds": {"x0": (1, 1)}}, r"'x0' with low < high; got \(1, 1\)"),
        ({"bounds": {"x0": (1,)}}, r"'x0' as a pair \(low, high\); got \(1,\)"),
        ({"bounds": [(0, 1)]}, "each of 2 columns; got 1"),
    ],
    ids=str,
)
def test_settings_that_mean_nothing(settings, message, X):
    with pytest.raises(ValueError, match=message):
        small(**settings).fit(X)


def test_no_held_out_rows_may_be_asked_for_by_an_integer_zero(flow, X):
    fitted = small(validation_fraction=0).fit(X)
    assert np.isnan(fitted.report_.heldout_log_likelihood)
    np.testing.assert_array_equal(fitted.score_samples(X), flow.score_samples(X))


# Scores and samples.


def test_score_is_the_mean(flow, X):
    log_p = flow.score_samples(X)
    assert log_p.shape == (N,)
    assert flow.score(X) == pytest.approx(log_p.mean(), rel=ROUNDING)
    weights = np.random.default_rng(0).exponential(size=N)
    expected = np.average(log_p, weights=weights)
    assert flow.score(X, sample_weight=weights) == pytest.approx(expected, rel=ROUNDING)


def test_samples_are_those_of_their_seed(flow):
    drawn = flow.sample(50, random_state=1)
    assert drawn.shape == (50, 2)
    np.testing.assert_array_equal(drawn, flow.sample(50, random_state=1))
    assert not np.isin(drawn, flow.sample(50, random_state=2)).any()
    np.testing.assert_array_equal(flow.sample(50), flow.sample(50, random_state=0))
    assert len(np.unique(drawn)) == drawn.size
    assert flow.sample().shape == (1, 2)


def test_numbers_of_samples_may_be_numpy_integers(flow):
    np.testing.assert_array_equal(flow.sample(np.int64(5)), flow.sample(5))


@pytest.mark.parametrize("count", [0, -1, 2.5, "3"])
def test_numbers_of_samples_that_are_none(count, flow):
    with pytest.raises(ValueError, match=r"n_samples to be a positive integer; got"):
        flow.sample(count)


def test_data_to_normal_to_data(flow, X):
    np.testing.assert_allclose(flow.inverse_transform(flow.transform(X)), X, rtol=0, atol=1e-8)
    Z = np.random.default_rng(0).normal(size=(N, 2))
    np.testing.assert_allclose(flow.transform(flow.inverse_transform(Z)), Z, rtol=0, atol=1e-8)
