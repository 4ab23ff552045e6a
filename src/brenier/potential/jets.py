r"""Second-order jets: value, gradient and Hessian of vector functions, for all samples at once.

The jet of u: R^n -> R^width at N points has the values, the n partial derivatives D_a and the
P = n (n + 1) / 2 entries H_ab of the packed Hessian (`brenier.linalg` has the order), samples last.
A linear layer is a matrix product for each of the three, and an activation s maps

    a -> s(a),   D_a -> s'(a) D_a,   H_ab -> s'(a) H_ab + s''(a) D_a D_b.

References
----------
.. [1] E. Newman, L. Ruthotto, "hessQuik: Fast Hessian computation of composite functions", 2022:
       the same recursion, with one product for each derivative.
"""

from math import prod

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from brenier.arrays import Array
from brenier.linalg import outer_products, packed_size
from brenier.potential.activations import AbstractActivation, evaluate


class Jet(eqx.Module):
    """A second-order jet of `width` functions of n variables at N points."""

    value: Float[Array, "width N"]
    gradient: Float[Array, "width n N"]
    hessian: Float[Array, "width P N"]


def nothing(n: int, N: int, dtype: jnp.dtype) -> Jet:
    """Return the jet of no functions of n variables at N points."""
    shapes = ((0, N), (0, n, N), (0, packed_size(n), N))
    return Jet(*(jnp.zeros(shape, dtype) for shape in shapes))


def linear(L: Float[Array, "width before"], u: Jet) -> Jet:
    """Return the jet of L u."""
    return Jet(*(product(L, part) for part in (u.value, u.gradient, u.hessian)))


def product(
    L: Float[Array, "width before"], u: Float[Array, "before ..."]
) -> Float[Array, "width ..."]:
    """Return L u as one matrix product, whatever axes follow the first."""
    return (L @ u.reshape(u.shape[0], prod(u.shape[1:]))).reshape(L.shape[0], *u.shape[1:])


def scaled(g: Float[Array, "width N"], u: Jet) -> Jet:
    """Return the jet of g u, g constant in the variables."""
    return Jet(g * u.value, g[:, None] * u.gradient, g[:, None] * u.hessian)


def plus_affine(u: Jet, value: Float[Array, "width N"], slope: Float[Array, "width n N"]) -> Jet:
    """Return the jet of u plus an affine function with these values and slopes."""
    return Jet(u.value + value, u.gradient + slope, u.hessian)


def activate(activation: AbstractActivation, a: Jet) -> Jet:
    """Return the jet of s(a), elementwise in the functions."""
    s, s1, s2 = evaluate(activation, a.value)
    outer = s2[:, None] * outer_products(a.gradient)
    return Jet(s, s1[:, None] * a.gradient, s1[:, None] * a.hessian + outer)
