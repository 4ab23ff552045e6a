"""Convex problems in w, and functions of w that are none: what the inner solvers are tried on."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from brenier.arrays import FeatureDerivatives
from brenier.inner.objective import (
    AbstractObjective,
    DenseObjective,
    Evaluation,
    exact_probes,
)

N, K = 12, 4


def packed(full):
    """Return (N, k, n, n) as (k, P, N)."""
    n = full.shape[-1]
    return np.stack([full[:, :, a, b].T for a in range(n) for b in range(a + 1)], axis=1)


class Rows(NamedTuple):
    """Features' derivatives at N rows in the naive layout, G (N, m, n) and H (N, k, n, n).

    The last r Hessians are q d d^T for the axes d (r, n), worth q (N, r).
    """

    G: np.ndarray
    H: np.ndarray
    d: np.ndarray
    q: np.ndarray
    omega: np.ndarray
    ridge: np.ndarray

    @property
    def features(self):
        return FeatureDerivatives(
            gradients=self.G.transpose(1, 2, 0),
            hessians=packed(self.H[:, : K - len(self.d)]),
            axes=self.d,
            shares=self.q.T,
        )

    @property
    def arrays(self):
        return DenseObjective.of_rows(self.features, self.omega, self.ridge)

    def cut(self, C, T=1):
        """Return the features in C chunks of T tiles of rows, and the weights."""

        def tiles(array):
            parts = np.stack(np.split(np.asarray(array), C * T, axis=-1))
            return jnp.asarray(parts.reshape(C, T, *parts.shape[1:]))

        axes = jnp.asarray(np.tile(self.d, (C, T, 1, 1)))
        by_row = eqx.tree_at(lambda f: f.axes, self.features, np.zeros((0, len(self.omega))))
        cut = eqx.tree_at(lambda f: f.axes, jax.tree.map(tiles, by_row), axes)
        return cut, jnp.asarray(self.omega.reshape(C, T, -1))

    def parts(self, C, T=1, probes=None):
        """Return what the objective over C chunks of T tiles is made of, all of it arrays."""
        probes = exact_probes(self.G.shape[2]) if probes is None else probes
        return *self.cut(C, T), jnp.asarray(self.ridge), jnp.asarray(probes)

    def chunked(self, C, T=1):
        """Return the objective over C chunks of T tiles."""
        return objective_of(*self.parts(C, T))


def objective_of(tiles, omega, ridge, probes):
    """Return the objective of tiles whose "features" are their slices."""
    return DenseObjective.of(lambda tile: tile, tiles, omega, ridge, probes)


def random_rows(n, seed, ridge=1e-3, r=0, N=N):
    """Return rows of K random convex features and n linear ones, unequal weights.

    The last r of the K have Hessians of rank one.
    """
    rng = np.random.default_rng(seed)
    B = rng.normal(size=(N, K, n, n)) / np.sqrt(n)
    d, q = rng.normal(size=(r, n)), rng.uniform(0.2, 2.0, size=(N, r))
    H = B @ B.swapaxes(-1, -2)
    H[:, K - r :] = q[:, :, None, None] * d[:, :, None] * d[:, None, :]
    G = np.concatenate([rng.normal(size=(N, K, n)), np.broadcast_to(np.eye(n), (N, n, n))], axis=1)
    omega = rng.uniform(0.5, 1.5, size=N)
    return Rows(G, H, d, q, omega / omega.sum(), np.where(np.arange(K + n) < K, ridge, 0.0))


ROWS = {f"n = {n}": random_rows(n, seed=n) for n in (1, 2, 11)} | {
    f"rank one, n = {n}": random_rows(n, seed=n, r=2) for n in (1, 2, 11)
}


class Bowl(AbstractObjective):
    """1/2 |w - centre|^2."""

    centre: jax.Array

    def evaluate(self, w, *, with_hessian=True):
        value = 0.5 * jnp.sum((w - self.centre) ** 2)
        return Evaluation(value, w - self.centre, jnp.eye(len(w)))


class Differentiated(AbstractObjective):
    """Any convex function of w, infinite where it is not finite, differentiated for us."""

    def function(self, w):
        raise NotImplementedError

    def evaluate(self, w, *, with_hessian=True):
        value = self.function(w)
        return Evaluation(
            jnp.where(jnp.isfinite(value), value, jnp.inf),
            jax.grad(self.function)(w),
            jax.hessian(self.function)(w),
        )


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

    def evaluate(self, w, *, with_hessian=True):
        bowl = super().evaluate(w, with_hessian=with_hessian)
        return Evaluation(bowl.value, -bowl.gradient, bowl.hessian)


class Saddle(Bowl):
    """A "convex" function with an indefinite Hessian."""

    def evaluate(self, w, *, with_hessian=True):
        bowl = super().evaluate(w, with_hessian=with_hessian)
        return Evaluation(bowl.value, bowl.gradient, 2.0 - bowl.hessian)
