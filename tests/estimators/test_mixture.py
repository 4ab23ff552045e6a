"""Mixtures: pieces, components and their maps, files, and what is refused."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from small_fits import assert_same_fit, ends_early, rows, same
from terminal import done

from brenier import ConvexPotentialMixture, load
from brenier.io.model_file import ModelFileError, read_model, write_model

pytestmark = [ends_early, pytest.mark.usefixtures("few_mixtures")]
SMALL = {"widths": (8,), "n_radial": 0, "noise": 0.0, "max_iter": 15, "decay": 1e-2}
SMALL |= {"n_estimators": 2}


def small(**changes):
    return ConvexPotentialMixture(**SMALL | changes)


@pytest.fixture(scope="module")
def X():
    """Return two pieces, far apart."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(200, 2)), rng.normal(size=(100, 2)) + [30.0, 0.0]])
    return rng.permutation(X)


@pytest.fixture(scope="module")
def mixture(X):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The fit ended with status")
        return small().fit(X)


def test_pieces_are_told_apart_and_nothing_lies_between(mixture, X):
    labels = mixture.predict(X)
    np.testing.assert_array_equal(labels, X[:, 0] > 15)
    assert mixture.predict_proba(X).shape == (300, 2)
    np.testing.assert_allclose(mixture.predict_proba(X).sum(axis=1), 1.0)
    drawn = mixture.sample(2000)
    distances = np.min(np.linalg.norm(drawn[:, None] - [[0, 0], [30, 0]], axis=2), axis=1)
    assert np.mean(distances > 5) < 0.005
    assert np.mean(drawn[:, 0] > 15) == pytest.approx(1 / 3, abs=0.05)


def test_report_says_how_well_pieces_are_told_apart(mixture, X):
    shares = mixture.predict_proba(X)
    largest = shares.max(axis=1).mean()
    said = mixture.report_.pieces
    assert said.startswith("2; rows are of the likeliest with probability ")
    assert float(said.split("probability ")[1].split()[0]) == pytest.approx(largest, abs=2e-3)
    assert float(said.split("entropy ")[1].split()[0]) < 0.01


def test_density_is_the_sum_of_the_components(mixture, X):
    parts = [component.score_samples(X) for component in mixture.components_]
    terms = np.stack(parts, axis=1) + np.log(mixture.weights_)
    np.testing.assert_allclose(np.log(np.exp(terms).sum(axis=1)), mixture.score_samples(X))
    assert mixture.weights_.sum() == same(1.0)
    assert np.all(np.diff(mixture.weights_) <= 0)
    assert mixture.score(X) > mixture.baseline_score_samples(X).mean() + 1.0


def test_it_integrates_to_one(mixture):
    x, y = np.linspace(-8, 38, 461), np.linspace(-8, 8, 161)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    mass = np.exp(mixture.score_samples(grid)).sum() * (x[1] - x[0]) * (y[1] - y[0])
    assert mass == pytest.approx(1.0, abs=2e-3)


def test_rows_come_back_by_the_maps_of_their_components(mixture, X):
    Z, labels = mixture.transform(X, return_labels=True)
    np.testing.assert_allclose(mixture.inverse_transform(Z, labels), X, atol=1e-6)
    assert np.abs(Z.mean(axis=0)).max() < 0.2
    assert np.abs(Z.std(axis=0) - 1.0).max() < 0.2
    np.testing.assert_array_equal(mixture.transform(X), Z)
    own = mixture.components_[labels[0]]
    np.testing.assert_allclose(own.transform(X[:1]), Z[:1])
    np.testing.assert_allclose(own.inverse_transform(Z[:1]), X[:1], atol=1e-6)


def test_flow_is_a_component_where_data_are_whole():
    whole = small(judge_fraction=0.0).fit(rows("maf-moon"))
    flows = [component for component in whole.components_ if component.flow is not None]
    assert [component.flow for component in flows] == [whole.flow_]
    k = flows[0].k
    assert whole.pieces_[k] == -1
    drawn, labels = whole.sample(200, return_labels=True)
    own = labels == k
    assert own.any()
    Z = whole.flow_.preprocessing.forward(drawn[own])[0]
    assert np.all(np.isfinite(Z))
    Z, labels = whole.transform(drawn, return_labels=True)
    np.testing.assert_allclose(whole.inverse_transform(Z, labels), drawn, atol=1e-5)


def test_files_hold_it(mixture, X, tmp_path):
    mixture.save(tmp_path / "m.brenier")
    loaded = load(tmp_path / "m.brenier")
    np.testing.assert_array_equal(loaded.score_samples(X), mixture.score_samples(X))
    np.testing.assert_array_equal(loaded.sample(10), mixture.sample(10))
    np.testing.assert_array_equal(loaded.predict(X), mixture.predict(X))
    assert loaded.get_params() == mixture.get_params()
    assert loaded.report_.pool == mixture.report_.pool


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("mixture.weights", lambda a: a * 2, "sum to one"),
        ("mixture.weights", lambda a: a[:-1], "mixture.means of shape"),
        ("mixture.factors", np.negative, "lower triangular"),
        ("mixture.factors", lambda a: a.transpose(0, 2, 1), "lower triangular"),
        ("mixture.means", lambda a: a * np.nan, "finite numbers"),
        ("mixture.pieces", lambda a: a + 1, "from 0 on"),
    ],
)
def test_altered_files_are_refused(mixture, tmp_path, name, change, said):
    mixture.save(tmp_path / "m.brenier")
    metadata, arrays = read_model(tmp_path / "m.brenier")
    altered = {**arrays, name: np.ascontiguousarray(change(arrays[name]))}
    write_model(tmp_path / "other.brenier", metadata, altered)
    with pytest.raises(ModelFileError, match=said):
        load(tmp_path / "other.brenier")


def test_same_rows_give_the_same_mixture(mixture, X):
    other = small().fit(X[::-1])
    np.testing.assert_allclose(other.score_samples(X), mixture.score_samples(X), atol=1e-8)
    assert_same_fit(other, mixture, X)


def test_density_is_zero_outside_the_bounds():
    X = np.random.default_rng(0).beta(0.6, 0.6, size=(300, 1))
    bounded = small(bounds=[(0, 1)]).fit(X)
    assert np.all(np.isneginf(bounded.score_samples([[-0.1], [1.1], [0.0]])))
    drawn = bounded.sample(500)
    assert 0 < drawn.min() < drawn.max() < 1


def test_validation_rows_and_weights_decide(X):
    chosen = small().fit(X[:200], validation_data=(X[200:], np.ones(100)))
    assert chosen.report_.n_heldout == 100
    weighted = small(judge_fraction=0.0).fit(X, sample_weight=np.where(X[:, 0] > 15, 5.0, 1.0))
    drawn = weighted.sample(2000)
    assert np.mean(drawn[:, 0] > 15) == pytest.approx(5 / 7, abs=0.06)


def test_without_held_out_rows_or_time_it_is_the_flow_alone(X):
    alone = small(validation_fraction=0.0, n_estimators=1).fit(X)
    assert len(alone.weights_) == 1
    np.testing.assert_array_equal(alone.components_[0].score_samples(X), alone.score_samples(X))
    assert alone.report_.pool == ""
    np.testing.assert_array_equal(alone.predict(X), np.zeros(300))


def test_time_that_is_up_leaves_the_flow_alone(X):
    with pytest.warns(ConvergenceWarning, match="time limit"):
        hurried = ConvexPotentialMixture(max_seconds=0.0).fit(X)
    assert len(hurried.weights_) == 1
    assert hurried.report_.is_gaussian
    np.testing.assert_allclose(hurried.score_samples(X), hurried.baseline_score_samples(X))


def test_images_of_drawn_rows_do_not_know_their_components(mixture):
    drawn, of_rows = mixture.sample(2000, return_labels=True)
    Z, of_images = mixture.transform(drawn, return_labels=True)
    # The same component is as likely as for two draws from the responsibilities.
    other = mixture.transform(drawn, return_labels=True, random_state=7)[1]
    expected = np.mean(of_images == other)
    assert np.mean(of_rows == of_images) == pytest.approx(expected, abs=0.05)
    assert np.abs(np.cov(Z.T) - np.eye(2)).max() < 0.15


def test_columns_in_another_order_make_no_difference(mixture, X):
    turned = small().fit(X[:, ::-1])
    np.testing.assert_allclose(turned.score_samples(X[:, ::-1]), mixture.score_samples(X))
    np.testing.assert_allclose(turned.sample(20)[:, ::-1], mixture.sample(20), rtol=1e-6)


def test_rows_of_density_zero_have_probabilities_too(X):
    bounded = small(bounds=[(-20, None), None]).fit(X)
    outside = bounded.predict_proba([[-30.0, 0.0], [1e200, 0.0]])
    np.testing.assert_allclose(outside.sum(axis=1), 1.0)


def test_names_tables_chains_and_states_as_everywhere(X):
    table = pd.DataFrame({"a": X[:, 0], "text": "x", "b": X[:, 1]})
    state = np.random.RandomState(0)
    named = small(columns=["a", "b"], random_state=state).set_output(transform="pandas")
    groups = np.arange(300) // 75
    assert named.fit_predict(table, groups=groups).shape == (300,)
    assert list(named.sample(3).columns) == ["a", "b"]
    Z, labels = named.transform(table, return_labels=True)
    back = named.inverse_transform(Z, labels)
    np.testing.assert_allclose(back, X, atol=1e-6)
    assert list(back.columns) == ["a", "b"]


def test_the_largest_seed_is_one(X):
    assert len(small(random_state=2**32 - 1, max_iter=1).fit(X).weights_) > 1


def test_labels_are_checked(mixture, X):
    Z, labels = mixture.transform(X, return_labels=True)
    for wrong in (labels[:-1], labels + len(mixture.weights_), labels.astype(float), -1 - labels):
        with pytest.raises(ValueError, match="Expected 300 labels of components from 0 to"):
            mixture.inverse_transform(Z, wrong)


def test_report_says_of_what_it_is_made(mixture):
    report = mixture.report_
    assert report.n_components == len(mixture.weights_) > 2
    assert "mixtures of 2 Gaussians" in report.pool
    assert report.gain is not None
    assert report.gain.mean > 1.0
    assert not report.is_gaussian


def test_command_line_fits_scores_and_carries_a_mixture(tmp_path, X):
    table = tmp_path / "x.csv"
    np.savetxt(table, X, delimiter=",", header="a,b", comments="")
    model, images, back = (tmp_path / name for name in ("m.brenier", "z.csv", "back.csv"))
    options = (
        "--widths 8 --max-iter 15 --decay 1e-2 --noise 0 --n-radial 0 --n-estimators 2".split()
    )
    said = done("fit", table, "-o", model, "--kind", "mixture", *options).stdout
    assert "components: " in said
    assert "mean log-likelihood" in done("score", model, table).stdout
    assert done("transform", model, table, "-o", images).stderr == ""
    assert images.read_text().startswith("z0,z1,component\n")
    done("inverse", model, images, "-o", back)
    np.testing.assert_allclose(np.loadtxt(back, delimiter=",", skiprows=1), X, atol=1e-6)
    assert done("info", model).stdout.count("ConvexPotentialMixture") == 1
    assert done("sample", model, "-n", "3").stdout.startswith("a,b\n")
