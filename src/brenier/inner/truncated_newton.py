r"""Newton's method by conjugate gradients, for free weights of many classes.

    H(w) dw = - grad J(w),    dw by preconditioned conjugate gradients, to a tenth of the residual,

then Armijo's rule. Where m functions meet o classes the Hessian has (m o)^2 entries, and its
product with a vector is two products with the rows' functions. The steps' errors shrink as those of
Newton's method do until the residual's tenth takes over; a step ends the solve where the squared
decrement was below the tolerance.

References
----------
.. [1] J. Nocedal, S. J. Wright, "Numerical Optimization", 2nd ed., 2006, section 7.1.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from brenier.arrays import Array
from brenier.inner.cross_entropy import CrossEntropy
from brenier.inner.newton import backtrack, ending
from brenier.inner.objective import AbstractObjective
from brenier.inner.solution import AbstractInnerSolver, InnerSolution, WarmStart
from brenier.status import InnerStatus

# Of the preconditioned residual's squared length: what conjugate gradients leave of it.
LEFT = 1e-2


class _State(eqx.Module):
    w: Float[Array, " m"]
    value: Float[Array, ""]
    gradient: Float[Array, " m"]
    decrement: Float[Array, ""]
    steps: Int[Array, ""]
    status: Int[Array, ""]


class TruncatedNewton(AbstractInnerSolver):
    """Newton's method whose steps are found by conjugate gradients.

    Parameters
    ----------
    tau : float
        There is no barrier: all weights are free.
    tolerance : float
        A step from a point whose squared Newton decrement (nats) is below it is the last.
    max_steps : int
        Most Newton steps.
    max_products : int
        Most conjugate-gradient steps for one of them.
    """

    tau: float = 0.0
    tolerance: float = 1e-8
    max_steps: int = 50
    max_products: int = 100

    def solve(
        self, objective: AbstractObjective, lower: Float[Array, " m"], start: WarmStart
    ) -> InnerSolution:
        """Return the minimiser; lower bounds must be minus infinity."""
        if not isinstance(objective, CrossEntropy):
            raise TypeError(f"Expected a cross-entropy; got {type(objective).__name__}.")
        here = objective.evaluate(start.w, with_hessian=False)
        first = _State(
            w=start.w,
            value=here.value,
            gradient=here.gradient,
            decrement=jnp.full_like(here.value, jnp.inf),
            steps=jnp.asarray(0),
            status=jnp.asarray(int(InnerStatus.RUNNING)),
        )
        end = jax.lax.while_loop(
            lambda state: state.status == InnerStatus.RUNNING,
            lambda state: self._step(objective, state),
            first,
        )
        return InnerSolution(
            w=end.w,
            multipliers=jnp.zeros_like(end.w),
            decrement=end.decrement,
            complementarity=jnp.zeros_like(end.decrement),
            newton_steps=end.steps,
            chord_steps=jnp.asarray(0),
            status=end.status,
        )

    def _step(self, objective: CrossEntropy, state: _State) -> _State:
        product, precondition = objective.curvature(state.w)
        dw = conjugate_gradients(product, precondition, -state.gradient, self.max_products)
        slope = dw @ state.gradient
        closing = -slope <= max(self.tolerance, objective.rounding)
        step, accepted = backtrack(
            lambda w: objective.evaluate(w, with_hessian=False).value,
            state.w,
            dw,
            value=state.value,
            slope=slope,
            first=jnp.ones_like(state.value),
            rounding=objective.rounding,
        )
        w = jnp.where(accepted, state.w + step * dw, state.w)
        here = objective.evaluate(w, with_hessian=False)
        return _State(
            w=w,
            value=here.value,
            gradient=here.gradient,
            decrement=-slope,
            steps=state.steps + 1,
            status=ending(-slope, closing, accepted, state.steps + 1 >= self.max_steps),
        )


def conjugate_gradients(
    product: Callable[[Array], Array],
    precondition: Callable[[Array], Array],
    right: Float[Array, " m"],
    max_products: int,
) -> Float[Array, " m"]:
    """Return about H^{-1} right: until `LEFT` of the squared preconditioned residual is left.

    Parameters
    ----------
    product : callable, (m,) -> (m,)
        v to H v, H positive definite.
    precondition : callable, (m,) -> (m,)
        What is easy to do and nearly H^{-1}.
    right : (m,)
        The right-hand side.
    max_products : int
        Most steps.
    """

    def goes_on(state):
        *_, size, n = state
        return (size > LEFT * first) & (n < max_products)

    def step(state):
        x, residual, direction, size, n = state
        curved = product(direction)
        length = size / (direction @ curved)
        residual = residual - length * curved
        z = precondition(residual)
        after = residual @ z
        return x + length * direction, residual, z + after / size * direction, after, n + 1

    z = precondition(right)
    first = right @ z
    begin = jnp.zeros_like(right), right, z, first, jnp.asarray(0)
    return jax.lax.while_loop(goes_on, step, begin)[0]
