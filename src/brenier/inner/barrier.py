r"""The barrier method: the thesis's Algorithm 1.

For t = t_0, c t_0, c^2 t_0, ...: minimise t J(w) - sum_i log s_i by Newton's method with
backtracking until half the squared Newton decrement is below eps_2; stop once the duality gap
m_plus / t is below eps_1. Here the last t is 1 / tau exactly (eps_1 = m_plus tau), so that both
solvers end at the same point of the central path, and J + tau sum ..., tau = 1 / t, is minimised
rather than t J + ..., which only scales the objective.

References
----------
.. [1] Y. Chen, "Efficient Training of Input Convex Neural Networks Using Variable Projection",
       Emory University, 2023, Algorithm 1.
.. [2] S. Boyd, L. Vandenberghe, "Convex Optimization", 2004, Algorithm 11.1.
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


class _State(eqx.Module):
    w: Float[Array, " m"]
    tau: Float[Array, ""]
    decrement: Float[Array, ""]
    iterations: Int[Array, ""]
    status: Int[Array, ""]


class Barrier(AbstractInnerSolver):
    """Barrier method.

    Parameters
    ----------
    tau : float
        Final barrier weight 1 / t, nats; the gap at the end is m_plus tau (eps_1).
    t_0 : float
        First t of a cold start; a warm start begins at the last t.
    c : float
        Growth of t.
    eps_2 : float
        A centre is reached when the squared Newton decrement of t J - sum log s is below 2 eps_2.
    max_steps : int
        Most Newton steps, over all centres.
    """

    tau: float = 1e-4
    t_0: float = 10.0
    c: float = 10.0
    eps_2: float = 5e-6
    max_steps: int = 500

    def solve(
        self, objective: AbstractObjective, lower: Float[Array, " m"], start: WarmStart
    ) -> InnerSolution:
        """Return the minimiser of J_tau, from a start strictly above the lower bounds."""
        constrained = jnp.isfinite(lower)
        first = _State(
            w=start.w,
            tau=jnp.where(start.warm, self.tau, jnp.maximum(self.tau, 1.0 / self.t_0)),
            decrement=jnp.full((), jnp.inf, start.w.dtype),
            iterations=jnp.asarray(0),
            status=jnp.asarray(int(InnerStatus.RUNNING)),
        )
        state = jax.lax.while_loop(
            lambda state: state.status == InnerStatus.RUNNING,
            lambda state: self._step(objective, lower, constrained, state),
            first,
        )
        multipliers = jnp.where(constrained, self.tau / slack(state.w, lower), 0.0)
        return InnerSolution(
            w=state.w,
            multipliers=multipliers,
            decrement=state.decrement,
            complementarity=jnp.sum(multipliers * slack(state.w, lower)),
            newton_steps=state.iterations,
            chord_steps=jnp.zeros_like(state.iterations),
            status=state.status,
        )

    def _step(
        self,
        objective: AbstractObjective,
        lower: Array,
        constrained: Bool[Array, " m"],
        state: _State,
    ) -> _State:
        here = objective.evaluate(state.w)
        s = slack(state.w, lower)
        _, decrement = _centring_direction(here, s, constrained, state.tau)
        centred = decrement <= 2.0 * self.eps_2 * state.tau
        closing = centred & (state.tau <= self.tau)
        # The next centre's direction needs no new evaluation: only tau differs.
        tau = jnp.where(centred, jnp.maximum(state.tau / self.c, self.tau), state.tau)
        dw, decrement = _centring_direction(here, s, constrained, tau)

        longest = step_to_boundary(s, jnp.where(constrained, dw, 0.0), FRACTION_TO_BOUNDARY)
        step, accepted = jax.lax.cond(
            closing,
            lambda: (longest, jnp.asarray(True)),
            lambda: backtrack(
                lambda w: (
                    objective.evaluate(w, with_hessian=False).value + tau * barrier_term(w, lower)
                ),
                state.w,
                dw,
                value=here.value + tau * barrier_term(state.w, lower),
                slope=-decrement,
                first=longest,
                rounding=objective.rounding,
            ),
        )
        iterations = state.iterations + 1
        return _State(
            w=jnp.where(accepted, state.w + step * dw, state.w),
            tau=tau,
            decrement=decrement,
            iterations=iterations,
            status=ending(decrement, closing, accepted, iterations >= self.max_steps),
        )


def _centring_direction(
    here: Evaluation, s: Array, constrained: Array, tau: Array
) -> tuple[Array, Array]:
    """Return the Newton direction of J_tau and its squared decrement."""
    gradient = here.gradient - jnp.where(constrained, tau / s, 0.0)
    hessian = here.hessian + jnp.diag(jnp.where(constrained, tau / s**2, 0.0))
    direction = newton_direction(hessian, gradient)
    return direction, -(direction @ gradient)
