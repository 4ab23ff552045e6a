"""The benchmark of maps: its potential is what it says."""

import numpy as np
import pytest
from benchmarks.transport import Potential, unexplained


def test_preimages_are_such_and_the_map_is_a_gradient_of_a_convex_function():
    rng = np.random.default_rng(0)
    potential = Potential(4, rng)
    Z = rng.normal(size=(500, 4))
    X = potential.preimage(Z)
    np.testing.assert_allclose(potential.image(X), Z, atol=1e-9)
    steps = 1e-5 * np.eye(4)
    J = np.stack(
        [(potential.image(X + step) - potential.image(X - step)) / 2e-5 for step in steps], axis=1
    )
    np.testing.assert_allclose(J, J.transpose(0, 2, 1), atol=1e-7)
    assert np.linalg.eigvalsh(J).min() > 0.3


def test_what_is_unexplained_is_nothing_of_the_map_itself_and_all_of_the_mean():
    Z = np.random.default_rng(0).normal(size=(20_000, 3))
    assert unexplained(Z, Z) == 0
    assert unexplained(0 * Z, Z) == pytest.approx(100, abs=2)
