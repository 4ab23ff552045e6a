r"""Second-order jets: value, gradient and Hessian of vector functions, for all samples at once.

The jet of u: R^n -> R^width at N points is one array of 1 + n + P channels, each (N, width): the
value, the n partial derivatives D_a, and the P = n (n + 1) / 2 entries H_ab of the packed Hessian
(`brenier.linalg` has the order). A linear layer is then ONE matrix product over all channels, and
an activation s maps, with a the value channel,

    value -> s(a),   D_a -> s'(a) D_a,   H_ab -> s'(a) H_ab + s''(a) D_a D_b.

References
----------
.. [1] E. Newman, L. Ruthotto, "hessQuik: Fast Hessian computation of composite functions", 2022:
       the same recursion, with one product for each derivative.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from brenier.arrays import Array
from brenier.linalg import dimension, outer_products, packed_size
from brenier.potential.activations import AbstractActivation, evaluate


class Jet(eqx.Module):
    """A second-order jet of `width` functions of n variables at N points."""

    channels: Float[Array, "channels N width"]

    @property
    def n(self) -> int:
        """Number of variables, from channels = 1 + n + P = (n + 1)(n + 2) / 2."""
        return dimension(self.channels.shape[0]) - 1

    @property
    def value(self) -> Float[Array, "N width"]:
        """The functions' values."""
        return self.channels[0]

    @property
    def gradient(self) -> Float[Array, "n N width"]:
        """Their partial derivatives."""
        return self.channels[1 : 1 + self.n]

    @property
    def hessian(self) -> Float[Array, "P N width"]:
        """Their packed Hessians."""
        return self.channels[1 + self.n :]


def affine(X: Float[Array, "N n"], K: Float[Array, "width n"], b: Float[Array, " width"]) -> Jet:
    """Return the jet of K x + b: gradient K, Hessian zero."""
    N, n = X.shape
    width = K.shape[0]
    return Jet(
        jnp.concatenate(
            [
                (X @ K.T + b)[None],
                jnp.broadcast_to(K.T[:, None, :], (n, N, width)),
                jnp.zeros((packed_size(n), N, width), X.dtype),
            ]
        )
    )


def linear(L: Float[Array, "width before"], u: Jet) -> Jet:
    """Return the jet of L u."""
    return Jet(u.channels @ L.T)


def scaled(g: Float[Array, "N width"], u: Jet) -> Jet:
    """Return the jet of g u, g constant in the variables."""
    return Jet(g * u.channels)


def add(u: Jet, v: Jet) -> Jet:
    """Return the jet of u + v."""
    return Jet(u.channels + v.channels)


def activate(activation: AbstractActivation, a: Jet) -> Jet:
    """Return the jet of s(a), elementwise in the functions."""
    s, s1, s2 = evaluate(activation, a.value)
    hessian = s1 * a.hessian + s2 * outer_products(a.gradient)
    return Jet(jnp.concatenate([s[None], s1 * a.gradient, hessian]))
