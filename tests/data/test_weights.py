"""Weights and their logarithms: what is none is named by its row."""

import numpy as np
import pytest

from brenier.data.rows import canonical_rows
from brenier.data.weights import are_unequal, check_weights, effective_size, weights_of_logs


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, 0.0, -2.0, -1.0], "negative numbers in 2 of 4 rows .first: row 2: -2;.*log_weights"),
        ([1.0, np.nan, 1.0], "got NaN in 1 of 3 rows .first: row 1: nan;.*zero"),
        ([np.inf, 1.0], "got infinity in 1 of 2 rows .first: row 0: inf;"),
        ([-np.inf, 1.0, np.nan], "negative numbers and NaN in 2 of 3 .*exp.logw - max.logw"),
    ],
)
def test_weights_that_are_none_are_named(values, said):
    with pytest.raises(ValueError, match=f"Expected weights .* in sample_weight; .*{said}"):
        check_weights(np.array(values))


def test_log_weights_are_shifted_by_their_maximum():
    logs = np.array([-1e4, -1e4 - 1.0, -np.inf, -2e4])
    np.testing.assert_allclose(weights_of_logs(logs), [1.0, np.exp(-1.0), 0.0, 0.0])
    # A constant changes nothing, however large.
    np.testing.assert_allclose(weights_of_logs(logs + 1e5), weights_of_logs(logs), rtol=1e-9)
    check_weights(weights_of_logs(logs))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.0, np.nan], "got nan in 1 of 2 rows .first: row 1;"),
        ([np.inf, 0.0, np.inf], "got inf in 2 of 3 rows .first: row 0;"),
        ([-np.inf, -np.inf], "some rows above minus infinity in log_weights; got none"),
    ],
)
def test_log_weights_that_are_none_are_named(values, said):
    with pytest.raises(ValueError, match=said):
        weights_of_logs(np.array(values))


def test_effective_size_is_kishs():
    weights = np.array([1.0, 2.0, 3.0])
    assert effective_size(weights) == pytest.approx(36 / 14)
    # In any unit, and of equal weights their number.
    assert effective_size(1e200 * weights) == pytest.approx(36 / 14)
    assert effective_size(np.full(7, 0.1)) == pytest.approx(7)
    # Weights of copies of a row are one.
    X = np.array([[1.0], [1.0], [2.0]])
    assert canonical_rows(X, weights, 0).effective_size == pytest.approx(2.0)


def test_weights_are_unequal_among_the_rows_that_count():
    assert not are_unequal(None)
    assert not are_unequal(np.array([0.0, 2.0, 2.0]))
    assert are_unequal(np.array([0.0, 2.0, 1.0]))
