"""mu as one vector, and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_problem import network, units

from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.varpro.parameters import from_vector, lower_bounds, to_vector

pytestmark = pytest.mark.usefixtures("x64")

both_forms = pytest.mark.parametrize("form", NONNEGATIVITY)


@both_forms
@pytest.mark.parametrize("widths", [(3,), (3, 4, 2)])
def test_vector_round_trip(form, widths):
    net = network(form, widths, n=3)
    theta = to_vector(net)
    assert theta.dtype == np.float64
    np.testing.assert_array_equal(theta, to_vector(from_vector(net, jnp.asarray(theta))))
    ascending = from_vector(net, np.arange(len(theta), dtype=float))
    assert jax.tree.structure(ascending) == jax.tree.structure(net)
    for before, after in zip(jax.tree.leaves(net), jax.tree.leaves(ascending), strict=True):
        assert before.shape == after.shape
    bounds = from_vector(net, lower_bounds(net))
    assert all((free == -np.inf).all() for free in (*bounds.K, *bounds.b))
    assert all((L == NONNEGATIVITY[form].lower_bound).all() for L in bounds.L)


def test_vector_has_the_network_before_the_radial_units():
    both = units("bounds", 2)
    net, radial = both.parts
    theta = to_vector(both)
    np.testing.assert_array_equal(theta, np.concatenate([to_vector(net), to_vector(radial)]))
    back = from_vector(both, jnp.asarray(theta))
    assert jax.tree.structure(back) == jax.tree.structure(both)
    np.testing.assert_array_equal(back.parts[1].B, radial.B)
    np.testing.assert_array_equal(back.parts[1].e, radial.e)
