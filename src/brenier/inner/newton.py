r"""The pieces both solvers share: the Newton direction and the backtracking line search."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from brenier.arrays import Array
from brenier.status import InnerStatus

ARMIJO = 1e-4
SHRINK = 0.5
MAX_HALVINGS = 40


def newton_direction(
    hessian: Float[Array, "m m"], gradient: Float[Array, " m"]
) -> Float[Array, " m"]:
    """Return - hessian^{-1} gradient by Cholesky on the matrix scaled to unit diagonal."""
    scale = 1.0 / jnp.sqrt(jnp.diagonal(hessian))
    factor = jnp.linalg.cholesky(scale[:, None] * hessian * scale, symmetrize_input=False)
    return -scale * jax.scipy.linalg.cho_solve((factor, True), scale * gradient)


def highest(
    value: Float[Array, ""], slope: Float[Array, ""], step: Float[Array, ""], rounding: float
) -> Float[Array, ""]:
    """Return how high phi may be after a step: Armijo's rule, but for rounding.

    Parameters
    ----------
    value, slope : ()
        phi and its derivative along the direction, where the step begins.
    step : ()
        Its length.
    rounding : float
        Of values, relative to max(1, |phi|).
    """
    return value + ARMIJO * step * slope + rounding * jnp.maximum(1.0, jnp.abs(value))


def backtrack(
    function: Callable[[Array], Array],
    w: Float[Array, " m"],
    direction: Float[Array, " m"],
    *,
    value: Float[Array, ""],
    slope: Float[Array, ""],
    first: Float[Array, ""],
    rounding: float,
) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    """Return the first of `first` x (1, 1/2, 1/4, ...) that meets Armijo's rule, and if one did.

    Parameters
    ----------
    function
        phi(w), infinite outside its domain.
    w, direction : (m,)
        Where from and where to.
    value, slope : ()
        phi(w) and direction . grad phi(w) < 0.
    first : ()
        The longest step tried.
    rounding : float
        Of values, relative to max(1, |phi|).
    """

    def short_enough(step):
        return function(w + step * direction) <= highest(value, slope, step, rounding)

    def keep_going(state):
        _, accepted, halvings = state
        return ~accepted & (halvings < MAX_HALVINGS)

    def halve(state):
        step, _, halvings = state
        step = SHRINK * step
        return step, short_enough(step), halvings + 1

    step, accepted, _ = jax.lax.while_loop(
        keep_going, halve, (first, short_enough(first), jnp.asarray(0))
    )
    return step, accepted


def ending(
    decrement: Float[Array, ""],
    closing: Bool[Array, ""],
    accepted: Bool[Array, ""],
    exhausted: Bool[Array, ""],
) -> Int[Array, ""]:
    """Return the status after a step: the first of these that holds.

    Parameters
    ----------
    decrement : ()
        Squared Newton decrement; not finite when the factorisation failed.
    closing : ()
        Whether the step closes the solve.
    accepted : ()
        Whether the line search found a step.
    exhausted : ()
        Whether it was the last step allowed.
    """
    return jnp.select(
        [~jnp.isfinite(decrement), closing, ~accepted, exhausted],
        [
            int(InnerStatus.NUMERICAL_FAILURE),
            int(InnerStatus.CONVERGED),
            int(InnerStatus.NO_PROGRESS),
            int(InnerStatus.ITERATION_LIMIT),
        ],
        int(InnerStatus.RUNNING),
    )
