"""Convex problems in w, and functions of w that are none: what the inner solvers are tried on."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from brenier.arrays import FeatureDerivatives
from brenier.inner.objective import (
    AbstractObjective,
    ArrayObjective,
    ChunkedObjective,
    Evaluation,
    ValueAndGradient,
)

N, K = 12, 4


def packed(full):
    """Return (N, k, n, n) as (P, N, k)."""
    n = full.shape[-1]
    return np.stack([full[:, :, a, b] for a in range(n) for b in range(a + 1)])


class Rows(NamedTuple):
    """Features' derivatives at N rows in the naive layout, G (N, m, n) and H (N, k, n, n).

    The last r Hessians are d d^T for the directions d (N, r, n).
    """

    G: np.ndarray
    H: np.ndarray
    d: np.ndarray
    omega: np.ndarray
    ridge: np.ndarray

    @property
    def features(self):
        return FeatureDerivatives(
            gradients=self.G.transpose(2, 0, 1),
            hessians=packed(self.H[:, : K - self.d.shape[1]]),
            directions=self.d.transpose(2, 0, 1),
        )

    @property
    def arrays(self):
        return ArrayObjective.of(self.features, self.omega, jnp.asarray(self.ridge))

    def cut(self, C):
        """Return the features in C chunks of rows, and the weights."""
        chunks = jax.tree.map(lambda array: np.stack(np.split(array, C, axis=1)), self.features)
        return chunks, self.omega.reshape(C, -1)

    def chunked(self, C):
        """Return the objective over C chunks, whose "features" are slices of the arrays."""
        return ChunkedObjective.of(lambda chunk: chunk, *self.cut(C), jnp.asarray(self.ridge))


def random_rows(n, seed, ridge=1e-3, r=0):
    """Return rows of K random convex features and n linear ones, unequal weights.

    The last r of the K have Hessians of rank one.
    """
    rng = np.random.default_rng(seed)
    B = rng.normal(size=(N, K, n, n)) / np.sqrt(n)
    B[:, K - r :, :, 1:] = 0.0
    d = B[:, K - r :, :, 0]
    H = B @ B.swapaxes(-1, -2)
    G = np.concatenate([rng.normal(size=(N, K, n)), np.broadcast_to(np.eye(n), (N, n, n))], axis=1)
    omega = rng.uniform(0.5, 1.5, size=N)
    return Rows(G, H, d, omega / omega.sum(), np.where(np.arange(K + n) < K, ridge, 0.0))


ROWS = {f"n = {n}": random_rows(n, seed=n) for n in (1, 2, 11)} | {
    f"rank one, n = {n}": random_rows(n, seed=n, r=2) for n in (1, 2, 11)
}


class Bowl(AbstractObjective):
    """1/2 |w - centre|^2."""

    centre: jax.Array

    def value(self, w):
        return 0.5 * jnp.sum((w - self.centre) ** 2)

    def slope(self, w):
        return ValueAndGradient(self.value(w), w - self.centre)

    def evaluate(self, w):
        return Evaluation(self.value(w), w - self.centre, jnp.eye(len(w)))


class Differentiated(AbstractObjective):
    """Any convex function of w, infinite where it is not finite, differentiated for us."""

    def function(self, w):
        raise NotImplementedError

    def value(self, w):
        value = self.function(w)
        return jnp.where(jnp.isfinite(value), value, jnp.inf)

    def slope(self, w):
        return ValueAndGradient(self.value(w), jax.grad(self.function)(w))

    def evaluate(self, w):
        return Evaluation(self.value(w), jax.grad(self.function)(w), jax.hessian(self.function)(w))


class AnalyticCentre(Differentiated):
    """- sum log(b - A w): the analytic centre of a polytope."""

    A: jax.Array
    b: jax.Array

    def function(self, w):
        return -jnp.sum(jnp.log(self.b - self.A @ w))


class LogSumExp(Differentiated):
    """log sum exp(A w + b): smooth, nearly flat in many directions."""

    A: jax.Array
    b: jax.Array

    def function(self, w):
        return jax.scipy.special.logsumexp(self.A @ w + self.b) + 1e-3 * jnp.sum(w**2)


class Uphill(Bowl):
    """A bowl whose gradient is wrong: no step along its Newton direction descends."""

    def evaluate(self, w):
        return Evaluation(self.value(w), self.centre - w, jnp.eye(len(w)))


class Saddle(Bowl):
    """A "convex" function with an indefinite Hessian."""

    def evaluate(self, w):
        return Evaluation(self.value(w), w - self.centre, 2.0 - jnp.eye(len(w)))
