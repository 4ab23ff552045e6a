"""The Taylor remainder check itself."""

import inspect

import numpy as np
import pytest

from brenier import taylor_check

# Observed orders at small steps, of which the next term is a few per cent.
ORDER = 0.1


def test_taylor_check_finds_a_wrong_gradient():
    def wrong(x):
        return np.sum(x**3), 3 * x**2 + 1e-3

    def right(x):
        return np.sum(x**3), 3 * x**2

    x, direction = np.array([1.0, -2.0]), np.array([0.7, 0.2])
    h = 0.5 ** np.arange(1, 20)
    assert taylor_check(wrong, x, direction, h=h)["order"][-1] == pytest.approx(1, abs=ORDER)
    assert taylor_check(right, x, direction, h=h)["order"][10] == pytest.approx(2, abs=ORDER)
    np.testing.assert_array_equal(taylor_check(right, x, direction, h=h)["h"], h)
    with pytest.raises(ValueError, match=r"Expected a direction of theta's shape \(2,\)"):
        # Without the shape checks of the tests, as users run it.
        inspect.unwrap(taylor_check)(right, x, np.ones(3))
