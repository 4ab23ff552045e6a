r"""Descent by mini-batches on long tables: Adam without a schedule ([1]_).

A step looks at `BATCH_ROWS` rows, and moves mu and w together, projected on the bounds. Three
points are kept: z moves by the gradient, scaled entry by entry by its running square v as Adam
does; x is the average of all z, the later ones heavier ([2]_), and is what is returned; the
gradient g is of a point y between both:

    y = (1 - beta) z + beta x,
    v <- (1 - beta_2) g^2 + beta_2 v,
    z <- max(z - rate g / sqrt(v / (1 - beta_2^t)), lower),
    x <- x + c_t (z - x),    c_t = (eta + 1) / (t + eta).

No rate has to fall, so the descent can be ended at any time.

References
----------
.. [1] A. Defazio, X. Yang, H. Mehta, K. Mishchenko, A. Khaled, A. Cutkosky, "The Road Less
       Scheduled", NeurIPS 2024, arXiv 2405.15682, algorithm 1 and section 4.
.. [2] O. Shamir, T. Zhang, "Stochastic Gradient Descent for Non-smooth Optimization: Convergence
       Results and Optimal Averaging Schemes", ICML 2013, section 4.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from brenier.arrays import Array, at_precision, sum_over_chunks
from brenier.program import program
from brenier.varpro.function import LEAST_SLACK, Counters, Evaluated, FullFunction
from brenier.varpro.reduced import PIN, VariableProjection, loss
from brenier.varpro.sample import PaddedSample

BATCH_ROWS = 128
# Steps of one compiled call, after which there is an iterate to report.
STEPS = 64
RATE = 2e-2
BETA, BETA_2 = 0.9, 0.999
# eta: of t points the last t / (eta + 1) or so count.
WEIGHTING = 3.0
# What keeps a division by the root of a square that is still zero harmless.
TINY = 1e-8


class Descent(eqx.Module):
    """Where a descent is.

    Attributes
    ----------
    x, z : (p,)
        The average, and the point that moves.
    square : (p,)
        v.
    n_steps : ()
        Steps made.
    loss : ()
        The batches' J (nats), averaged as the points are.
    n_skipped : ()
        Steps of the last call that were left out: their batches' gradients were no numbers.
    """

    x: Float[Array, " p"]
    z: Float[Array, " p"]
    square: Float[Array, " p"]
    n_steps: Int[Array, ""]
    loss: Float[Array, ""]
    n_skipped: Int[Array, ""]

    @staticmethod
    def begin(x: Float[np.ndarray, " p"]) -> "Descent":
        """Return the descent before its first step."""
        nothing, zero = np.zeros_like(x), np.zeros((), int)
        return Descent(x, x, nothing, zero, np.zeros(()), zero)

    @staticmethod
    def names() -> tuple[str, ...]:
        """Return the names of its arrays."""
        return tuple(field.name for field in fields(Descent))


@program
def descend(
    problem: VariableProjection,
    descent: Descent,
    batches: PaddedSample,
    lower: Float[Array, " p"],
) -> tuple[Descent, Float[Array, " m"]]:
    """Return the descent after a step for every batch, and w at its average.

    Parameters
    ----------
    problem : VariableProjection
        What is minimised: J with its ridge and weight decay.
    descent : Descent
        So far.
    batches : PaddedSample
        A batch each chunk; the weights of a batch are those of its rows in J, times the number of
        all rows over that of the batch's.
    lower : (p,)
        Bounds of x.
    """
    pinned = jnp.asarray(problem.ridge) >= PIN
    moves = jnp.concatenate([jnp.ones(lower.shape[0] - pinned.shape[0], bool), ~pinned])

    def batch_loss(y: Array, batch: PaddedSample) -> tuple[Array, Array]:
        theta, w = problem.split(y)
        map_, tiles = at_precision(problem.map(theta, w), batch.X.dtype), batch.tiles().flat()
        J = sum_over_chunks(lambda tile: loss(map_, tile.X, tile.omega), tiles)
        return J + problem.regularisation(theta, w), J

    def step(descent: Descent, batch: PaddedSample) -> tuple[Descent, None]:
        x, z = descent.x, descent.z
        (_, J), gradient = jax.value_and_grad(batch_loss, has_aux=True)(
            (1.0 - BETA) * z + BETA * x, PaddedSample(batch.X[None], batch.omega[None])
        )
        n_steps = descent.n_steps + 1
        square = (1.0 - BETA_2) * gradient**2 + BETA_2 * descent.square
        size = jnp.sqrt(square / (1.0 - BETA_2**n_steps)) + TINY
        z = jnp.maximum(z - jnp.where(moves, RATE * gradient / size, 0.0), lower)
        share = (WEIGHTING + 1.0) / (n_steps + WEIGHTING)
        average = x + share * (z - x)
        mean = descent.loss + share * (J - descent.loss)
        moved = Descent(average, z, square, n_steps, mean, descent.n_skipped)
        skipped = replace(descent, n_skipped=descent.n_skipped + 1)
        usable = jnp.isfinite(J) & jnp.all(jnp.isfinite(gradient))
        return jax.tree.map(lambda a, b: jnp.where(usable, a, b), moved, skipped), None

    fresh = replace(descent, n_skipped=jnp.zeros_like(descent.n_skipped))
    after, _ = jax.lax.scan(step, fresh, batches)
    return after, problem.split(after.x)[1]


@dataclass
class MiniBatchFunction(FullFunction):
    """(mu, w) -> J with its penalties, as a descent by mini-batches sees it: of a density."""

    problem: VariableProjection

    @staticmethod
    def sample_of(
        problem: VariableProjection, X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"]
    ) -> PaddedSample:
        """Return the rows as they are, in one chunk: batches are taken from it."""
        sample = PaddedSample(X[None], (weights / np.sum(weights))[None])
        return sample.in_bits(problem.template.row_bits)

    def first_calls(self, x: Float[np.ndarray, " p"]) -> list[Callable[[], Any]]:
        """Return the call that compiles a descent."""
        batches = next(self.batches(np.random.default_rng(0)))
        return [
            lambda: replace(self, counters=Counters(), memory=None).descend(
                Descent.begin(x), batches
            )
        ]

    def descend(self, descent: Descent, batches: PaddedSample) -> tuple[Descent, Evaluated]:
        """Return the descent after a step for every batch, and what is known at its average."""
        after, w = self._after(descent, batches)
        x, loss = np.asarray(after.x), float(after.loss)
        self.counters.evaluations += STEPS
        self.counters.work_units += STEPS * BATCH_ROWS
        theta, unknown = x[: len(x) - len(w)], np.full(len(x), np.nan)
        return after, Evaluated(x, theta, self._inside(np.asarray(w)), loss, loss, unknown)

    def _after(self, descent: Descent, batches: PaddedSample) -> tuple[Descent, Float[Array, " m"]]:
        """Return the descent after a step for every batch and w, from memory if that has them."""
        at = np.asarray(descent.z)
        known = None if self.memory is None else self.memory.recall("descent", at)
        if known is not None:
            return Descent(**{name: known[name] for name in Descent.names()}), known["w"]
        before = time.perf_counter()
        after, w = jax.tree.map(np.asarray, descend(self.problem, descent, batches, self.lower))
        self.counters.gradient_seconds += time.perf_counter() - before
        if self.memory is not None:
            values = {name: getattr(after, name) for name in Descent.names()}
            self.memory.keep("descent", at, {**values, "w": w})
        return after, w

    def batches(self, rng: np.random.Generator) -> Iterator[PaddedSample]:
        """Yield the batches of one call after the other.

        All rows come once before any comes again, each time in a new order.
        """
        X, omega = self.sample.X[0], self.sample.omega[0]
        N, taken = len(X), STEPS * BATCH_ROWS
        left = np.zeros(0, int)
        while True:
            while len(left) < taken:
                left = np.concatenate([left, rng.permutation(N)])
            rows, left = left[:taken].reshape(STEPS, BATCH_ROWS), left[taken:]
            yield PaddedSample(X[rows], omega[rows] * (N / BATCH_ROWS))

    def _inside(self, w: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
        """Return w strictly above its lower bounds, for the inner solver to start from."""
        return np.maximum(w, np.asarray(self.problem.lower) + LEAST_SLACK)
