"""The average of potentials: one potential with the mean map, and by convexity no larger a loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brenier.potential.activations import ACTIVATIONS
from brenier.potential.features import ConvexPotential
from brenier.potential.head import SeparableFeatures
from brenier.potential.initialise import initial_network, initial_radial_units
from brenier.potential.merge import combine
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.potential.units import ConcatenatedUnits
from brenier.varpro.reduced import loss

WIDTHS, SPREAD = (4, 3, 4), (0.5, 3.0)
FORMS = [
    (name, quadratic, n_radial)
    for name in NONNEGATIVITY
    for quadratic in (True, False)
    for n_radial in (0, 3)
]
# Sums in another order.
ROUNDING = {"rtol": 1e-12, "atol": 1e-12}


def potential(nonnegativity, seed, *, quadratic, n_radial=0, n=2):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(64, n))
    forms = ACTIVATIONS["softplus"], NONNEGATIVITY[nonnegativity]
    units = initial_network(X, WIDTHS, *forms, rng, spread=SPREAD)
    if n_radial:
        radial = initial_radial_units(X, n_radial, rng, spread=SPREAD, noise=0.1)
        units = ConcatenatedUnits((units, radial))
    axes = np.eye(n) if quadratic else np.zeros((0, n))
    w = np.concatenate([rng.exponential(size=units.width + len(axes)), rng.normal(size=n)])
    return ConvexPotential(SeparableFeatures(units, axes, normalised=quadratic), w)


@jax.jit
def evaluated(potential, X, omega):
    """Return a potential's values, map, Jacobians, loss and strong convexity."""
    return (
        potential.value(X),
        *potential.gradient_and_hessian(X),
        loss(potential, X, omega),
        jnp.asarray(potential.strong_convexity),
    )


@pytest.mark.parametrize(("nonnegativity", "quadratic", "n_radial"), FORMS)
def test_average_has_the_mean_map_and_jacobian_and_a_loss_at_most_the_mean(
    nonnegativity, quadratic, n_radial
):
    X = np.random.default_rng(9).normal(size=(50, 2))
    omega = np.full(50, 1 / 50)
    with jax.enable_x64(True):
        members = [
            potential(nonnegativity, seed, quadratic=quadratic, n_radial=n_radial)
            for seed in range(3)
        ]
        merged = combine(members, np.full(3, 1 / 3))
        assert len(merged.members) == 3
        of_members = zip(*(evaluated(member, X, omega) for member in members), strict=True)
        means = [np.mean(each, axis=0) for each in of_members]
        *of_merged, merged_loss, convexity = evaluated(merged, X, omega)
        for found, mean in zip(of_merged, means[:3], strict=True):
            np.testing.assert_allclose(found, mean, **ROUNDING)
        assert merged_loss < means[3]
        assert convexity >= means[4] - 1e-15


def test_sum_of_one_is_itself():
    X = np.random.default_rng(9).normal(size=(5, 2))
    with jax.enable_x64(True):
        one = potential("bounds", 0, quadratic=True)
        np.testing.assert_array_equal(combine([one], [1.0]).value(X), one.value(X))


def test_weighted_sum_of_potentials_with_and_without_radial_units_and_without_units_at_all():
    X = np.random.default_rng(9).normal(size=(5, 2))
    n_radial, shares = (0, 3, 0, 2), np.array([0.5, 0.2, 0.4, 0.0])
    with jax.enable_x64(True):
        members = [
            potential("bounds", seed, quadratic=True, n_radial=n) for seed, n in enumerate(n_radial)
        ]
        # As the Gaussian: no weight on any unit.
        members[2].w[: WIDTHS[-1]] = 0.0
        merged = combine(members, shares)
        assert [member.features.network.width for member in merged.members] == [
            WIDTHS[-1],
            WIDTHS[-1] + 3,
        ]
        expected = shares @ [member.value(X) for member in members]
        np.testing.assert_allclose(merged.value(X), expected, **ROUNDING)
        alone = combine(members[2:3], [0.3])
        np.testing.assert_allclose(alone.value(X), 0.3 * members[2].value(X), **ROUNDING)
