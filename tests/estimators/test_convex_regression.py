"""The convex regressor's door: scikit-learn's contract, names, weights, and what errors say."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from brenier.estimators.convex_regression import ConvexFunctionRegressor
from brenier.status import InputWarning

# Compilation is what these tests cost.
SMALL = {"widths": (2,), "max_iter": 2, "n_folds": 2}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
Y = X[:, 0] ** 2 - X[:, 1] + 0.1 * RNG.normal(size=60)
TABLE = pd.DataFrame(X, columns=["a", "b"])


def small(**changes):
    return ConvexFunctionRegressor(**{**SMALL, **changes})


# Of a fit without time, which goes through all the same methods; other tests fit.
@pytest.mark.filterwarnings("ignore:.*time limit:sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([small(max_seconds=0)])
def test_scikit_learn_checks_of_convex_regression(estimator, check):
    check(estimator)


def test_attributes_say_what_was_fitted():
    fitted = small().fit(TABLE, pd.Series(Y, name="cost"))
    assert list(fitted.feature_names_in_) == ["a", "b"]
    assert list(fitted.target_names_) == ["cost"]
    assert len(fitted.report_.folds) == 2
    assert 0.05 < fitted.report_.heldout_loss < 0.5 * fitted.report_.trivial_loss
    assert fitted.report_.trivial_loss == pytest.approx(np.std(Y))
    assert 1 <= fitted.n_iter_ <= 2
    assert fitted.score(TABLE, Y) > 0.8


def test_fits_are_deterministic_and_survive_pickling():
    fitted = small().fit(X, Y)
    again = clone(fitted).fit(X[::-1], Y[::-1])
    np.testing.assert_array_equal(fitted.predict(X), again.predict(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))


def test_whole_weights_are_copies():
    weights = np.where(np.arange(60) < 20, 2, 1)
    weighted = small().fit(X, Y, sample_weight=weights)
    copied = small().fit(np.repeat(X, weights, axis=0), np.repeat(Y, weights))
    np.testing.assert_array_equal(weighted.predict(X), copied.predict(X))


def test_monotone_by_names_is_monotone_by_numbers():
    by_name = small(monotone={"b": -1}).fit(TABLE, Y)
    by_number = small(monotone=[0, -1]).fit(X, Y)
    np.testing.assert_array_equal(by_name.predict(TABLE), by_number.predict(X))
    step = by_number.predict(X + [0.0, 5.0]) - by_number.predict(X)
    assert np.all(step <= 1e-9)
    # Against what the rows say: none of it is left.
    against = small(monotone=[0, 1], curvature="concave").fit(X, Y)
    assert np.all(against.predict(X + [0.0, 5.0]) >= against.predict(X) - 1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"monotone": [1]}, "each column of 2; got 1 entries"),
        ({"monotone": [0, 2]}, "got 2 for column 'b'"),
        ({"monotone": ["up", 0]}, "got 'up' for column 'a'"),
        ({"monotone": {"c": 1}}, r"names of columns \('a', 'b'\); got 'c'"),
        ({"curvature": "bent"}, "'curvature' parameter"),
        ({"widths": (0,)}, "positive integers"),
        ({"n_folds": 1}, "'n_folds' parameter"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes).fit(TABLE, Y)


def test_bad_cells_are_named():
    broken = TABLE.copy()
    broken.loc[3, "b"] = np.nan
    with pytest.raises(ValueError, match="row 3 column 'b'"):
        small().fit(broken, Y)
    with pytest.raises(ValueError, match="row 7 column 'cost'"):
        small().fit(TABLE, pd.Series(np.where(np.arange(60) == 7, np.inf, Y), name="cost"))
    with pytest.raises(ValueError, match="sample_weight"):
        small().fit(TABLE, Y, sample_weight=-np.ones(60))
    with pytest.raises(ValueError, match="row 3 column 'b'"):
        small().fit(TABLE, Y).predict(broken)


def test_a_limit_of_time_and_a_constant_column_are_told():
    constant = np.column_stack([X, np.ones(60)])
    with pytest.warns(InputWarning, match="constant 'x2'"):
        fitted = small().fit(constant, Y)
    np.testing.assert_allclose(fitted.predict(constant + [0.0, 0.0, 1.0]), fitted.predict(constant))
    with pytest.warns(ConvergenceWarning, match="max_seconds=0"):
        small(max_seconds=0.0).fit(X, Y)
