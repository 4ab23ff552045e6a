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

The Hessian of J costs many times what its gradient does, and may be an estimate. So a warm-started
solve near its end no longer evaluates it, but corrects the one it has by what the gradients of its
steps tell (BFGS, [3]_), as long as each of them brings the decrement down well; every step is
towards a zero of the exact gradient. A point that is tried is evaluated with its gradient at once,
for it is nearly always accepted: one pass makes a step.

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
from brenier.inner.newton import MAX_HALVINGS, SHRINK, ending, highest, newton_direction
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
# From a warm start the Hessian is corrected, not evaluated, once the squared decrement (nats) is
# below the first, and as long as each step brings the decrement down by the second.
NEAR = 0.1
CONTRACTION = 0.3
# What a step with a Hessian that was just evaluated, an estimate, leaves of the squared decrement.
ESTIMATED = 0.1
# The last step may leave a squared decrement of so many tolerances, or of what rounding makes of J;
# J_tau is then wrong by half of that.
LEFT = 1e-3
# Secant pairs whose curvature is below this share of what the Hessian has along the step are
# rounding.
LEAST_CURVATURE = 1e-6


class _State(eqx.Module):
    # The last point that was accepted, J's gradient there, and (nearly) its Hessian.
    w: Float[Array, " m"]
    gradient: Float[Array, " m"]
    hessian: Float[Array, "m m"]
    multipliers: Float[Array, " m"]
    tau: Float[Array, ""]
    # The search from there: w + step dw is tried next, and must be below value + ARMIJO step slope.
    dw: Float[Array, " m"]
    dmultipliers: Float[Array, " m"]
    step: Float[Array, ""]
    value: Float[Array, ""]
    decrement: Float[Array, ""]
    # Whether the Hessian is evaluated with it.
    wants_hessian: Bool[Array, ""]
    halvings: Int[Array, ""]
    # Evaluations with and without the Hessian.
    newton_steps: Int[Array, ""]
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
        below this, or below what rounding makes of J. After a full Newton step J_tau is then wrong
        by about its square times the number of samples, after one with a kept Hessian by less than
        a thousandth of it, or by half of what rounding makes of J where that is more.
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
            lambda state: self._step(objective, lower, start.warm, state),
            self._first(lower, constrained, start),
        )
        s = slack(state.w, lower)
        multipliers = jnp.where(constrained, self.tau / s, 0.0)
        return InnerSolution(
            w=state.w,
            multipliers=multipliers,
            decrement=state.decrement,
            complementarity=jnp.sum(jnp.where(constrained, s * multipliers, 0.0)),
            newton_steps=state.newton_steps,
            chord_steps=state.chord_steps,
            status=state.status,
        )

    def _first(self, lower: Array, constrained: Bool[Array, " m"], start: WarmStart) -> _State:
        s = slack(start.w, lower)
        tau = jnp.where(start.warm, self.tau, jnp.maximum(self.tau, self.tau_start))
        multipliers = jnp.where(start.warm, start.multipliers, tau / s)
        nothing = jnp.zeros_like(start.w)
        infinity = jnp.full((), jnp.inf, start.w.dtype)
        return _State(
            w=start.w,
            gradient=nothing,
            hessian=jnp.zeros((len(lower), len(lower)), start.w.dtype),
            multipliers=_safeguard(multipliers, s, tau, constrained),
            tau=tau,
            dw=nothing,
            dmultipliers=nothing,
            step=jnp.ones_like(infinity),
            value=infinity,
            decrement=infinity,
            wants_hessian=jnp.asarray(True),
            halvings=jnp.asarray(0),
            newton_steps=jnp.asarray(0),
            chord_steps=jnp.asarray(0),
            status=jnp.asarray(int(InnerStatus.RUNNING)),
        )

    def _step(
        self,
        objective: AbstractObjective,
        lower: Array,
        warm: Bool[Array, ""],
        state: _State,
    ) -> _State:
        w = state.w + state.step * state.dw
        here = objective.evaluate(w, with_hessian=state.wants_hessian)
        value = here.value + state.tau * barrier_term(w, lower)
        # The first point is not compared with any.
        accepted = jnp.isinf(state.value) | (
            value <= highest(state.value, -state.decrement, state.step, objective.rounding)
        )
        counted = eqx.tree_at(
            lambda state: (state.newton_steps, state.chord_steps),
            state,
            (state.newton_steps + state.wants_hessian, state.chord_steps + ~state.wants_hessian),
        )
        return jax.lax.cond(
            accepted,
            lambda: self._moved(w, here, lower, warm, counted, objective.rounding),
            lambda: _with_shorter_step(counted),
        )

    def _moved(
        self,
        w: Array,
        here: Evaluation,
        lower: Array,
        warm: Bool[Array, ""],
        state: _State,
        rounding: float,
    ) -> _State:
        """Return the state at a point that is accepted, with the direction from there."""
        constrained = jnp.isfinite(lower)
        s = slack(w, lower)
        dual_step = step_to_boundary(state.multipliers, state.dmultipliers, FRACTION_TO_BOUNDARY)
        multipliers = state.multipliers + dual_step * state.dmultipliers
        multipliers = _safeguard(multipliers, s, state.tau, constrained)
        complementarity = jnp.sum(jnp.where(constrained, s * multipliers, 0.0))
        mean = complementarity / jnp.maximum(jnp.sum(constrained), 1)
        tau = jnp.clip(CENTRING * mean, self.tau, state.tau)

        corrected = _secant_update(state.hessian, w - state.w, here.gradient - state.gradient)
        hessian = jnp.where(state.wants_hessian, here.hessian, corrected)
        barrier_gradient = here.gradient - jnp.where(constrained, tau / s, 0.0)
        ratio = jnp.where(constrained, multipliers / s, 0.0)
        dw = newton_direction(hessian + jnp.diag(ratio), barrier_gradient)
        decrement = -(dw @ barrier_gradient)

        longest = step_to_boundary(s, jnp.where(constrained, dw, 0.0), FRACTION_TO_BOUNDARY)
        rate = decrement / jnp.maximum(state.decrement, jnp.finfo(decrement.dtype).tiny)
        left = decrement * jnp.where(state.wants_hessian, ESTIMATED, 4.0 * rate)
        tolerance = max(self.tolerance, rounding)
        most_left = max(LEFT * self.tolerance, rounding)
        near_enough = (decrement <= tolerance) & (left <= most_left)
        closing = (tau <= self.tau) & near_enough
        exhausted = state.newton_steps + state.chord_steps >= self.max_steps
        good = jnp.where(state.wants_hessian, decrement <= NEAR, rate <= CONTRACTION)
        return _State(
            w=jnp.where(closing, w + longest * dw, w),
            gradient=here.gradient,
            hessian=hessian,
            multipliers=multipliers,
            tau=tau,
            dw=dw,
            dmultipliers=jnp.where(constrained, tau / s - multipliers - ratio * dw, 0.0),
            step=longest,
            value=here.value + tau * barrier_term(w, lower),
            decrement=decrement,
            wants_hessian=~(warm & good),
            halvings=jnp.zeros_like(state.halvings),
            newton_steps=state.newton_steps,
            chord_steps=state.chord_steps,
            status=ending(decrement, closing, jnp.asarray(True), exhausted),
        )


def _with_shorter_step(state: _State) -> _State:
    """Return the state that tries half the step, and does not evaluate the Hessian there."""
    status = jnp.where(
        state.halvings < MAX_HALVINGS, int(InnerStatus.RUNNING), int(InnerStatus.NO_PROGRESS)
    )
    return eqx.tree_at(
        lambda state: (state.step, state.wants_hessian, state.halvings, state.status),
        state,
        (SHRINK * state.step, jnp.asarray(False), state.halvings + 1, status),
    )


def _secant_update(
    hessian: Float[Array, "m m"], move: Float[Array, " m"], change: Float[Array, " m"]
) -> Float[Array, "m m"]:
    """Return the Hessian with the curvature along a move as the gradient's change has it."""
    along = hessian @ move
    expected, found = move @ along, move @ change
    usable = found > LEAST_CURVATURE * expected
    updated = (
        hessian
        + change[:, None] * change / jnp.where(usable, found, 1.0)
        - along[:, None] * along / jnp.where(usable, expected, 1.0)
    )
    return jnp.where(usable, updated, hessian)


def _safeguard(multipliers: Array, s: Array, tau: Array, constrained: Array) -> Array:
    """Return lambda within a factor kappa of tau / s, zero for free weights."""
    centre = tau / s
    return jnp.where(constrained, jnp.clip(multipliers, centre / KAPPA, centre * KAPPA), 0.0)
