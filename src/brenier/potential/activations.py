r"""Convex, non-decreasing activations with their derivatives in closed form.

An activation s of a fully input convex network must be convex (s'' >= 0) and, behind a layer
L >= 0, non-decreasing (s' >= 0): then x -> s(L u(x) + K x + b) is convex whenever u is. Each
activation here knows s, s', s'' and s''' as formulas; `evaluate` returns the first three and hands
the fourth to JAX as the derivative of the third, so a gradient through a network costs no second
evaluation of a transcendental function.

References
----------
.. [1] B. Amos, L. Xu, J. Z. Kolter, "Input Convex Neural Networks", 2016, arXiv 1609.07152.
.. [2] C.-W. Huang, R. T. Q. Chen, C. Tsirigotis, A. Courville, "Convex Potential Flows", 2021,
       arXiv 2012.05942 (softplus-type activations, appendix).
.. [3] J. T. Barron, "Squareplus: A Softplus-Like Algebraic Rectifier", 2021, arXiv 2112.11687.
"""

from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from brenier.arrays import Array
from brenier.potential.mills import LOG_SQRT_2_PI, MILLS, MILLS_CENTRE, MILLS_SHIFT


class AbstractActivation(eqx.Module):
    """A convex, non-decreasing function of one variable, applied elementwise."""

    @abstractmethod
    def jet(self, a: Float[Array, "..."]) -> tuple[Array, Array, Array]:
        """Return s(a), s'(a), s''(a), each of the shape of `a`."""

    @abstractmethod
    def third(self, a: Array, jet: tuple[Array, Array, Array]) -> Array:
        """Return s'''(a), given s, s', s'' there."""


class Softplus(AbstractActivation):
    """s(a) = log(1 + exp(a)), the thesis's activation; s' is the logistic function."""

    def jet(self, a: Float[Array, "..."]) -> tuple[Array, Array, Array]:
        """Return s, s', s''."""
        tail = jnp.exp(-jnp.abs(a))
        s = jnp.maximum(a, 0.0) + jnp.log1p(tail)
        larger = 1.0 / (1.0 + tail)
        smaller = tail * larger
        return s, jnp.where(a >= 0, larger, smaller), smaller * larger

    def third(self, a: Array, jet: tuple[Array, Array, Array]) -> Array:
        """Return s''' = s'' (1 - 2 s')."""
        return jet[2] * (1.0 - 2.0 * jet[1])


class GaussianSoftplus(AbstractActivation):
    """s(a) = a Phi_N(a) + phi(a): the softplus of the normal distribution, with s'' = phi.

    Phi_N(-t) = phi(t) P(v) / (t + d) with v = (t - c) / (t + c), c = MILLS_CENTRE, d = MILLS_SHIFT
    and one polynomial P for all t >= 0: s' has its relative accuracy in the left tail too.
    Where s' rounds to zero and s'' does not, a huge weight buys curvature at no slope, and the
    "likelihood" climbs beyond the entropy (seen with 1 + erf: J = -7.2 on moons, floor -1.55).
    """

    def jet(self, a: Float[Array, "..."]) -> tuple[Array, Array, Array]:
        """Return s, s' = Phi_N, s'' = phi."""
        density = jnp.exp(-0.5 * a * a - LOG_SQRT_2_PI)
        # Beyond this the density is zero, and infinity less infinity no number.
        t = jnp.minimum(jnp.abs(a), 1e3)
        v = (t - MILLS_CENTRE) / (t + MILLS_CENTRE)
        polynomial = jnp.full_like(v, MILLS[-1])
        for coefficient in reversed(MILLS[:-1]):
            polynomial = polynomial * v + coefficient
        tail, shifted = density * polynomial, t + MILLS_SHIFT
        cumulative = jnp.where(a >= 0, shifted - tail, tail) / shifted
        return a * cumulative + density, cumulative, density

    def third(self, a: Array, jet: tuple[Array, Array, Array]) -> Array:
        """Return s''' = -a phi(a)."""
        return -a * jet[2]


class Squareplus(AbstractActivation):
    """s(a) = (a + sqrt(a^2 + 4)) / 2, whose s'' has algebraic tails."""

    def jet(self, a: Float[Array, "..."]) -> tuple[Array, Array, Array]:
        """Return s, s' = s / r, s'' = 2 / r^3 with r = sqrt(a^2 + 4)."""
        r = jnp.hypot(a, 2.0)
        larger = 0.5 * (r + jnp.abs(a))
        s = jnp.where(a >= 0, larger, 1.0 / larger)
        return s, s / r, 2.0 / r**3

    def third(self, a: Array, jet: tuple[Array, Array, Array]) -> Array:
        """Return s''' = -3 a s'' / r^2."""
        return -3.0 * a * jet[2] / (a * a + 4.0)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def evaluate(activation: AbstractActivation, a: Float[Array, "..."]) -> tuple[Array, Array, Array]:
    """Return s(a), s'(a), s''(a), differentiable once more through s'''."""
    return activation.jet(a)


@evaluate.defjvp
def _evaluate_jvp(activation, primals, tangents):
    (a,), (da,) = primals, tangents
    s, s1, s2 = jet = evaluate(activation, a)
    return jet, (s1 * da, s2 * da, activation.third(a, (s, s1, s2)) * da)


ACTIVATIONS: Mapping[str, AbstractActivation] = MappingProxyType(
    {
        "gaussian-softplus": GaussianSoftplus(),
        "softplus": Softplus(),
        "squareplus": Squareplus(),
    }
)
"""The activations by the names the estimators accept."""
