"""Heavy tails: the map, its inverse and its Jacobian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from brenier.flow.tail import Tail, lambert_w

pytestmark = pytest.mark.usefixtures("x64")

ROUNDING = {"rtol": 1e-12, "atol": 1e-12}
H = 0.2


def images(n, scale=3.0, n_rows=9, seed=0):
    """Return z, (n, rows)."""
    return jnp.asarray(scale * np.random.default_rng(seed).normal(size=(n, n_rows)))


def test_lambert_w_from_zero_to_overflow():
    v = np.concatenate([[0.0], np.geomspace(1e-300, 1e300, 1001)])
    np.testing.assert_allclose(lambert_w(jnp.asarray(v)), special.lambertw(v).real, rtol=1e-14)


@pytest.mark.parametrize("n", [1, 3])
def test_forward_and_inverse_and_jacobian(n):
    tail, z = Tail(jnp.asarray(H)), images(n)
    u, log_det = tail.forward(z)
    np.testing.assert_allclose(tail.inverse(u.T).T, z, **ROUNDING)
    jacobians = jax.vmap(jax.jacfwd(lambda z: tail.forward(z[:, None])[0][:, 0]), in_axes=1)(z)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobians).logabsdet, **ROUNDING)
    # The gradient of a convex function: symmetric, with positive eigenvalues.
    np.testing.assert_allclose(jacobians, np.swapaxes(jacobians, 1, 2), **ROUNDING)
    assert (np.linalg.eigvalsh(jacobians) > 0).all()


@pytest.mark.parametrize("n", [1, 3])
def test_one_sphere_stays_where_it_is_and_far_points_come_nearer(n):
    tail, z = Tail(jnp.asarray(H)), images(n)
    on_sphere = z * jnp.sqrt((n + 1) / jnp.sum(z**2, axis=0))
    np.testing.assert_allclose(tail.forward(on_sphere)[0], on_sphere, **ROUNDING)
    u, _ = tail.forward(1e8 * z)
    assert (np.linalg.norm(u, axis=0) < 20).all()
    # Where |z|^2 overflows nothing is NaN.
    u, log_det = tail.forward(1e200 * z)
    assert np.isfinite(u).all()
    assert np.isfinite(log_det).all()
    np.testing.assert_array_equal(np.sign(u), np.sign(z))


def test_survival_falls_like_the_power_that_is_said():
    y = np.array([[1e10, 1e14]])
    u, _ = Tail(jnp.asarray(H)).forward(jnp.asarray(y))
    log_survival = stats.norm.logsf(np.asarray(u)[0])
    slope = np.diff(log_survival)[0] / np.log(1e4)
    # Its logarithm over that of y, up to the logarithm of u.
    assert slope == pytest.approx(-1 / H, rel=0.05)
