"""Images in bits per dimension: the map of values to rows, and back from densities to bits."""

import numpy as np
import pytest
from benchmarks.images import ALPHA, LEVELS, Digits
from benchmarks.peers.classical import factors, shrunk

N_PIXELS = 61


@pytest.fixture(scope="module")
def digits():
    return Digits(0)


def test_splits_are_seventy_ten_and_twenty_percent(digits):
    assert [len(part) for part in digits.rows] == [1258, 180, 359]
    assert digits.rows.train.shape[1] + digits.n_constant == 64
    assert digits.n_constant == 3


def test_uniform_levels_have_the_bits_of_their_number(digits):
    # x uniform in [0, 1]: the log-density of y is minus the logarithm of the slope dy/dx.
    s = 1 / (1 + np.exp(-digits.rows.test))
    x = (s - ALPHA) / (1 - 2 * ALPHA)
    assert 0 <= x.min() < x.max() <= 1
    step = 1e-6

    def y(x):
        s = ALPHA + (1 - 2 * ALPHA) * x
        return np.log(s / (1 - s))

    slope = (y(x + step) - y(x - step)) / (2 * step)
    bits = digits.bits(-np.log(slope).sum(axis=1))
    np.testing.assert_allclose(bits, np.log2(LEVELS), rtol=1e-6)


@pytest.mark.parametrize("fit", [shrunk, factors])
def test_gaussians_of_few_rows_are_densities_in_the_units_of_the_rows(digits, fit):
    few = type(digits.rows)(*(part[:, :6] for part in digits.rows))
    fitted = fit(few, 0, lambda: 0.0)
    # Of rows a thousand times as large the density is lower by six times log 1000.
    wide = type(few)(*(1000 * part for part in few))
    shift = fitted.log_density(few.test) - fit(wide, 0, lambda: 0.0).log_density(wide.test)
    np.testing.assert_allclose(shift, 6 * np.log(1000), atol=1e-3)
    draws = fitted.draw(4000)
    np.testing.assert_allclose(draws.mean(axis=0), few.train.mean(axis=0), atol=0.2)
