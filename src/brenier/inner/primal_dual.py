r"""Primal-dual interior-point method for the inner problem, the default.

Newton's method on

    grad J(w) - lambda = 0,    s_i lambda_i = tau   (s = w - lower),

the thesis's chapter 5 "future work". One step solves

    (hess J + diag(lambda / s)) dw = -(grad J - tau / s),
    dlambda = tau / s - lambda - (lambda / s) dw,

goes a fraction of the way to the boundary in w and in lambda, and is cut back by Armijo's rule on
J - tau sum log s. tau follows a tenth of the mean complementarity down to its final value.

Warm starts: a neighbour's multipliers may be stale, and then tau, tied to s . lambda, would never
reach its end. As IPOPT does ([2]_, eq. 16), lambda is put back into
[tau / (kappa s), kappa tau / s] at every step.

Near the solution the Hessian of J changes little, and costs many times what the gradient does: a
warm-started solve takes its last steps with the one it has (the chord method), each of them still
towards a zero of the exact gradient.

References
----------
.. [1] S. Boyd, L. Vandenberghe, "Convex Optimization", 2004, section 11.7.
.. [2] A. Waechter, L. T. Biegler, "On the implementation of an interior-point filter line-search
       algorithm for large-scale nonlinear programming", Math. Program. 106, 2006.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from brenier.arrays import Array
from brenier.inner.newton import backtrack, ending, newton_direction
from brenier.inner.objective import AbstractObjective, Evaluation
from brenier.inner.solution import (
    AbstractInnerSolver,
    InnerSolution,
    WarmStart,
    barrier_term,
    slack,
    step_to_boundary,
)
from brenier.status import InnerStatus

FRACTION_TO_BOUNDARY = 0.995
# Target complementarity as a fraction of the present one.
CENTRING = 0.1
KAPPA = 10.0
# From a warm start the Hessian of J is kept for the next step once the squared decrement (nats) is
# below the first, and as long as each step with it brings the decrement down by the second.
NEAR = 1e-3
CONTRACTION = 0.05
# The last step with a kept Hessian may leave a squared decrement of so many tolerances; J_tau is
# then wrong by half of that.
LEFT = 1e-3


class _State(eqx.Module):
    w: Float[Array, " m"]
    multipliers: Float[Array, " m"]
    tau: Float[Array, ""]
    # Of J, from this step's point or an earlier one's.
    hessian: Float[Array, "m m"]
    keeps_hessian: Bool[Array, ""]
    decrement: Float[Array, ""]
    # All of them, and those with a kept Hessian.
    iterations: Int[Array, ""]
    chord_steps: Int[Array, ""]
    status: Int[Array, ""]


class PrimalDual(AbstractInnerSolver):
    """Primal-dual interior-point solver.

    Parameters
    ----------
    tau : float
        Final barrier weight, nats.
    tolerance : float
        The solve ends with a step from a point whose squared Newton decrement of J_tau (nats) is
        below this. After a full Newton step J_tau is then wrong by about its square times the
        number of samples, after one with a kept Hessian by less than a thousandth of it.
    max_steps : int
        Most Newton steps.
    tau_start : float
        Barrier weight of a cold start, nats.
    """

    tau: float = 1e-4
    tolerance: float = 1e-8
    max_steps: int = 60
    tau_start: float = 1e-3

    def solve(
        self, objective: AbstractObjective, lower: Float[Array, " m"], start: WarmStart
    ) -> InnerSolution:
        """Return the minimiser of J_tau, from a start strictly above the lower bounds."""
        constrained = jnp.isfinite(lower)
        state = jax.lax.while_loop(
            lambda state: state.status == InnerStatus.RUNNING,
            lambda state: self._step(objective, lower, constrained, start.warm, state),
            self._first(lower, constrained, start),
        )
        s = slack(state.w, lower)
        multipliers = jnp.where(constrained, self.tau / s, 0.0)
        return InnerSolution(
            w=state.w,
            multipliers=multipliers,
            decrement=state.decrement,
            complementarity=jnp.sum(jnp.where(constrained, s * multipliers, 0.0)),
            newton_steps=state.iterations - state.chord_steps,
            chord_steps=state.chord_steps,
            status=state.status,
        )

    def _first(self, lower: Array, constrained: Bool[Array, " m"], start: WarmStart) -> _State:
        s = slack(start.w, lower)
        tau = jnp.where(start.warm, self.tau, jnp.maximum(self.tau, self.tau_start))
        multipliers = jnp.where(start.warm, start.multipliers, tau / s)
        return _State(
            w=start.w,
            multipliers=_safeguard(multipliers, s, tau, constrained),
            tau=tau,
            hessian=jnp.zeros((len(lower), len(lower)), start.w.dtype),
            keeps_hessian=jnp.asarray(False),
            decrement=jnp.full((), jnp.inf, start.w.dtype),
            iterations=jnp.asarray(0),
            chord_steps=jnp.asarray(0),
            status=jnp.asarray(int(InnerStatus.RUNNING)),
        )

    def _step(
        self,
        objective: AbstractObjective,
        lower: Array,
        constrained: Bool[Array, " m"],
        warm: Bool[Array, ""],
        state: _State,
    ) -> _State:
        here = _evaluate(objective, state)
        s = slack(state.w, lower)
        mean_complementarity = jnp.sum(
            jnp.where(constrained, s * state.multipliers, 0.0)
        ) / jnp.maximum(jnp.sum(constrained), 1)
        tau = jnp.clip(CENTRING * mean_complementarity, self.tau, state.tau)

        barrier_gradient = here.gradient - jnp.where(constrained, tau / s, 0.0)
        ratio = jnp.where(constrained, state.multipliers / s, 0.0)
        dw = newton_direction(here.hessian + jnp.diag(ratio), barrier_gradient)
        dmultipliers = jnp.where(constrained, tau / s - state.multipliers - ratio * dw, 0.0)
        decrement = -(dw @ barrier_gradient)

        longest = step_to_boundary(s, jnp.where(constrained, dw, 0.0), FRACTION_TO_BOUNDARY)
        kept = state.keeps_hessian
        left = jnp.where(kept, _left_by_chord_step(decrement, state.decrement), 0.0)
        near_enough = (decrement <= self.tolerance) & (left <= LEFT * self.tolerance)
        closing = (tau <= self.tau) & near_enough
        step, accepted = jax.lax.cond(
            closing,
            lambda: (longest, jnp.asarray(True)),
            lambda: backtrack(
                lambda w: objective.value(w) + tau * barrier_term(w, lower),
                state.w,
                dw,
                value=here.value + tau * barrier_term(state.w, lower),
                slope=-decrement,
                first=longest,
            ),
        )
        w = jnp.where(accepted, state.w + step * dw, state.w)
        dual_step = step_to_boundary(state.multipliers, dmultipliers, FRACTION_TO_BOUNDARY)
        multipliers = state.multipliers + dual_step * dmultipliers
        iterations = state.iterations + 1
        return _State(
            w=w,
            multipliers=_safeguard(multipliers, slack(w, lower), tau, constrained),
            tau=tau,
            hessian=here.hessian,
            keeps_hessian=warm
            & (decrement <= jnp.where(kept, CONTRACTION * state.decrement, NEAR)),
            decrement=decrement,
            iterations=iterations,
            chord_steps=state.chord_steps + kept,
            status=ending(decrement, closing, accepted, iterations >= self.max_steps),
        )


def _evaluate(objective: AbstractObjective, state: _State) -> Evaluation:
    """Return J, its gradient and its Hessian, the latter an earlier one where that will do."""

    def with_kept_hessian() -> Evaluation:
        here = objective.slope(state.w)
        return Evaluation(here.value, here.gradient, state.hessian)

    return jax.lax.cond(state.keeps_hessian, with_kept_hessian, lambda: objective.evaluate(state.w))


def _left_by_chord_step(decrement: Array, before: Array) -> Array:
    """Return what will be left of the squared decrement, from it and the one a step before.

    Newton's error goes from e to c e^2 in one step, and with the Hessian kept from there by the
    factor 2 c e in each further one: the decrement, which is of second order, by up to four times
    the ratio that the first of these steps sees.
    """
    smallest = jnp.finfo(decrement.dtype).tiny
    return 4.0 * decrement * (decrement / jnp.maximum(before, smallest))


def _safeguard(multipliers: Array, s: Array, tau: Array, constrained: Array) -> Array:
    """Return lambda within a factor kappa of tau / s, zero for free weights."""
    centre = tau / s
    return jnp.where(constrained, jnp.clip(multipliers, centre / KAPPA, centre * KAPPA), 0.0)
