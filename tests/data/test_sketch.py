"""Rows that a model has seen are recognised, others are not."""

import numpy as np

from brenier.data.sketch import KEPT, sketch_of


def rows(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3))


def test_all_rows_of_a_short_table_are_recognised():
    X = rows(400)
    sketch = sketch_of(X)
    assert sketch.seen(X) == (400, 400)
    assert sketch.seen(rows(500, seed=1)) == (500, 0)
    assert sketch.seen(np.concatenate([X[:100], rows(50, seed=2)])) == (150, 100)


def test_of_a_long_table_a_share_is_enough():
    X = rows(50_000)
    sketch = sketch_of(X)
    assert len(sketch.least) == KEPT
    known, seen = sketch.seen(X)
    assert known == seen == KEPT
    known, seen = sketch.seen(np.concatenate([X[:20_000], rows(20_000, seed=1)]))
    # 410 of either are below the limit, give or take twenty.
    assert abs(seen / known - 0.5) < 0.1


def test_the_order_of_rows_does_not_matter_but_that_of_cells_does():
    X = rows(300)
    sketch = sketch_of(X[::-1])
    assert sketch.salt == sketch_of(X).salt
    np.testing.assert_array_equal(sketch.least, sketch_of(X).least)
    assert sketch.seen(X[:, ::-1]) == (300, 0)


def test_a_negative_zero_is_a_zero():
    X = np.zeros((1, 3))
    assert sketch_of(X).seen(-X) == (1, 1)


def test_hashes_are_uniform():
    least = sketch_of(rows(1000)).least
    assert np.abs(least - np.arange(1000) / 1000).max() < 0.06
