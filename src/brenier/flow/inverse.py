r"""The inverse of the map: x = argmin Phi(x) - z . x, each sample by its own damped Newton.

The objective is convex with gradient grad Phi(x) - z and Hessian A(x), both exact. All samples
step together but each has its own step length (by Armijo, and by the residual where the objective
is too much rounded) and stops on its own. If Phi is strongly convex with constant c (the least
quadratic weight), the answer carries a certificate:

    |x - x*| <= |grad Phi(x) - z| / c.

A composition is inverted map by map, the last one first; an error e in what a map's inverse is
given becomes at most e / c in what it gives back.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from brenier.arrays import Array
from brenier.linalg import factorise, transposed_product, triangular_products
from brenier.potential.features import AbstractMap, AbstractPotential

ARMIJO = 1e-4
MAX_HALVINGS = 30
MAX_STEPS = 200
# Residual |grad Phi(x) - z| asked for, relative to max(1, |z|).
TOLERANCE = 1e-11
# Differences of the objective below this multiple of its size are rounding.
ROUNDING = 1e-13
# Decreases of the objective to first order below this may be hidden by rounding all the same.
HIDDEN = 1e-9


class Inversion(eqx.Module):
    """Preimages with their certificate.

    Attributes
    ----------
    X : (N, n)
        Preimages; the best point reached where `converged` is false.
    residual : (N,)
        |grad Phi(x) - z|.
    error_bound : (N,)
        residual / c, a bound on |x - x*|; infinite without strong convexity.
    converged : (N,)
        Whether the residual reached the tolerance.
    steps : ()
        Newton steps of the slowest row.
    """

    X: Float[Array, "N n"]
    residual: Float[Array, " N"]
    error_bound: Float[Array, " N"]
    converged: Bool[Array, " N"]
    steps: Int[Array, ""]


def invert_each(
    map_: AbstractMap,
    Z: Float[Array, "N n"],
    context: Float[Array, "N q"] | None = None,
) -> tuple[Inversion, ...]:
    """Return every map's inversion, that of the one applied first in front."""
    inversions: list[Inversion] = []
    for potential in reversed(map_.potentials):
        inversions.append(invert(potential, Z, context))
        Z = inversions[-1].X
    return tuple(reversed(inversions))


def together(map_: AbstractMap, inversions: tuple[Inversion, ...]) -> Inversion:
    """Return the inversion of the whole; residuals and steps are the largest of any map."""
    *earlier, whole = inversions
    for potential, own in zip(reversed(map_.potentials[:-1]), reversed(earlier), strict=True):
        whole = Inversion(
            X=own.X,
            residual=jnp.maximum(own.residual, whole.residual),
            error_bound=own.error_bound + _over(whole.error_bound, potential.strong_convexity),
            converged=own.converged & whole.converged,
            steps=jnp.maximum(own.steps, whole.steps),
        )
    return whole


class _State(eqx.Module):
    x: Float[Array, "n N"]
    gradient: Float[Array, "n N"]
    A: Float[Array, "P N"]
    active: Bool[Array, " N"]
    steps: Int[Array, ""]


def invert(
    potential: AbstractPotential,
    Z: Float[Array, "N n"],
    context: Float[Array, "N q"] | None = None,
    *,
    max_steps: int = MAX_STEPS,
) -> Inversion:
    """Return x with grad Phi(x) = z for every row of Z, at the row's context if there is one."""
    context = Z[:, :0] if context is None else context
    z = Z.T
    target = TOLERANCE * jnp.maximum(1.0, jnp.linalg.norm(z, axis=0))

    def at(x, active, steps):
        image, A = potential.gradient_and_hessian(_rows(x, context))
        gradient = image - z
        return _State(x, gradient, A, active & (_norm(gradient) > target), steps)

    def objective(x):
        return potential.value(_rows(x, context)) - jnp.sum(z * x, axis=0)

    def step(state: _State) -> _State:
        direction = _newton_direction(state.A, state.gradient)
        # A singular Hessian (no quadratics, far out) leaves the gradient.
        usable = jnp.all(jnp.isfinite(direction), axis=0)
        direction = jnp.where(usable, direction, -state.gradient)
        slope = jnp.sum(state.gradient * direction, axis=0)
        t, found = _line_search(objective, state.x, direction, slope, state.active)
        # Where terms of the objective cancel, its rounding hides the decrease: the full step counts
        # then if it halves the residual.
        doubtful = ~found | ((t < 1.0) & (-slope < HIDDEN))
        moved = state.x + jnp.where(doubtful, 1.0, t) * direction
        new = at(jnp.where(state.active, moved, state.x), state.active, state.steps + 1)
        kept = ~doubtful | (_norm(new.gradient) < 0.5 * _norm(state.gradient))
        stuck = ~kept | jnp.all(new.x == state.x, axis=0)
        return _State(
            x=jnp.where(kept, new.x, state.x),
            gradient=jnp.where(kept, new.gradient, state.gradient),
            A=jnp.where(kept, new.A, state.A),
            active=new.active & ~stuck,
            steps=new.steps,
        )

    start = at(_start(potential, z, context), jnp.ones(z.shape[1], bool), jnp.asarray(0))
    end = jax.lax.while_loop(
        lambda state: jnp.any(state.active) & (state.steps < max_steps), step, start
    )
    residual = _norm(end.gradient)
    return Inversion(
        X=end.x.T,
        residual=residual,
        error_bound=_over(residual, potential.strong_convexity),
        # A row whose line search ends within rounding of the target has arrived too.
        converged=residual <= 100.0 * target,
        steps=end.steps,
    )


def _over(residual: Array, c: Array) -> Array:
    """Return residual / c, infinite where there is no strong convexity."""
    return jnp.where(c > 0, residual / jnp.where(c > 0, c, 1.0), jnp.inf)


def _norm(v: Array) -> Array:
    return jnp.sqrt(jnp.sum(v * v, axis=0))


def _newton_direction(A: Array, gradient: Array) -> Array:
    inverse = factorise(A).inverse_factor
    return -transposed_product(inverse, triangular_products(inverse, gradient))


def _rows(x: Array, context: Array) -> Array:
    return jnp.concatenate([x.T, context], axis=1) if context.shape[1] else x.T


def _start(potential: AbstractPotential, z: Array, context: Array) -> Array:
    """Return one Newton step from the origin: the inverse of the map's linearisation there."""
    # Without context the linearisation is the same for every row.
    n_origins = z.shape[1] if context.shape[1] else 1
    origin = jnp.zeros((z.shape[0], n_origins), z.dtype)
    image, A = potential.gradient_and_hessian(_rows(origin, context))
    step = _newton_direction(jnp.broadcast_to(A, (A.shape[0], z.shape[1])), image - z)
    return jnp.where(jnp.all(jnp.isfinite(step), axis=0), step, 0.0)


def _line_search(
    objective, x: Array, direction: Array, slope: Array, active: Array
) -> tuple[Array, Array]:
    """Return, row by row, the first t of 1, 1/2, ... that meets Armijo, and whether one did."""
    value = objective(x)
    allowance = ROUNDING * jnp.maximum(1.0, jnp.abs(value))

    def accepted(t):
        return objective(x + t * direction) <= value + ARMIJO * t * slope + allowance

    def halve(state):
        t, waiting, halvings = state
        t = jnp.where(waiting, 0.5 * t, t)
        return t, waiting & ~accepted(t), halvings + 1

    t = jnp.ones_like(value)
    t, waiting, _ = jax.lax.while_loop(
        lambda state: jnp.any(state[1]) & (state[2] < MAX_HALVINGS),
        halve,
        (t, active & ~accepted(t), jnp.asarray(0)),
    )
    return t, ~waiting
