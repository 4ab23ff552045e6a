r"""The inverse of the map: x = argmin Phi(x) - z . x, each sample by its own damped Newton.

The objective is convex with gradient grad Phi(x) - z and Hessian A(x), both exact. All samples
are evaluated together, but each has its own step length (by Armijo, and by the residual where the
objective is too much rounded) and stops on its own. If Phi is strongly convex with constant c (the
least quadratic weight), the answer carries a certificate:

    |x - x*| <= |grad Phi(x) - z| / c.

A composition is inverted map by map, the last one first; an error e in what a map's inverse is
given becomes at most e / c in what it gives back.

Derivatives, in reverse mode, are those of the preimage by the implicit function theorem, not of the
steps that found it: with theta the potential's weights and the context,

    dx = A^{-1} (dz - d_theta grad Phi(x) dtheta).
"""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from brenier.arrays import Array
from brenier.potential.features import AbstractMap, AbstractPotential
from brenier.potential.hessians import AbstractHessians

ARMIJO = 1e-4
SHRINK = 0.5
MAX_HALVINGS = 30
MAX_STEPS = 400
# Samples that are evaluated at a time.
BLOCK = 128
# Residual |grad Phi(x) - z| asked for, relative to max(1, |z|).
TOLERANCE = 1e-11
# Differences of the objective below this multiple of its size are rounding.
ROUNDING = 1e-13
# Decreases of the objective to first order below this may be hidden by rounding all the same: then
# a full step that halves the residual counts.
HIDDEN = 1e-9
# The three above are of float64; in less precise arithmetic none is below so many units of
# rounding.
UNITS, UNITS_HIDDEN = 64.0, 1024.0


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
        Points tried for the slowest row, from the first one on.
    """

    X: Float[Array, "*N n"]
    residual: Float[Array, "*N"]
    error_bound: Float[Array, "*N"]
    converged: Bool[Array, "*N"]
    steps: Int[Array, ""]

    def shaped(self, shape: tuple[int, ...]) -> "Inversion":
        """Return the same of rows of another leading shape."""
        return Inversion(
            X=self.X.reshape(*shape, self.X.shape[-1]),
            residual=self.residual.reshape(shape),
            error_bound=self.error_bound.reshape(shape),
            converged=self.converged.reshape(shape),
            steps=self.steps,
        )


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
    # The best points so far, objective and gradient there.
    x: Float[Array, "n N"]
    value: Float[Array, " N"]
    gradient: Float[Array, "n N"]
    # The search from there: x + t direction is tried next.
    direction: Float[Array, "n N"]
    t: Float[Array, " N"]
    active: Bool[Array, " N"]
    evaluations: Int[Array, ""]


def invert(
    potential: AbstractPotential,
    Z: Float[Array, "N n"],
    context: Float[Array, "N q"] | None = None,
    *,
    max_steps: int = MAX_STEPS,
) -> Inversion:
    """Return x with grad Phi(x) = z for every row of Z, at the row's context if there is one.

    The first point is one Newton step from the origin: the inverse of the map's linearisation.
    """
    found: Any = _inverted(potential, Z, Z[:, :0] if context is None else context, max_steps)
    return found


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _inverted(
    potential: AbstractPotential,
    Z: Float[Array, "N n"],
    context: Float[Array, "N q"],
    max_steps: int,
) -> Inversion:
    """Return every row's inversion, without the derivatives of its steps."""
    z = Z.T
    target = _at_least(TOLERANCE, UNITS, z) * jnp.maximum(1.0, jnp.linalg.norm(z, axis=0))

    def step(state: _State) -> _State:
        x = state.x + jnp.where(state.active, state.t, 0.0) * state.direction
        value, gradient, direction = _evaluated(potential, x, z, context, state.active)
        # The origin and the first point are compared with nothing.
        accepted = state.active & ((state.evaluations < 2) | _improves(state, value, gradient))
        exhausted = ~accepted & (state.t <= SHRINK**MAX_HALVINGS)
        stuck = exhausted | (accepted & (state.evaluations > 0) & jnp.all(x == state.x, axis=0))
        arrived = accepted & (_norm(gradient) <= target)
        return _State(
            x=jnp.where(accepted, x, state.x),
            value=jnp.where(accepted, value, state.value),
            gradient=jnp.where(accepted, gradient, state.gradient),
            direction=jnp.where(accepted, direction, state.direction),
            t=jnp.where(accepted, 1.0, SHRINK * state.t),
            active=state.active & ~stuck & ~arrived,
            evaluations=state.evaluations + 1,
        )

    end = jax.lax.while_loop(
        lambda s: (s.evaluations < 2) | (jnp.any(s.active) & (s.evaluations < 2 + max_steps)),
        step,
        _origin(z),
    )
    residual = _norm(end.gradient)
    return Inversion(
        X=end.x.T,
        residual=residual,
        error_bound=_over(residual, potential.strong_convexity),
        # A row whose line search ends within rounding of the target has arrived too.
        converged=residual <= 100.0 * target,
        steps=end.evaluations - 2,
    )


def _inverted_forward(
    potential: AbstractPotential, Z: Array, context: Array, max_steps: int
) -> tuple[Inversion, Any]:
    found: Any = _inverted(potential, Z, context, max_steps)
    return found, (potential, context, found.X)


def _inverted_backward(max_steps: int, held: Any, cotangent: Inversion) -> tuple[Any, Array, Any]:
    """Return the derivatives in the potential's weights, in z and in the context."""
    potential, context, X = held
    of_z = potential.expansion(jnp.concatenate([X, context], axis=1))[2].solve(cotangent.X.T)

    def image(potential: AbstractPotential, context: Array) -> Array:
        return potential.expansion(jnp.concatenate([X, context], axis=1))[1]

    of_potential, of_context = jax.vjp(image, potential, context)[1](-of_z)
    return of_potential, of_z.T, of_context


_inverted.defvjp(_inverted_forward, _inverted_backward)


def _origin(z: Float[Array, "n N"]) -> _State:
    """Return the state whose first step tries the origin."""
    nothing, ones = jnp.zeros_like(z), jnp.ones_like(z[0])
    return _State(
        x=nothing,
        value=jnp.inf * ones,
        gradient=nothing,
        direction=nothing,
        t=ones,
        active=ones > 0,
        evaluations=jnp.asarray(0),
    )


def _evaluated(
    potential: AbstractPotential,
    x: Float[Array, "n N"],
    z: Float[Array, "n N"],
    context: Float[Array, "N q"],
    active: Bool[Array, " N"],
) -> tuple[Float[Array, " N"], Float[Array, "n N"], Float[Array, "n N"]]:
    """Return the objective, its gradient and the Newton direction of all samples still active.

    They are taken block by block, zeros stand for the others: most samples are done after half of
    the steps that the last one takes.
    """
    B = min(len(active), BLOCK)
    order = jnp.argsort(~active)

    def of_block(b: Array, found: tuple[Array, ...]) -> tuple[Array, ...]:
        # The last block reaches back to be as long as the others.
        at = jax.lax.dynamic_slice_in_dim(order, b * B, B)
        points, images = x[:, at], z[:, at]
        rows = jnp.concatenate([points.T, context[at]], axis=1)
        value, image, A = potential.expansion(rows)
        gradient = image - images
        objective = value - jnp.sum(images * points, axis=0)
        parts = objective, gradient, _newton_direction(A, gradient)
        pairs = zip(found, parts, strict=True)
        return tuple(jnp.asarray(all_).at[..., at].set(part) for all_, part in pairs)

    nothing = jnp.zeros_like(x[0]), jnp.zeros_like(x), jnp.zeros_like(x)
    value, gradient, direction = jax.lax.fori_loop(
        0, (jnp.sum(active) + B - 1) // B, of_block, nothing
    )
    return value, gradient, direction


def _improves(state: _State, value: Array, gradient: Array) -> Bool[Array, " N"]:
    """Return whether a point that was tried is better: row by row."""
    slope = jnp.sum(state.gradient * state.direction, axis=0)
    rounding = _at_least(ROUNDING, UNITS, state.x)
    allowance = rounding * jnp.maximum(1.0, jnp.abs(state.value))
    lower = value <= state.value + ARMIJO * state.t * slope + allowance
    # Only there: two measures of what is better could lead in a circle.
    hidden = (state.t == 1.0) & (-slope < _at_least(HIDDEN, UNITS_HIDDEN, state.x))
    return lower | (hidden & (_norm(gradient) < 0.5 * _norm(state.gradient)))


def _at_least(number: float, units: float, x: Array) -> float:
    """Return a number, or so many units of the rounding of x where that is more."""
    return max(number, units * float(jnp.finfo(x.dtype).eps))


def _over(residual: Array, c: Array) -> Array:
    """Return residual / c, infinite where there is no strong convexity."""
    return jnp.where(c > 0, residual / jnp.where(c > 0, c, 1.0), jnp.inf)


def _norm(v: Array) -> Array:
    return jnp.sqrt(jnp.sum(v * v, axis=0))


def _newton_direction(A: AbstractHessians, gradient: Array) -> Array:
    """Return the Newton direction, or the steepest one where rounding leaves none (far out)."""
    direction = -A.solve(gradient)
    slope = jnp.sum(direction * gradient, axis=0)
    return jnp.where((slope < 0.0) & jnp.isfinite(slope), direction, -gradient)
