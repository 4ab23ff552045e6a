"""Rows in canonical order: what repeats is weight, and a row's place is its own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brenier.data.rows import canonical_rows

law = settings(max_examples=60, deadline=None, derandomize=True, database=None)
# Few values, so that rows repeat; both zeros, which are equal.
tables = st.lists(
    st.tuples(st.sampled_from([0.0, -0.0, 1.5, -2.0]), st.sampled_from([0.0, -0.0, 3.0])),
    min_size=1,
    max_size=12,
).map(np.array)
seeds = st.integers(0, 2**32 - 1)


@law
@given(X=tables, seed=seeds, data=st.data())
def test_order_repetition_and_absence_of_rows(X, seed, data):
    plain = canonical_rows(X, None, seed)
    assert {tuple(row) for row in plain.X + 0.0} == {tuple(row) for row in X + 0.0}
    assert len(np.unique(plain.X, axis=0)) == len(plain.X)
    assert plain.weights.sum() == len(X)
    assert (np.diff(plain.position) >= 0).all()
    assert (plain.position >= 0).all()
    assert (plain.position < 1).all()

    def same(other):
        for name in ("X", "weights", "position"):
            assert getattr(plain, name).tobytes() == getattr(other, name).tobytes()
        assert (plain.block, plain.inefficiency) == (other.block, other.inefficiency) == (None, 1.0)

    order = np.array(data.draw(st.permutations(range(len(X)))))
    same(canonical_rows(X[order], None, seed))
    # Repetition is weight.
    distinct, counts = np.unique(X + 0.0, axis=0, return_counts=True)
    same(canonical_rows(distinct, counts.astype(float), seed))
    # Weight zero is absence.
    absent = np.vstack([X, X + 7.0])
    same(canonical_rows(absent, np.repeat([1.0, 0.0], len(X)), seed))
    # The position of a row is its own: neither other rows nor its weight move it.
    first = canonical_rows(X[:1], np.array([0.3]), seed)
    assert first.position[0] in plain.position[(plain.X == first.X[0]).all(axis=1)]


def test_split_by_position_is_uniform_and_depends_on_the_seed():
    X = np.arange(4000.0).reshape(-1, 2)
    one, other = (canonical_rows(X, None, seed) for seed in (0, 1))
    for found in (one, other):
        # Four standard errors of a share of 2000 rows.
        assert np.mean(found.position < 0.1) == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / 2000))
    assert (one.X != other.X).any()
    held_out = one[one.position < 0.1]
    assert (held_out.X == one.X[: len(held_out.X)]).all()
