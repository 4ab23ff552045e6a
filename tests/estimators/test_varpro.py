"""Regression and classification by variable projection, as a user meets them."""

import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from brenier import VarProRegressor
from brenier.estimators.varpro_classifier import VarProClassifier
from brenier.status import FitStatus, InputWarning

# Fits here end early, on few rows: the checks' tables share compiled programs.
SMALL = {"widths": (2,), "max_iter": 2, "n_folds": 2}
QUICK = {"widths": (4, 4), "max_iter": 30, "n_folds": 3}
RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, size=(120, 2))
y = X[:, 0] + X[:, 1] ** 2 + 0.05 * RNG.normal(size=120)
LABELS = np.where(np.hypot(*X.T) < 1.2, "inside", "outside")


# Tables of the checks have many shapes, and compilation is what they cost: they see what a fit
# without time returns, networks whose last layer is solved for, which go through the same methods.
@pytest.mark.filterwarnings("ignore:Expected columns of X:brenier.status.InputWarning")
@pytest.mark.filterwarnings("ignore:.*time limit:sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [VarProRegressor(**SMALL, max_seconds=0), VarProClassifier(**SMALL, max_seconds=0)]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def regressor():
    return VarProRegressor(**QUICK).fit(X, y)


@pytest.fixture(scope="module")
def classifier():
    return VarProClassifier(**QUICK).fit(X, LABELS)


def test_it_is_better_than_a_line(regressor):
    line = LinearRegression().fit(X, y)
    assert regressor.score(X, y) > 0.95 > line.score(X, y)


def test_the_report_is_in_the_targets_units(regressor):
    report = regressor.report_
    assert report.trivial_loss == pytest.approx(np.std(y))
    assert 0.05 < report.heldout_loss < 0.3 * np.std(y)
    larger = VarProRegressor(**QUICK).fit(X, 10 * y).report_
    assert larger.heldout_loss == pytest.approx(10 * report.heldout_loss, rel=1e-3)
    text = str(report)
    assert "root mean squared error" in text
    assert "3 networks on 120 rows" in text


def test_several_targets_come_in_their_shape(regressor):
    both = VarProRegressor(**QUICK).fit(X, np.column_stack([y, X[:, 0]]))
    assert both.predict(X).shape == (120, 2)
    assert both.score(X, np.column_stack([y, X[:, 0]])) > 0.95
    assert both.report_.trivial_loss == pytest.approx(1.0)
    assert regressor.predict(X).shape == (120,)


def test_columns_of_tables_are_known_by_name(regressor):
    table = pl.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    r = VarProRegressor(**QUICK).fit(table, pl.Series("height", y))
    assert list(r.feature_names_in_) == ["a", "b"]
    np.testing.assert_array_equal(r.predict(table), regressor.predict(X))


def test_it_is_deterministic_and_survives_pickling(regressor):
    again = VarProRegressor(**QUICK).fit(X, y)
    np.testing.assert_array_equal(again.predict(X), regressor.predict(X))
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(regressor)).predict(X), regressor.predict(X)
    )


def test_probabilities_are_such_and_labels_keep_their_kind(classifier):
    p = classifier.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(np.log(p), classifier.predict_log_proba(X), atol=1e-9)
    assert list(classifier.classes_) == ["inside", "outside"]
    assert classifier.score(X, LABELS) > 0.95
    assert classifier.report_.heldout_loss < 0.5 * classifier.report_.trivial_loss


def test_a_single_class_is_certain():
    one = VarProClassifier(**SMALL).fit(X, np.full(len(X), "same"))
    assert set(one.predict(X)) == {"same"}
    np.testing.assert_array_equal(one.predict_proba(X), np.ones((len(X), 1)))


@pytest.mark.parametrize("estimator", [VarProRegressor(**SMALL), VarProClassifier(**SMALL)])
def test_bad_input_is_named_by_row_and_column(estimator):
    target = np.arange(120) % 2
    bad = X.copy()
    bad[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN in 1 of 120 rows \(first: row 7 column 'x1'"):
        estimator.fit(bad, target)
    with pytest.raises(ValueError, match="119"):
        estimator.fit(X, target[:-1])
    with pytest.raises(ValueError, match=r"text in column\(s\) 'b' \(such as 'red'\)"):
        estimator.fit(pl.DataFrame({"a": X[:, 0], "b": ["red"] * 120}), target)
    with pytest.raises(ValueError, match="widths to be positive integers"):
        type(estimator)(widths=(0,)).fit(X, target)
    with pytest.warns(InputWarning, match="got constant 'x1'"):
        estimator.fit(np.column_stack([X[:, 0], np.ones(120)]), target)


def test_a_target_that_is_no_number_is_named():
    bad = y.copy()
    bad[3] = np.inf
    with pytest.raises(ValueError, match=r"infinity in 1 of 120 rows \(first: row 3 column 'y'"):
        VarProRegressor().fit(X, bad)
    with pytest.raises(ValueError, match="Unknown label type"):
        VarProClassifier().fit(X, y)


def test_a_time_limit_is_said():
    with pytest.warns(ConvergenceWarning, match="time limit, max_seconds=0: raise it"):
        r = VarProRegressor(**QUICK, max_seconds=0).fit(X, y)
    assert r.report_.status is FitStatus.TIME_LIMIT


def test_the_report_is_printed_where_it_is_asked_for(capsys):
    VarProRegressor(**QUICK, verbose=1).fit(X, y)
    assert "on rows held out in turn" in capsys.readouterr().out


@pytest.mark.parametrize("estimator", [VarProRegressor(**SMALL), VarProClassifier(**SMALL)])
def test_masked_targets_are_no_targets(estimator):
    target = np.arange(120) % 2
    with pytest.raises(ValueError, match="1 of 120 masked"):
        estimator.fit(X, target).score(X, np.ma.masked_array(target, np.arange(120) == 3))


def test_examples_of_the_page_run():
    page = (Path(__file__).parents[2] / "docs" / "predict.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    # As they stand, but for fewer networks and iterations.
    for door in ("VarProRegressor(", "VarProClassifier(", "ConvexFunctionRegressor("):
        assert door in code
        code = code.replace(door, f"{door}n_folds=2, max_iter=30, ")
    names = {}
    exec(code, names)
    assert names["regressor"].score(names["X"], names["y"]) > 0.9
    assert names["classifier"].score(names["X"], names["labels"]) > 0.9
    assert names["convex"].score(names["X"], names["cost"]) > 0.9
