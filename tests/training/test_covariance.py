"""Covariances of few rows: the estimates, which of them rows choose, and what is whitened then."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import FactorAnalysis

from brenier.data.bounds import Bounds
from brenier.data.rows import WeightedRows, canonical_rows
from brenier.flow.preprocessing import whitening
from brenier.training.covariance import (
    Factors,
    SampleCovariance,
    Shrunk,
    ShrunkCorrelations,
    ShrunkInUnits,
    Transformed,
    chosen_covariance,
)
from brenier.training.families import JointFamily
from brenier.training.settings import default_settings

SETTINGS = default_settings()
# Between two ways to the same numbers.
ROUNDING = 1e-9


def of_factors(N, n, seed=0):
    rng = np.random.default_rng(seed)
    loadings = np.random.default_rng(99).normal(size=(2, n))
    return rng.normal(size=(N, 2)) @ loadings + 0.6 * rng.normal(size=(N, n))


def in_turn(N, n, seed=0):
    """Return rows of which each column goes on from the one before."""
    X = np.random.default_rng(seed).normal(size=(N, n))
    for k in range(1, n):
        X[:, k] = 0.8 * X[:, k - 1] + 0.6 * X[:, k]
    return X


def standardised(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


def preprocessed(X, **changes):
    """Return rows in canonical order, and what a joint density of them does first."""
    rows = canonical_rows(X, None, 0)
    n = X.shape[1]
    unbounded = Bounds(np.full(n, -np.inf), np.full(n, np.inf))
    settings = replace(SETTINGS, **changes)
    return rows, settings, *JointFamily().preprocessing(rows, unbounded, settings)


@pytest.mark.parametrize(("N", "n"), [(20, 30), (60, 8)])
def test_estimates_are_those_of_scikit_learn(N, n):
    X = standardised(of_factors(N, n))
    equal = np.full(N, 1 / N)
    expected = {
        Shrunk(): ledoit_wolf(X)[0],
        Factors(2): FactorAnalysis(2, svd_method="lapack").fit(X).get_covariance(),
        SampleCovariance(): X.T @ X / N,
    }
    for covariance, own in expected.items():
        np.testing.assert_allclose(covariance.of(X, equal), own, atol=ROUNDING)


@pytest.mark.parametrize(
    "covariance", [Shrunk(), Shrunk(0.25), Factors(1), ShrunkCorrelations(0.3)]
)
def test_rows_of_equal_weight_count_as_copies_do(covariance):
    X = standardised(of_factors(12, 5))
    weights = np.array([1.0, 2.0] * 6)
    weights /= weights.sum()
    own = covariance.of(X - weights @ X, weights)
    assert np.linalg.eigvalsh(own)[0] > 0
    np.testing.assert_allclose(covariance.of(X - weights @ X, weights), own)
    if isinstance(covariance, Factors):
        copies = np.repeat(X, [1, 2] * 6, axis=0)
        equal = np.full(len(copies), 1 / len(copies))
        of_copies = covariance.of(copies - copies.mean(axis=0), equal)
        np.testing.assert_allclose(own, of_copies, atol=1e-2)


def test_rows_choose_factors_where_there_are_some_and_shrinkage_where_not():
    def chosen(X):
        rows = canonical_rows(X, None, 0)
        return chosen_covariance(rows.at(standardised(rows.X)), rows.X.std(axis=0), SETTINGS)

    assert chosen(of_factors(60, 20)) == Factors(2)
    assert chosen(in_turn(60, 20)) == Shrunk()
    # Fewer rows than columns too.
    assert chosen(in_turn(30, 40)) == Shrunk()
    # Too few for parts of them to be held out.
    assert chosen(in_turn(8, 4)) == ShrunkCorrelations(4 / 12)


def test_heavy_tails_have_less_shrinkage():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 20)) @ np.random.default_rng(1).normal(size=(20, 20))
    X /= np.sqrt(rng.chisquare(3, size=(400, 1)))
    rows = canonical_rows(X, None, 0)
    settings = replace(SETTINGS, factor_counts=())
    found = chosen_covariance(rows.at(standardised(rows.X)), np.ones(20), settings)
    assert found != Shrunk()


def test_columns_of_one_scale_are_shrunk_in_their_units_where_that_leads_by_enough():
    N = 30
    rows = canonical_rows(in_turn(N, 40), None, 0)
    scale = rows.X.std(axis=0)
    found, by_default = (
        chosen_covariance(rows.at(standardised(rows.X)), scale, replace(SETTINGS, units_lead=least))
        for least in (0.0, SETTINGS.units_lead)
    )
    assert isinstance(found, ShrunkInUnits)
    assert by_default == Shrunk()
    equal = np.full(N, 1 / N)
    centred = rows.X - rows.X.mean(axis=0)
    np.testing.assert_allclose(
        found.of(centred / scale, equal) * np.outer(scale, scale),
        Shrunk().of(centred, equal),
        rtol=1e-10,
    )


@pytest.mark.parametrize("whiten", ["full", "standardize", "none"])
def test_few_rows_are_whitened_by_the_covariance_that_they_choose(whiten):
    rows, settings, preprocessing, covariance = preprocessed(in_turn(30, 40), whiten=whiten)
    Y, log_det = preprocessing.forward(rows.X)
    gaussian = JointFamily().gaussian(rows.at(np.asarray(Y)), settings, covariance)
    own = np.asarray(log_det) - gaussian.losses(np.asarray(Y))
    # The Gaussian is the same density wherever it stands.
    order = preprocessing.order
    X, equal = rows.X[:, order], np.full(30, 1 / 30)
    scale = X.std(axis=0)
    S = Shrunk().of(standardised(X), equal) * np.outer(scale, scale)
    centred = X - X.mean(axis=0)
    squares = np.sum(centred @ np.linalg.inv(S) * centred, axis=1)
    np.testing.assert_allclose(own, -0.5 * (squares + np.linalg.slogdet(S)[1]), rtol=1e-8)
    if whiten == "full":
        assert np.array_equal(gaussian.axes, np.eye(40))


def test_many_rows_are_whitened_as_ever():
    X = in_turn(200, 5)
    rows, _, preprocessing, covariance = preprocessed(X)
    assert covariance == SampleCovariance()
    own = whitening(rows.X[:, preprocessing.order], rows.weights, "full")
    for name in ("mean", "scale", "factor"):
        found = getattr(preprocessing.inner.whitening, name)
        assert np.array_equal(found, getattr(own, name))
    few, _, _, covariance = preprocessed(X[:99])
    assert isinstance(covariance, Transformed)
    assert len(few.X) < SETTINGS.covariance_rows * 5


def test_a_fold_has_a_gaussian_of_its_own_rows():
    rows, settings, preprocessing, covariance = preprocessed(in_turn(40, 30))
    Y = rows.at(np.asarray(preprocessing.forward(rows.X)[0]))
    half = WeightedRows(Y.X[:20], Y.weights[:20], Y.position[:20])
    gaussian = JointFamily().gaussian(half, settings, covariance)
    assert gaussian.loss(half.X, half.weights) < 0.5 * 30
    assert gaussian.sd.min() > 0.1


def test_of_very_many_columns_no_row_is_brought_nearer_and_their_covariance_is_chosen():
    X = in_turn(300, 8)
    X[:2] *= 60.0
    as_few, very_many = (
        preprocessed(X, covariance_rows=50.0, most_columns=most)[2:] for most in (8, 7)
    )
    assert as_few[0].inner.far is not None
    assert not isinstance(as_few[1], Transformed)
    preprocessing, covariance = very_many
    assert preprocessing.inner.far is None
    assert isinstance(covariance, Transformed)
    Y, _ = preprocessing.forward(X)
    white = covariance.of(Y - Y.mean(axis=0), np.full(300, 1 / 300))
    np.testing.assert_allclose(white, np.eye(8), atol=1e-8)


def test_rows_are_few_for_their_columns_or_columns_are_too_many_to_be_learnt():
    assert SETTINGS.are_few(19.9 * 5, 5)
    assert not SETTINGS.are_few(20.0 * 5, 5)
    widest = SETTINGS.most_columns
    assert not SETTINGS.are_few(1e6, widest)
    assert SETTINGS.are_few(1e6, widest + 1)
    assert not SETTINGS.are_few(1.0, 1)
