r"""What every inner solver takes and gives back.

    minimise J(w)   subject to   s_i = w_i - lower_i >= 0   (lower_i = -inf: w_i is free).

Solvers stop at the minimiser of the barrier function J_tau(w) = J(w) - tau sum_i log s_i for a
final tau > 0, where the multipliers lambda_i = tau / s_i make grad J - lambda = 0 and the duality
gap is m_plus tau (thesis 3.2; [1]_, 11.2-11.3).

References
----------
.. [1] S. Boyd, L. Vandenberghe, "Convex Optimization", 2004, chapter 11.
"""

from abc import abstractmethod

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from brenier.arrays import Array
from brenier.inner.objective import AbstractObjective


class WarmStart(eqx.Module):
    """Where a solver starts: weights, multipliers, and whether they come from a neighbour.

    `warm` is traced, so that a cold and a warm start run the same compiled program.
    """

    w: Float[Array, " m"]
    multipliers: Float[Array, " m"]
    warm: Bool[Array, ""]

    @staticmethod
    def cold(w: Float[Array, " m"]) -> "WarmStart":
        """Return a start from nothing but feasible weights."""
        return WarmStart(w, np.zeros(w.shape), np.zeros((), dtype=bool))


class InnerSolution(eqx.Module):
    """The answer, with its certificate.

    Attributes
    ----------
    w : (m,)
        Weights, strictly above their lower bounds.
    multipliers : (m,)
        lambda >= 0, zero for free weights.
    decrement : ()
        lambda(w)^2, the squared Newton decrement of J_tau at the last evaluated point; after the
        closing step the error in J_tau is of the order of its square.
    complementarity : ()
        s . lambda: the duality gap at a stationary point, m_plus tau at the end of the path.
    newton_steps : ()
        Evaluations of the Hessian, or of its estimate.
    chord_steps : ()
        Evaluations of value and gradient only.
    status : ()
        An `InnerStatus`.
    """

    w: Float[Array, " m"]
    multipliers: Float[Array, " m"]
    decrement: Float[Array, ""]
    complementarity: Float[Array, ""]
    newton_steps: Int[Array, ""]
    chord_steps: Int[Array, ""]
    status: Int[Array, ""]

    @property
    def start(self) -> WarmStart:
        """Return the warm start for a neighbouring problem."""
        return WarmStart(self.w, self.multipliers, np.ones((), dtype=bool))


class AbstractInnerSolver(eqx.Module):
    """Solves the convex problem in w to the point of the central path at `tau`."""

    tau: eqx.AbstractVar[float]
    max_steps: eqx.AbstractVar[int]

    @abstractmethod
    def solve(
        self, objective: AbstractObjective, lower: Float[Array, " m"], start: WarmStart
    ) -> InnerSolution:
        """Return the minimiser of J_tau, from a start strictly above the lower bounds."""


def slack(w: Float[Array, " m"], lower: Float[Array, " m"]) -> Float[Array, " m"]:
    """Return s = w - lower, and 1 for free weights (so that log s and 1 / s are harmless)."""
    return jnp.where(jnp.isfinite(lower), w - jnp.where(jnp.isfinite(lower), lower, 0.0), 1.0)


def barrier_term(w: Float[Array, " m"], lower: Float[Array, " m"]) -> Float[Array, ""]:
    """Return - sum_i log s_i over the constrained weights, infinite outside the domain."""
    s = slack(w, lower)
    return jnp.where(jnp.all(s > 0), -jnp.sum(jnp.log(jnp.where(s > 0, s, 1.0))), jnp.inf)


def stationarity(gradient: Float[Array, " m"], multipliers: Float[Array, " m"]) -> Float[Array, ""]:
    """Return the largest entry of |grad J - lambda|."""
    return jnp.max(jnp.abs(gradient - multipliers))


def step_to_boundary(
    s: Float[Array, " m"], ds: Float[Array, " m"], fraction: float
) -> Float[Array, ""]:
    """Return the longest step in [0, 1] that keeps s + step ds >= (1 - fraction) s."""
    shrink = jnp.where(ds < 0, -ds / s, 0.0)
    return jnp.minimum(1.0, fraction / jnp.maximum(jnp.max(shrink), fraction))
