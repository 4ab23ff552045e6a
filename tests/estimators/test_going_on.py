"""Fits that begin at a model: fewer iterations to the same likelihood, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from small_fits import ends_early, rows, small

from brenier import (
    ConditionalConvexPotentialFlow,
    ConditionalConvexPotentialMixture,
    ConvexPotentialFlow,
    ConvexPotentialMixture,
)
from brenier.data.rows import canonical_rows
from brenier.data.split import set_apart, split_rows

pytestmark = ends_early
SETTINGS = {"widths": (4,), "n_radial": 2, "max_iter": 60, "noise": 0.0}


def changed(X):
    """Return some of the rows, and others of the same distribution."""
    return np.concatenate([X[:270], rows(n_rows=30, seed=5)]) + 0.01


def parts_of(X):
    """Return of every row whether it is held out, or judges, in a fit's first split."""
    table = set_apart(canonical_rows(X, None, 0), 0.1, 100)
    split = split_rows(table.rows, 0.2, lambda rows: rows)
    parts = zip(("train", "heldout", "judge"), (*split, table.judge), strict=True)
    return {row.tobytes(): name for name, part in parts for row in part.X}


@pytest.fixture(scope="module")
def old(X):
    return ConvexPotentialFlow(**SETTINGS).fit(X)


@pytest.mark.filterwarnings("ignore:Expected independent rows")
def test_it_takes_a_part_of_the_evaluations_and_loses_nothing(old, X):
    new, fresh = changed(X), rows(n_rows=2000, seed=9) + 0.01
    anew = ConvexPotentialFlow(**SETTINGS).fit(new)
    going_on = ConvexPotentialFlow(**SETTINGS).fit(new, start=old)
    counts = [one.report_.n_evaluations for one in (anew, going_on)]
    assert counts[1] < 0.7 * counts[0]
    # Nothing is selected.
    assert set(going_on.report_.run_decay) == {old.report_.decay}
    assert len(set(anew.report_.run_decay)) > 1
    assert going_on.score(fresh) > anew.score(fresh) - 0.02
    assert going_on.score(fresh) > going_on.baseline_score_samples(fresh).mean() + 0.3
    np.testing.assert_array_equal(
        going_on.flow_.preprocessing.inner.whitening.mean,
        anew.flow_.preprocessing.inner.whitening.mean,
    )


def test_columns_stay_in_the_models_order_whatever_the_new_rows_say():
    # The order of columns is that of their medians' places, which skewed columns exchange.
    rng = np.random.default_rng(0)
    skewed = rng.exponential(size=(112, 2))
    alone = {"widths": (3,), "decay": 0.1, "max_iter": 5}
    old = small(**alone).fit(skewed * [1.0, -1.0])
    new = skewed * [-1.0, 1.0]
    again = small(**alone).fit(new, start=old)
    assert again.flow_.preprocessing.order.tolist() == old.flow_.preprocessing.order.tolist()
    anew = small(**alone).fit(new)
    assert anew.flow_.preprocessing.order.tolist() != old.flow_.preprocessing.order.tolist()


def test_rows_in_both_tables_keep_their_parts(X):
    new = np.concatenate([X[:270], rows(n_rows=30, seed=5)])
    parts = [parts_of(table) for table in (X, new)]
    same = [name for name in parts[0] if name in parts[1]]
    assert len(same) == 270
    assert np.mean([parts[0][name] == parts[1][name] for name in same]) > 0.97


def test_the_search_begins_at_the_old_weights(X):
    # Of one potential, all rows, no iteration: the old network, the last layer solved for.
    alone = {"widths": (4,), "decay": 0.01}
    old = small(**alone, max_iter=30).fit(X)
    again = small(**alone, max_iter=1).fit(X, start=old)
    assert again.score(X) == pytest.approx(old.score(X), abs=0.01)
    assert small(**alone, max_iter=1).fit(X).score(X) < old.score(X) - 0.03


def test_a_gaussian_has_no_weights_to_begin_at(X):
    gaussian = small(max_iter=1, tol=1e3).fit(np.random.default_rng(0).normal(size=(12, 2)))
    if not gaussian.report_.is_gaussian:
        pytest.skip("this fit found more than a Gaussian")
    few = small(decay=0.1)
    expected = small(decay=0.1).fit(X).score_samples(X)
    np.testing.assert_allclose(few.fit(X, start=gaussian).score_samples(X), expected, rtol=1e-9)


def test_conditional_densities_go_on_too():
    rng = np.random.default_rng(0)
    C = rng.normal(size=(112, 1))
    Y = np.sin(2 * C) + 0.3 * rng.normal(size=(112, 1))
    few = {"widths": (3,), "context_widths": (3,), "n_gates": 1, "max_iter": 30}
    few |= {"n_estimators": 1, "validation_fraction": 0.0, "judge_fraction": 0.0}
    old = ConditionalConvexPotentialFlow(**few).fit(C, Y)
    again = ConditionalConvexPotentialFlow(**few | {"max_iter": 2}).fit(C, Y, start=old)
    assert again.score(C, Y) > old.score(C, Y) - 0.02
    others = pd.DataFrame(Y, columns=["a"])
    with pytest.raises(ValueError, match=r"own 'targets'; got targets \['a'\], not \['y'\]"):
        ConditionalConvexPotentialFlow(**few).fit(C, others, start=old)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"widths": (3,)}, r"own 'widths'; got widths \(3,\), not \(4,\)"),
        ({"whiten": "none"}, "own 'whiten'"),
        ({"bounds": [(-50, None), (None, None)]}, "own 'bounds'"),
        ({"n_maps": 2}, "own .*'n_maps'"),
        ({"n_maps": "auto"}, "Expected no start of a ConvexPotentialFlow with n_maps='auto'"),
    ],
)
def test_other_settings_are_errors(old, X, settings, said):
    with pytest.raises(ValueError, match=said):
        ConvexPotentialFlow(**SETTINGS | settings).fit(X, start=old)


def test_other_columns_and_models_are_errors(old, X):
    with pytest.raises(ValueError, match=r"own 'columns'"):
        ConvexPotentialFlow(**SETTINGS).fit(np.column_stack([X, X[::-1, 0]]), start=old)
    composed = small(n_maps=2, widths=(3,), max_iter=5).fit(X)
    with pytest.raises(ValueError, match="of one map to begin at; got a composition of 2"):
        small(n_maps=2, widths=(3,)).fit(X, start=composed)
    with pytest.raises(ValueError, match="Expected no start of a ConvexPotentialMixture"):
        ConvexPotentialMixture().fit(X, start=old)
    with pytest.raises(ValueError, match="Expected no start of a ConditionalConvexPotentialM"):
        ConditionalConvexPotentialMixture().fit(X[:, :1], X[:, 1:], start=old)
    with pytest.raises(ValueError, match="as start; got a ConvexPotentialFlow"):
        ConditionalConvexPotentialFlow().fit(X[:, :1], X[:, 1:], start=old)
