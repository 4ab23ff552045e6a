"""Judge rows: set apart by every estimator, seen by no fit, and what reports say of them."""

import numpy as np
import pytest
from small_fits import ends_early, rows, small

from brenier import ConditionalConvexPotentialFlow, ConvexPotentialFlow
from brenier.data.rows import canonical_rows
from brenier.data.split import set_apart
from brenier.status import InputWarning

pytestmark = ends_early
CONDITIONAL = {"widths": (4,), "context_widths": (4,), "max_iter": 15, "decay": 1e-2}


def test_from_three_hundred_rows_on_some_judge():
    few, enough = (small(judge_fraction=0.05).fit(rows(n_rows=N)).report_ for N in (299, 300))
    assert few.gain is few.log_likelihood is None
    assert few.n_judge == 0
    assert few.verdict.startswith("Not judged: too few rows (299 rows; 300 are needed).")
    assert "`brenier score MODEL OTHER_ROWS`" in few.verdict
    # A tenth of a small table, by the rows' own hashes.
    assert 15 <= enough.n_judge <= 45
    assert enough.n_train == 300 - enough.n_judge
    assert enough.n_rows == 300 == enough.effective_size
    low, high = enough.gain.interval
    assert low < enough.gain.mean < high


def test_judge_rows_are_a_twentieth_of_a_long_table_and_none_if_so_asked():
    X = rows(n_rows=4000)
    report = small(judge_fraction=0.05, max_iter=2).fit(X).report_
    assert report.n_judge / 4000 == pytest.approx(0.05, abs=0.015)
    none = small(max_iter=2).fit(X).report_
    assert none.n_judge == 0
    assert "no rows were set apart for it (judge_fraction is 0)" in none.verdict


def test_what_judge_rows_hold_changes_nothing_of_the_model():
    X = rows(n_rows=400)
    settings = {"judge_fraction": 0.1, "validation_fraction": 0.2, "n_radial": 2}
    flow = small(**settings).fit(X)
    # A row's hash says whether it judges.
    judge = set_apart(canonical_rows(X, None, seed=0), 0.1, least=300).judge.X
    judges = [k for k in range(400) if (judge == X[k]).all(axis=1).any()][:3]
    rest = np.delete(X, judges, axis=0)
    without = small(**settings).fit(rest)
    assert without.report_.n_judge == flow.report_.n_judge - len(judges)
    T = rows(n_rows=50, seed=9)
    np.testing.assert_allclose(without.score_samples(T), flow.score_samples(T), rtol=1e-9)


def test_validation_rows_choose_and_rows_of_the_table_judge():
    X, V = rows(n_rows=400), rows(n_rows=100, seed=1)
    report = small(judge_fraction=0.05).fit(X, validation_data=V).report_
    assert report.n_heldout == 100
    assert report.n_judge > 0
    assert report.n_train == 400 - report.n_judge


def test_densities_given_a_context_are_judged_as_a_whole():
    X = rows(n_rows=400)
    flow = ConditionalConvexPotentialFlow(**CONDITIONAL, n_estimators=2).fit(X[:, :1], X[:, 1])
    report = flow.report_
    assert report.n_judge > 20
    assert report.n_train == 400 - report.n_judge
    judge = set_apart(canonical_rows(X[:, [1, 0]], None, seed=0), 0.1, least=300).judge.X
    known = flow.score_samples(judge[:, 1:], judge[:, 0])
    # By regression: not the plain mean, but near it.
    assert abs(report.log_likelihood.mean - known.mean()) < 0.5
    assert report.gain.standard_error > 0


def test_chains_are_judged_by_blocks_and_say_what_they_are_worth():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 2))
    for t in range(1, 4000):
        X[t] = 0.7 * X[t - 1] + np.sqrt(1 - 0.49) * X[t]
    settings = {"widths": (4,), "max_iter": 5, "n_estimators": 1, "n_radial": 0, "noise": 0.0}
    with pytest.warns(InputWarning, match=r"got rows like those before them in 'x0', 'x1'"):
        alone = ConvexPotentialFlow(**settings).fit(X).report_
    chained = ConvexPotentialFlow(**settings).fit(X, groups=np.repeat([0, 1], 2000)).report_
    # The time of an autoregression of 0.7 is 5.7 rows.
    assert 4000 / 9 < chained.effective_size < 4000 / 5
    assert alone.effective_size == 4000
    assert f"worth {chained.effective_size:.0f}" in repr(chained)
    assert chained.log_likelihood.degrees < 0.1 * alone.log_likelihood.degrees
    with pytest.raises(ValueError, match=r"one label of groups for each of the 4000 rows"):
        ConvexPotentialFlow(**settings).fit(X, groups=[0, 1])
