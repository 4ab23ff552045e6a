"""Which rows are held out: their share, by their contents, other ones at every turn."""

import numpy as np
import pytest

from brenier.data.rows import canonical_rows
from brenier.data.split import split_rows


def rows_of(X):
    return canonical_rows(np.asarray(X, float), None, seed=0)


def rows(N=400):
    return rows_of(np.random.default_rng(0).normal(size=(N, 2)))


def as_they_are(X):
    return X


def as_set(part):
    return {tuple(row) for row in part.X}


@pytest.mark.parametrize("share", [0.1, 0.25])
def test_every_row_is_on_one_side_and_turns_hold_out_others(share):
    whole, seen = rows(), []
    for turn in range(round(1 / share)):
        train, heldout = split_rows(whole, share, as_they_are, turn)
        assert as_set(train) | as_set(heldout) == as_set(whole)
        assert len(train.X) + len(heldout.X) == len(whole.X)
        # Four standard errors.
        error = 4 * np.sqrt(share * (1 - share) / 400)
        assert len(heldout.X) / 400 == pytest.approx(share, abs=error)
        seen.append(as_set(heldout))
    # As many turns as there are shares hold out everything once.
    assert set.union(*seen) == as_set(whole)
    assert sum(map(len, seen)) == len(whole.X)


def test_what_a_row_is_decides_and_not_what_other_rows_there_are():
    whole = rows()
    few = rows_of(whole.X[:200])
    (_, held), (_, held_of_few) = (split_rows(part, 0.2, as_they_are) for part in (whole, few))
    assert as_set(held_of_few) == as_set(held) & as_set(few)


def test_nothing_is_held_out_where_too_little_would_be_left():
    whole = rows()
    assert split_rows(whole, 0.0, as_they_are).heldout is None
    # Too few rows at all; then a table of which all rows would be held out.
    for part in (whole[:3], whole[whole.position < 0.2][:8]):
        train, heldout = split_rows(part, 0.25, as_they_are)
        assert heldout is None
        assert train is part
    # One column would be constant: its one other value stands in a row that is held out.
    X = np.random.default_rng(1).normal(size=(50, 2))
    X[:, 1] = 1.0
    X[0, 1] = 2.0
    odd = rows_of(X)
    turn = int(odd.position[odd.X[:, 1] == 2.0][0] / 0.25)
    assert split_rows(odd, 0.25, as_they_are, turn).heldout is None
    assert split_rows(odd, 0.25, as_they_are, turn + 1).heldout is not None
    # But where it is not among the density's own columns.
    assert split_rows(odd, 0.25, lambda X: X[:, :1], turn).heldout is not None


@pytest.mark.parametrize("turn", range(5))
def test_lone_rows_are_always_trained_on(turn):
    whole = canonical_rows(np.random.default_rng(0).normal(size=(200, 2)), None, seed=0)
    lone = np.zeros(200, bool)
    lone[::40] = True
    train, heldout = split_rows(whole, 0.2, lambda X: X, turn, lone)
    kept = {tuple(row) for row in train.X}
    assert all(tuple(row) in kept for row in whole.X[lone])
    assert len(train.X) + len(heldout.X) == 200
