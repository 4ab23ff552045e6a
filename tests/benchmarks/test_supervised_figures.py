"""Regression, classification and convex functions beside peers: rows, peers, bookkeeping."""

import sys
from pathlib import Path

import cvxpy
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
try:
    from benchmarks import data, report, supervised, supervised_problems
    from benchmarks.accuracy import FAILED
    from benchmarks.fit import FITTED
    from benchmarks.peers import predictors
    from benchmarks.peers.convex_least_squares import ConvexLeastSquares
    from benchmarks.supervised_problems import FORMS, PROBLEMS
finally:
    sys.path.remove(str(ROOT))

CONVEX = "quadratic, 2 columns, 100 rows"


def record(**changes):
    """Return the record of a fit."""
    return {"data": "wine", "peer": "ridge", "seed": 0, "status": FITTED, "loss": 1.0, **changes}


@pytest.mark.parametrize("n", supervised_problems.DIMENSIONS)
@pytest.mark.parametrize("form", FORMS)
def test_known_functions_are_convex_and_of_unit_variance(form, n):
    function = supervised_problems.convex_function(form, n)
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, size=(2, 2000, n))
    assert np.all(function((a + b) / 2) <= (function(a) + function(b)) / 2 + 1e-9)
    assert np.mean(function(a)) == pytest.approx(0.0, abs=0.15)
    assert np.std(function(a)) == pytest.approx(1.0, abs=0.15)


def test_rows_differ_by_seed_and_have_noise_to_train_on_only():
    one, other = (PROBLEMS[CONVEX].rows(seed) for seed in (0, 1))
    assert one.X.shape == (100, 2)
    assert not np.any(one.X == other.X)
    function = supervised_problems.convex_function("quadratic", 2)
    np.testing.assert_array_equal(function(one.X_test), one.y_test)
    noise = np.std(one.y - function(one.X))
    assert noise == pytest.approx(supervised_problems.NOISE, rel=0.3)


def test_tables_are_split_by_class():
    rows = PROBLEMS["wine"].rows(0)
    assert len(rows.y_test) == 36
    np.testing.assert_allclose(
        np.bincount(rows.y) / len(rows.y), np.bincount(rows.y_test) / 36, atol=0.02
    )


def test_adding_broken_constraints_ends_in_convex_least_squares():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 2))
    y = np.sum(X**2, axis=1) + rng.normal(size=20)
    fitted = ConvexLeastSquares(0.1).fit(X, y)
    f, G = cvxpy.Variable(20), cvxpy.Variable((20, 2))
    below = [f >= f[i] + (X - X[i]) @ G[i] for i in range(20)]
    loss = cvxpy.sum_squares(f - y) + 0.1 * cvxpy.sum_squares(G)
    cvxpy.Problem(cvxpy.Minimize(loss), below).solve(solver="CLARABEL")
    np.testing.assert_allclose(fitted.f_, f.value, atol=1e-3)
    np.testing.assert_allclose(fitted.predict(X), f.value, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "method"),
    [("Friedman 1", "ridge"), ("wine", "LogisticRegression"), (CONVEX, "convex least squares")],
)
def test_a_fit_has_a_loss(name, method):
    found = supervised.measured(PROBLEMS[name], method, 0)
    assert found["status"] == FITTED
    guess = {"Friedman 1": 5.0, "wine": 1.1, CONVEX: 1.0}[name]
    assert 0 < found["loss"] < guess


def test_what_a_grid_chose_is_told():
    make = predictors._best(lambda seed: ConvexLeastSquares(), {"penalty": (0.1, 1.0)}, "r2", _Two)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(24, 1))
    fitted = predictors._regressor(make)(X, np.abs(X[:, 0]), 0)
    assert fitted.chosen["penalty"] in (0.1, 1.0)
    assert fitted.predict(X).shape == (24,)


class _Two(predictors.KFold):
    """Two folds, whatever is asked for."""

    def __init__(self, n_splits, **settings):
        super().__init__(2, **settings)


def test_an_error_is_a_record(monkeypatch):
    def load(name):
        raise ImportError(f"brenier has no {name}")

    monkeypatch.setattr(predictors, "load", load)
    found = supervised.measured(PROBLEMS[CONVEX], "ConvexFunctionRegressor", 0)
    assert found["status"] == FAILED
    assert "ConvexFunctionRegressor" in found["message"]


def test_a_run_goes_on_and_measures_again_what_it_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    seen = []

    def measured(problem, method, seed):
        seen.append((problem.name, method, seed))
        return record(data=problem.name, peer=method, seed=seed)

    monkeypatch.setattr(supervised, "measured", measured)
    monkeypatch.setattr(
        report, "read", lambda name, folder=tmp_path, read=report.read: read(name, folder)
    )
    monkeypatch.setattr(
        report, "write", lambda name, found, folder=tmp_path, w=report.write: w(name, found, folder)
    )
    supervised.run(["wine"], ["LogisticRegression"], [], 2)
    supervised.run(["wine"], ["LogisticRegression"], [], 2)
    assert seen == [("wine", "LogisticRegression", seed) for seed in (0, 1)]
    supervised.run(["wine"], ["LogisticRegression"], ["LogisticRegression"], 1)
    assert len(seen) == 3
    assert len(report.read(supervised.NAME)) == 2


def test_large_problems_and_absent_tables_are_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "UCI", tmp_path / "none")
    large = "quadratic, 2 columns, 1000 rows"
    pairs = list(supervised._pairs(["concrete", large], list(predictors.CONVEX)))
    assert {problem.name for problem, _ in pairs} == {large}
    assert not {"convex least squares", "convex least squares, ridge"} & {name for _, name in pairs}


def test_tables_and_figures_are_of_what_was_measured():
    records = [
        record(data="yacht", peer=peer, seed=seed, loss=loss + 0.1 * seed)
        for peer, loss in (("VarProRegressor", 0.4), ("MLPRegressor", 0.6), ("ridge", 9.0))
        for seed in (1, 0)
    ]
    text = supervised.markdown(records)
    assert "| | VarProRegressor | MLPRegressor | ridge |" in text
    assert "| yacht | 0.450 ± 0.071 (2) | 0.650 ± 0.071 (2) | 9.050 ± 0.071 (2) |" in text
    (figure,) = supervised.figures(records)
    assert figure.reached
    assert figure.detail == "below MLPRegressor (2 of 5 seeds)"


def test_ours_are_compared_with_trees():
    records = [
        record(data=name, peer=peer, loss=loss)
        for name, ours in (("yacht", 0.5), ("energy", 0.54), ("concrete", 0.6))
        for peer, loss in (("VarProRegressor", ours), (supervised.TREES, 0.5))
    ]
    *within, better = supervised.figures(records)
    assert [figure.reached for figure in within] == [False, True, True]
    assert better.measured == 0
    assert not better.reached


def test_rows_that_are_timed_are_1000_of_8_columns():
    rows = supervised.timed_rows("VarProClassifier")
    assert rows.X.shape == (1000, 8)
    assert set(rows.y) == {False, True}


def test_means_are_over_the_seeds_that_both_have():
    records = [
        record(data="yacht", peer="VarProRegressor", seed=seed, loss=1.0 + 9.0 * (seed > 1))
        for seed in range(5)
    ]
    records += [record(data="yacht", peer="MLPRegressor", seed=seed, loss=2.0) for seed in (0, 1)]
    (figure,) = supervised.figures(records)
    assert (figure.measured, figure.target) == (1.0, 2.0)
    assert figure.reached
    # Of fewer seeds than five none is the best.
    (line,) = [line for line in supervised.markdown(records) if line.startswith("| yacht")]
    assert "2.000 ± 0.000 (2)" in line.replace("\N{PLUS-MINUS SIGN}", "±")
    assert "**" not in line


def test_convex_functions_count_by_the_mean_over_all_of_them():
    records = [
        record(data=f"{form}, 2 columns, 100 rows", peer=peer, loss=loss + k)
        for peer, loss in (("ConvexFunctionRegressor", 0.1), ("VarProRegressor", 0.2))
        for k, form in enumerate(FORMS)
    ]
    (figure,) = supervised.figures(records)
    assert figure.what == "2 columns, 100 rows: ConvexFunctionRegressor"
    assert figure.measured == pytest.approx(1.6)
    assert figure.reached
    assert "1 of 5 seeds" in str(figure)
    assert "| 2 columns, 100 rows | 1.600 (1) | 1.700 (1) |" in supervised.markdown(records)
    # Of a function too few there is none.
    assert list(supervised.figures(records[1:])) == []
