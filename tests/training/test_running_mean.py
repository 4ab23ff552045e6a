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


@pytest.mark.parametrize("factor", [1e-3, 4.0])
def test_weights_are_relative(factor):
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=100), rng.exponential(size=100)
    found, expected = RunningMean(), running(values, weights, 50)
    found.add(values[:50], weights[:50] / factor)
    found.rescale(factor)
    found.add(values[50:], weights[50:])
    assert found.result.mean == pytest.approx(expected.result.mean, rel=1e-12)
    assert found.result.standard_error == pytest.approx(expected.result.standard_error, rel=1e-12)
    assert found.effective_size == pytest.approx(expected.effective_size, rel=1e-12)


def test_values_of_weights_that_are_nothing_beside_others_do_not_count():
    found = RunningMean()
    found.add(np.array([-np.inf, 1.0]), np.ones(2))
    found.rescale(0.0)
    found.add(np.array([1.0, 3.0]), np.ones(2))
    assert found.result.mean == pytest.approx(2.0)
    assert found.effective_size == 2.0


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
