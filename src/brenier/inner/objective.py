r"""The convex objective of the inner problem, as a function of w alone.

    J(w) = sum_j omega_j [ 1/2 |G_j w|^2 - log det A_j ] + 1/2 sum_i rho_i w_i^2,

    A_j = sum_{i <= k} w_i H_ji + sum_{i <= r} w_{k+i} d_ji d_ji^T,

with omega_j >= 0 summing to one (thesis 2.3, 3.2; the tiny ridge rho is ours, see
`brenier.varpro.reduced`). Hessians of rank one, as quadratics have, are given by their directions
d_ji: L^{-1} d is n times cheaper than L^{-1} H L^{-T}. With A_j = L_j L_j^T and the packed
S_ji = L_j^{-1} H_ji L_j^{-T}, off-diagonals times sqrt 2,

    gradient = M w - sum_j omega_j tr S_ji,    Hessian = M + S^T S  (rows scaled by sqrt omega_j),

where M = sum_j omega_j G_j^T G_j + diag(rho) does not depend on w and is formed once.
N J is self-concordant.

The solvers see `AbstractObjective` only; where G and H come from is not known here.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PyTree

from brenier.arrays import Array, FeatureDerivatives, sum_over_chunks
from brenier.linalg import (
    cholesky,
    congruence,
    diagonal_entries,
    dimension,
    gram,
    gram_of_inverse,
    outer_products,
    packed_identity,
    pairs,
    triangular_inverse,
    triangular_products,
    weighted_outer_products,
)


class Evaluation(eqx.Module):
    """J, its gradient and its Hessian at one w; J is infinite outside the domain."""

    value: Float[Array, ""]
    gradient: Float[Array, " m"]
    hessian: Float[Array, "m m"]


class ValueAndGradient(eqx.Module):
    """J and its gradient at one w; J is infinite outside the domain."""

    value: Float[Array, ""]
    gradient: Float[Array, " m"]


class AbstractObjective(eqx.Module):
    """A smooth convex function of w with exact second derivatives."""

    @abstractmethod
    def value(self, w: Float[Array, " m"]) -> Float[Array, ""]:
        """Return J(w), infinite outside the domain."""

    @abstractmethod
    def slope(self, w: Float[Array, " m"]) -> ValueAndGradient:
        """Return J(w) and its gradient, at a small part of the cost of its Hessian."""

    @abstractmethod
    def evaluate(self, w: Float[Array, " m"]) -> Evaluation:
        """Return J(w), its gradient and its Hessian."""


class LogDetTerm(eqx.Module):
    """- sum_j omega_j log det A_j over the samples it holds.

    Attributes
    ----------
    H : (P, N, k)
        Packed Hessians of the first k features.
    d : (n, N, r)
        Directions of the next r features' Hessians d d^T.
    omega : (N,)
        Weights; rows of weight zero are padding and never count, whatever they hold.
    """

    H: Float[Array, "P N k"]
    d: Float[Array, "n N r"]
    omega: Float[Array, " N"]

    def _split(self, w: Array) -> tuple[Array, Array]:
        k, r = self.H.shape[2], self.d.shape[2]
        return w[:k], w[k : k + r]

    def _factor(self, w: Array) -> tuple[Array, Array]:
        P, N, k = self.H.shape
        of_hessians, of_directions = self._split(w)
        A = (self.H.reshape(P * N, k) @ of_hessians).reshape(P, N)
        A = A + weighted_outer_products(jnp.broadcast_to(of_directions, self.d.shape[1:]), self.d)
        # Where a row does not count its A need not be positive definite, and 0 x NaN is NaN.
        L = cholesky(jnp.where(self.omega > 0, A, packed_identity(dimension(P))[:, None]))
        log_det = 2.0 * jnp.sum(jnp.log(L[diagonal_entries(dimension(P))]), axis=0)
        return L, -jnp.sum(jnp.where(self.omega > 0, self.omega * log_det, 0.0))

    def value(self, w: Float[Array, " m"]) -> Float[Array, ""]:
        """Return the term, infinite where some A_j is not positive definite."""
        value = self._factor(w)[1]
        return jnp.where(jnp.isfinite(value), value, jnp.inf)

    def slope(self, w: Float[Array, " m"]) -> ValueAndGradient:
        """Return the term and its gradient, - sum_j omega_j <A_j^{-1}, H_ji>."""
        L, value = self._factor(w)
        P, N, k = self.H.shape
        rows, cols = pairs(dimension(P))
        # A packed off-diagonal entry stands for two entries of the matrix.
        multiplicity = jnp.where(rows == cols, 1.0, 2.0)[:, None]
        inverse = triangular_inverse(L)
        per_entry = multiplicity * self.omega * gram_of_inverse(inverse)
        traces = per_entry.reshape(P * N) @ self.H.reshape(P * N, k)
        t = triangular_products(inverse, self.d)
        squares = self.omega @ jnp.sum(t * t, axis=0)
        return ValueAndGradient(
            value=jnp.where(jnp.isfinite(value), value, jnp.inf),
            gradient=_padded(-jnp.concatenate([traces, squares]), w),
        )

    def evaluate(self, w: Float[Array, " m"]) -> Evaluation:
        """Return the term and its derivatives, zero in the entries of w beyond k + r."""
        L, value = self._factor(w)
        inverse = triangular_inverse(L)
        t = triangular_products(inverse, self.d)
        S = jnp.concatenate([congruence(inverse, self.H), outer_products(t)], axis=-1)
        rows, cols = pairs(dimension(S.shape[0]))
        trace = jnp.sum(S[rows == cols], axis=0)
        scale = jnp.where(rows == cols, 1.0, jnp.sqrt(2.0))[:, None] * jnp.sqrt(self.omega)
        return Evaluation(
            value=jnp.where(jnp.isfinite(value), value, jnp.inf),
            gradient=_padded(-(self.omega @ trace), w),
            hessian=_padded(gram(scale[..., None] * S), w),
        )


def _padded(part: Array, w: Array) -> Array:
    """Return an array with zeros added up to the length of w along every axis."""
    return jnp.pad(part, [(0, len(w) - length) for length in part.shape])


def second_moment(G: Float[Array, "n N m"], omega: Float[Array, " N"]) -> Float[Array, "m m"]:
    """Return M = sum_j omega_j G_j^T G_j, from gradients G: (n, N, m)."""
    return gram(jnp.sqrt(omega)[:, None] * G)


class ArrayObjective(AbstractObjective):
    """J with all features' Hessians held in memory."""

    M: Float[Array, "m m"]
    term: LogDetTerm

    @staticmethod
    def of(
        features: FeatureDerivatives, omega: Float[Array, " N"], ridge: Float[Array, " m"]
    ) -> "ArrayObjective":
        """Return J for features of these derivatives, weights omega and ridge rho."""
        M = second_moment(features.gradients, omega) + jnp.diag(ridge)
        return ArrayObjective(M, LogDetTerm(features.hessians, features.directions, omega))

    def value(self, w: Float[Array, " m"]) -> Float[Array, ""]:
        """Return J(w)."""
        return 0.5 * w @ (self.M @ w) + self.term.value(w)

    def slope(self, w: Float[Array, " m"]) -> ValueAndGradient:
        """Return J(w) and its gradient."""
        return _slope_with_quadratic(self.M, w, self.term.slope(w))

    def evaluate(self, w: Float[Array, " m"]) -> Evaluation:
        """Return J(w), its gradient and its Hessian."""
        return _with_quadratic(self.M, w, self.term.evaluate(w))


class ChunkedObjective(AbstractObjective):
    """J accumulated over chunks of samples, whose features are formed anew at every evaluation.

    Attributes
    ----------
    M : (m, m)
        sum_j omega_j G_j^T G_j over all chunks, plus the ridge.
    derivatives : callable, chunk -> FeatureDerivatives
        Of one chunk's B samples.
    chunks : pytree with leading axis C
        What `derivatives` takes, chunk by chunk.
    omega : (C, B)
        Weights.
    """

    M: Float[Array, "m m"]
    derivatives: Callable[[Any], FeatureDerivatives]
    chunks: PyTree
    omega: Float[Array, "C B"]

    @staticmethod
    def of(
        derivatives: Callable[[Any], FeatureDerivatives],
        chunks: PyTree,
        omega: Float[Array, "C B"],
        ridge: Float[Array, " m"],
    ) -> "ChunkedObjective":
        """Return J for features formed chunk by chunk; one pass over the chunks forms M."""

        def moment(chunk_and_omega):
            chunk, weights = chunk_and_omega
            return second_moment(derivatives(chunk).gradients, weights)

        M = sum_over_chunks(moment, (chunks, omega)) + jnp.diag(ridge)
        return ChunkedObjective(M, derivatives, chunks, omega)

    def _term(self, chunk_and_omega) -> LogDetTerm:
        chunk, omega = chunk_and_omega
        features = self.derivatives(chunk)
        return LogDetTerm(features.hessians, features.directions, omega)

    def value(self, w: Float[Array, " m"]) -> Float[Array, ""]:
        """Return J(w)."""
        total = sum_over_chunks(lambda c: self._term(c).value(w), (self.chunks, self.omega))
        return 0.5 * w @ (self.M @ w) + total

    def slope(self, w: Float[Array, " m"]) -> ValueAndGradient:
        """Return J(w) and its gradient."""
        total = sum_over_chunks(lambda c: self._term(c).slope(w), (self.chunks, self.omega))
        return _slope_with_quadratic(self.M, w, total)

    def evaluate(self, w: Float[Array, " m"]) -> Evaluation:
        """Return J(w), its gradient and its Hessian."""
        total = sum_over_chunks(lambda c: self._term(c).evaluate(w), (self.chunks, self.omega))
        return _with_quadratic(self.M, w, total)


def dense_objective(
    derivatives: Callable[[Any], FeatureDerivatives],
    tiles: PyTree,
    omega: Float[Array, "C B"],
    ridge: Float[Array, " m"],
    *,
    held: bool,
) -> AbstractObjective:
    """Return J for features known by the derivatives of all of them.

    Parameters
    ----------
    derivatives : callable, tile -> FeatureDerivatives
        Of one tile's B samples.
    tiles : pytree with leading axis C
        What `derivatives` takes, tile by tile.
    omega : (C, B)
        Weights.
    ridge : (m,)
        rho.
    held : bool
        Whether the derivatives of all tiles are held in memory; else they are formed anew at every
        evaluation.
    """
    if len(omega) == 1:
        tile = jax.tree.map(lambda leaf: leaf[0], tiles)
        return ArrayObjective.of(derivatives(tile), omega[0], ridge)
    if held:
        tiles = jax.lax.map(derivatives, tiles)
        return ChunkedObjective.of(lambda tile: tile, tiles, omega, ridge)
    return ChunkedObjective.of(derivatives, tiles, omega, ridge)


def _slope_with_quadratic(M: Array, w: Array, term: ValueAndGradient) -> ValueAndGradient:
    Mw = M @ w
    return ValueAndGradient(0.5 * w @ Mw + term.value, Mw + term.gradient)


def _with_quadratic(M: Array, w: Array, term: Evaluation) -> Evaluation:
    Mw = M @ w
    return Evaluation(0.5 * w @ Mw + term.value, Mw + term.gradient, M + term.hessian)
