"""Means of values in pieces are those of all values."""

import numpy as np
import pytest

from brenier.training.report import MeanAndError
from brenier.training.running_mean import RunningMean


def running(values, weights, size):
    mean = RunningMean()
    for first in range(0, len(values), size):
        mean.add(values[first : first + size], weights[first : first + size])
    return mean


@pytest.mark.parametrize("size", [1, 7, 100])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_mean_error_and_degrees_are_those_of_all_values(size, offset):
    rng = np.random.default_rng(0)
    values, weights = offset + rng.normal(size=100), rng.exponential(size=100)
    found, expected = running(values, weights, size), MeanAndError.of(values, weights)
    assert found.result.mean == pytest.approx(expected.mean, rel=1e-14)
    assert found.result.standard_error == pytest.approx(expected.standard_error, rel=1e-8)
    assert found.result.degrees == pytest.approx(expected.degrees, rel=1e-12)
    assert found.unequal
    assert not running(values, np.ones(100), size).unequal


def test_one_value_and_values_without_a_mean_have_no_error():
    one = running(np.array([3.0]), np.ones(1), 1).result
    assert one.mean == 3.0
    assert np.isnan(one.standard_error)
    for place in (0, 3):
        values = np.arange(4.0)
        values[place] = -np.inf
        found = running(values, np.ones(4), 2).result
        assert found.mean == -np.inf
        assert np.isnan(found.standard_error)
