"""A sample of rows: chosen by what they hold, whatever their order and however they are cut."""

import numpy as np
import pytest

from brenier.data import row_sample
from brenier.data.row_sample import RowSample

N, K = 1000, 90


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(N, 3))


def sampled(X, ends=(), most=K):
    """Return the rows that are kept of a table cut at some rows, and where they stand."""
    sample = RowSample(most)
    for part in np.split(X, ends):
        sample.add(part, np.arange(len(part)) + 0.5)
    rows, _ = sample.kept
    return rows, sample.places


def as_set(rows):
    return np.unique(rows, axis=0)


def test_as_many_rows_as_asked_for_in_the_table_s_order(X):
    rows, places = sampled(X)
    assert len(rows) == K
    assert (np.diff(places) > 0).all()
    np.testing.assert_array_equal(rows, X[places])


@pytest.mark.parametrize("ends", [(1,), (500, 501), range(50, N, 50), range(1, N)])
@pytest.mark.parametrize("block", [7, 100, 1 << 20])
def test_where_pieces_end_changes_nothing(X, ends, block, monkeypatch):
    monkeypatch.setattr(row_sample, "BLOCK", block)
    X[::3] = np.round(X[::3])
    for one, other in zip(sampled(X), sampled(X, ends), strict=True):
        np.testing.assert_array_equal(one, other)


def test_order_changes_nothing(X):
    kept, _ = sampled(X)
    again, _ = sampled(np.random.default_rng(1).permutation(X))
    np.testing.assert_array_equal(as_set(kept), as_set(again))


def test_which_rows_are_kept_of_others_does_not_depend_on_how_many(X):
    few, _ = sampled(X, most=20)
    more, _ = sampled(X)
    assert {tuple(row) for row in few} <= {tuple(row) for row in more}


def test_up_to_as_many_all_are_kept_as_they_are(X):
    for most in (None, N, N + 1):
        sample = RowSample(most)
        sample.add(X)
        assert sample.is_all
        assert sample.kept[0] is X
    sample = RowSample(N - 1)
    sample.add(X)
    assert not sample.is_all
    assert len(sample.kept[0]) == N - 1


def test_what_goes_along_stays_with_its_row(X):
    sample = RowSample(K)
    for part in np.split(X, [10, 400]):
        sample.add(part, part[:, 0] * 2.0, part[:, 1] - 1.0)
    rows, twice, less = sample.kept
    np.testing.assert_array_equal(twice, rows[:, 0] * 2.0)
    np.testing.assert_array_equal(less, rows[:, 1] - 1.0)
    assert sample.n_rows == N


def test_zero_has_no_sign(X):
    X[:, 0] = 0.0
    _, places = sampled(X)
    X[:, 0] = -0.0
    np.testing.assert_array_equal(places, sampled(X)[1])


def test_rows_are_taken_alike():
    """Every tenth of the places, and of the values, has its share."""
    X = np.random.default_rng(2).uniform(size=(100_000, 1))
    rows, places = sampled(X, most=10_000)
    for values in (rows[:, 0], places / len(X)):
        counts, _ = np.histogram(values, 10, (0.0, 1.0))
        # Seven standard deviations.
        assert np.abs(counts - 1000).max() < 7 * np.sqrt(1000 * 0.9)


@pytest.mark.parametrize("block", [1000, 1 << 20])
def test_rows_that_repeat_are_kept_as_often_as_they_are_there(block, monkeypatch):
    monkeypatch.setattr(row_sample, "BLOCK", block)
    X = np.random.default_rng(3).normal(size=(20_000, 2))
    X[::5] = 1.0
    X[1::5] = np.round(X[1::5])
    share = [np.mean((rows == 1.0).all(axis=1)) for rows in (X, sampled(X, most=5000)[0])]
    assert share[1] == pytest.approx(share[0], abs=0.03)


def test_no_more_rows_are_held_than_a_quarter_above_those_kept_and_a_piece(X):
    sample = RowSample(K)
    for part in np.split(X, 50):
        sample.add(part)
    assert sample.largest_held <= K + K // 4 + N // 50


def test_the_sample_is_the_same_on_all_machines_and_of_all_versions():
    _, places = sampled(np.arange(40.0).reshape(20, 2), most=5)
    assert places.tolist() == [2, 7, 10, 13, 14]
