"""Conditional mixtures: two branches, files, the command line, and what is refused."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from small_fits import ends_early
from terminal import done, invoke

from brenier import ConditionalConvexPotentialFlow, ConditionalConvexPotentialMixture, load
from brenier.io.model_file import ModelFileError, read_model, write_model

pytestmark = [ends_early, pytest.mark.usefixtures("few_mixtures")]
N = 400
SMALL = {"widths": (8,), "context_widths": (8,), "max_iter": 15, "decay": 1e-2}
SMALL |= {"n_estimators": 2}


def small(**changes):
    return ConditionalConvexPotentialMixture(**SMALL | changes)


def branches(N=N, seed=0):
    """Return contexts, and targets on two branches that part."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(N, 1))
    sign = rng.choice([-1.0, 1.0], size=(N, 1), p=[0.25, 0.75])
    return X, sign * (0.3 + X) + 0.05 * rng.normal(size=(N, 1))


@pytest.fixture(scope="module")
def mixture():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The fit ended with status")
        return small().fit(*branches())


def test_branches_are_told_apart_and_nothing_lies_between(mixture):
    X = np.linspace(0.05, 0.95, 7)[:, None]
    drawn = mixture.sample(X, 4000)[..., 0]
    assert np.mean(np.abs(drawn) < 0.15) < 0.005
    np.testing.assert_allclose(np.mean(drawn > 0, axis=1), 0.75, atol=0.1)
    upper = np.where(drawn > 0, drawn, np.nan)
    np.testing.assert_allclose(np.nanmean(upper, axis=1), 0.3 + X[:, 0], atol=0.05)


def test_fresh_rows_are_likelier_than_under_the_flow(mixture):
    fresh = branches(seed=1)
    flow = ConditionalConvexPotentialFlow(**SMALL).fit(*branches())
    assert mixture.score(*fresh) > flow.score(*fresh) + 0.2
    assert mixture.score(*fresh) > mixture.baseline_score_samples(*fresh).mean() + 1.0


def test_it_integrates_to_one_and_agrees_with_mean_and_distribution(mixture):
    y = np.linspace(-3, 3, 12_001)
    for x in (0.1, 0.5, 0.9):
        density = np.exp(mixture.score_samples(np.full((len(y), 1), x), y))
        assert density.sum() * (y[1] - y[0]) == pytest.approx(1.0, abs=1e-4)
        below = np.cumsum(density) * (y[1] - y[0])
        np.testing.assert_allclose(mixture.cdf(np.full((len(y), 1), x), y), below, atol=2e-3)
        mean = (density * y).sum() * (y[1] - y[0])
        assert mixture.mean([[x]]) == pytest.approx(mean, abs=0.02)


def test_quantiles_are_where_the_distribution_says(mixture):
    X = np.linspace(0.0, 1.0, 9)[:, None]
    p = [0.01, 0.1, 0.6, 0.99]
    quantiles = mixture.quantile(X, p)
    for k, each in enumerate(p):
        np.testing.assert_allclose(mixture.cdf(X, quantiles[:, k]), each, rtol=1e-6)
    np.testing.assert_array_equal(mixture.quantile(X, 0.1), quantiles[:, 1])
    assert mixture.interval(X, 0.5).shape == (9, 2)


def test_rows_come_back_by_the_maps_of_their_components(mixture):
    X, y = branches(2000, seed=2)
    Z, labels = mixture.transform(X, y, return_labels=True)
    np.testing.assert_allclose(mixture.inverse_transform(X, Z, labels), y, atol=1e-6)
    assert abs(Z.mean()) < 0.2
    assert Z.std() == pytest.approx(1.0, abs=0.1)
    np.testing.assert_array_equal(mixture.transform(X, y), Z)
    assert not np.array_equal(mixture.transform(X, y, random_state=5), Z)


def test_weights_at_a_context_sum_to_one_and_are_copies(mixture):
    X = np.array([[0.1], [0.9]])
    weights = mixture.weights(X)
    assert weights.shape == (2, mixture.mixture_.n_components)
    assert mixture.report_.n_components == weights.shape[1]
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    before = mixture.score_samples(X, [0.4, 1.2])
    weights[:] = 0.0
    np.testing.assert_array_equal(mixture.score_samples(X, [0.4, 1.2]), before)
    assert mixture.weights(X).sum() == pytest.approx(2.0)


def test_labels_are_checked(mixture):
    X, Z = np.full((3, 1), 0.5), np.zeros((3, 1))
    for wrong in ([0, 1], [0, 1, mixture.mixture_.n_components], [0.0, 1.0, 2.0], [0, 0, -1]):
        with pytest.raises(ValueError, match="Expected 3 labels of components from 0 to"):
            mixture.inverse_transform(X, Z, wrong)


def test_several_bounded_targets_stay_inside_and_have_a_mean():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(N, 2))
    Y = np.clip(rng.beta(1 + 4 * X, 3), 1e-6, 1 - 1e-6)
    bounded = small(bounds=[(0, 1), (0, 1)]).fit(X, Y)
    drawn = bounded.sample(X[:3], 5000)
    assert 0 < drawn.min() < drawn.max() < 1
    np.testing.assert_allclose(bounded.mean(X[:3]), drawn.mean(axis=1), atol=0.02)
    assert np.all(np.isneginf(bounded.score_samples(X[:1], [[1.2, 0.5]])))
    with pytest.raises(ValueError, match="Expected one target for quantile"):
        bounded.quantile(X, 0.5)


def test_quantiles_near_a_bound_are_numbers():
    rng = np.random.default_rng(0)
    X, p = rng.uniform(size=(N, 1)), [1e-9, 1e-6, 0.5, 1 - 1e-6, 1 - 1e-9]
    y = np.clip(rng.beta(0.3, 0.3, size=N), 1e-9, 1 - 1e-9)
    quantiles = small(bounds=[(0, 1)]).fit(X, y).quantile(X[:5], p)
    assert np.isfinite(quantiles).all()
    assert np.all(np.diff(quantiles, axis=1) >= 0)
    assert np.all((quantiles >= 0) & (quantiles <= 1))


def test_compositions_are_pooled_too():
    X, y = branches()
    composed = small(n_maps=2, n_estimators=1, n_init=1, max_iter=3).fit(
        X, np.column_stack([y, y**2])
    )
    assert composed.report_.n_maps == 2
    assert composed.mixture_.n_components > 1
    assert np.isfinite(composed.score(X, np.column_stack([y, y**2])))


@pytest.mark.parametrize("changes", [{}, {"validation_fraction": 0.0, "n_estimators": 1}])
def test_files_hold_it(mixture, changes, tmp_path):
    X, y = branches()
    fitted = small(**changes).fit(X, y) if changes else mixture
    fitted.save(tmp_path / "m.brenier")
    loaded = load(tmp_path / "m.brenier")
    np.testing.assert_array_equal(loaded.score_samples(X, y), fitted.score_samples(X, y))
    np.testing.assert_array_equal(loaded.sample(X[:5], 3), fitted.sample(X[:5], 3))
    np.testing.assert_array_equal(loaded.weights(X), fitted.weights(X))
    assert loaded.get_params() == fitted.get_params()
    assert loaded.report_.pool == fitted.report_.pool


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("mixture.shares", lambda a: a * 2, "sum to one"),
        ("mixture.weights", lambda a: a * 2, "sum to one"),
        ("mixture.sizes", lambda a: a + 0.5, "whole numbers"),
        ("mixture.sizes", lambda a: a * 2, "mixture.weights of shape"),
        ("mixture.weights", np.negative, "positive numbers"),
        ("mixture.factors", lambda a: a.transpose(0, 2, 1), "lower triangular"),
        ("mixture.means", lambda a: a * np.nan, "finite numbers"),
    ],
)
def test_altered_files_are_refused(mixture, tmp_path, name, change, said):
    mixture.save(tmp_path / "m.brenier")
    metadata, arrays = read_model(tmp_path / "m.brenier")
    altered = {**arrays, name: np.ascontiguousarray(change(arrays[name]))}
    write_model(tmp_path / "other.brenier", metadata, altered)
    with pytest.raises(ModelFileError, match=said):
        load(tmp_path / "other.brenier")


def test_order_of_rows_makes_no_difference_and_that_of_columns_next_to_none(mixture):
    X, y = branches()
    other = small().fit(X[::-1], y[::-1])
    np.testing.assert_allclose(other.score_samples(X, y), mixture.score_samples(X, y), atol=1e-8)
    X, Y = np.column_stack([X, X**2]), np.column_stack([y, np.abs(y)])
    noise = 0.1 * np.random.default_rng(0).normal(size=Y.shape)
    one = small(max_iter=3).fit(X, Y + noise)
    turned = small(max_iter=3).fit(X[:, ::-1], (Y + noise)[:, ::-1])
    score = turned.score_samples(X[:, ::-1], (Y + noise)[:, ::-1])
    np.testing.assert_allclose(score, one.score_samples(X, Y + noise), rtol=1e-6)
    drawn = turned.sample(X[:4, ::-1], 3)[..., ::-1]
    np.testing.assert_allclose(drawn, one.sample(X[:4], 3), rtol=1e-6)


def test_without_held_out_rows_or_time_it_is_the_flow_alone():
    X, y = branches()
    alone = small(validation_fraction=0.0, n_estimators=1).fit(X, y)
    flow = ConditionalConvexPotentialFlow(
        **SMALL | {"validation_fraction": 0.0, "n_estimators": 1}
    ).fit(X, y)
    np.testing.assert_allclose(alone.score_samples(X, y), flow.score_samples(X, y))
    np.testing.assert_allclose(alone.mean(X[:5]), flow.mean(X[:5]))
    np.testing.assert_allclose(alone.quantile(X[:5], 0.3), flow.quantile(X[:5], 0.3), rtol=1e-6)
    np.testing.assert_array_equal(alone.weights(X), np.ones((N, 1)))
    with pytest.warns(ConvergenceWarning, match="time limit"):
        hurried = ConditionalConvexPotentialMixture(max_seconds=0.0).fit(X, y)
    assert hurried.report_.is_gaussian
    np.testing.assert_allclose(
        hurried.score_samples(X, y), hurried.baseline_score_samples(X, y), rtol=1e-6
    )


def test_validation_rows_and_weights_decide():
    X, y = branches()
    chosen = small().fit(X[:300], y[:300], validation_data=(X[300:], y[300:]))
    assert chosen.report_.n_heldout == 100
    weighted = small(judge_fraction=0.0).fit(X, y, sample_weight=np.where(y[:, 0] > 0, 1.0, 3.0))
    drawn = weighted.sample([[0.5]], 4000)
    assert np.mean(drawn > 0) == pytest.approx(0.5, abs=0.1)


def test_names_and_tables_as_everywhere():
    X, y = branches()
    table = pd.DataFrame({"a": X[:, 0], "text": "x"})
    named = small(columns=["a"], max_iter=2).set_output(transform="pandas")
    named = named.fit(table, pd.DataFrame({"b": y[:, 0]}))
    assert list(named.sample(table[:3]).columns) == ["b"]
    Z, labels = named.transform(table, y, return_labels=True)
    back = named.inverse_transform(table, Z, labels)
    assert list(back.columns) == ["b"]
    np.testing.assert_allclose(back, y, atol=1e-6)


def test_a_constant_column_and_repeated_contexts_do_no_harm():
    X, y = branches()
    coarse = np.column_stack([np.round(4 * X) / 4, np.full(N, 7.0)])
    with pytest.warns(UserWarning, match="constant"):
        fitted = small(max_iter=3).fit(coarse, y)
    assert np.all(np.isfinite(fitted.score_samples(coarse, y)))


def test_command_line_fits_scores_and_carries_one(tmp_path):
    X, y = branches()
    table = tmp_path / "x.csv"
    rows = np.column_stack([X, y])
    np.savetxt(table, rows, delimiter=",", header="a,b", comments="")
    model, images, back = (tmp_path / name for name in ("m.brenier", "z.csv", "back.csv"))
    options = "--widths 8 --max-iter 15 --decay 1e-2 --given a --kind mixture --n-estimators 2"
    assert "components: " in done("fit", table, "-o", model, *options.split()).stdout
    assert "mean log-likelihood" in done("score", model, table).stdout
    assert done("transform", model, table, "-o", images).stderr == ""
    assert images.read_text().startswith("z0,component\n")
    given = tmp_path / "given.csv"
    found = np.loadtxt(images, delimiter=",", skiprows=1)
    whole = np.column_stack([X, found])
    np.savetxt(given, whole, delimiter=",", header="a,z0,component", comments="")
    done("inverse", model, given, "-o", back)
    np.testing.assert_allclose(np.loadtxt(back, skiprows=1), y[:, 0], atol=1e-6)
    assert done("info", model).stdout.count("ConditionalConvexPotentialMixture") == 1
    drawn = done("sample", model, "--given", table, "-n", "2").stdout
    assert drawn.startswith("a,b\n")
    assert drawn.count("\n") == 2 * N + 1
    picture = tmp_path / "p.png"
    done("plot", model, table, "--kind", "calibration", "-o", picture, "--quiet")
    assert picture.exists()
    assert invoke("fit", table, "--given", "a", "--kind", "mixture", "--thesis").exit_code == 2
