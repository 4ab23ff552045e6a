r"""The convex objective of the inner problem, as a function of w alone.

    J(w) = sum_j omega_j [ 1/2 |G_j w|^2 - log det A_j ] + 1/2 sum_i rho_i w_i^2,

    A_j = sum_{i <= k} w_i H_ji + sum_{i <= r} w_{k+i} q_ji r_i r_i^T,

with omega_j >= 0 summing to one (thesis 2.3, 3.2; the tiny ridge rho is ours, see
`brenier.varpro.reduced`). Hessians of rank one, as quadratics have, are given by their axes r_i and
by what these are worth at every row, q_ji. With A_j = L_j L_j^T and S_ji = L_j^{-1} H_ji L_j^{-T},

    gradient_i = (M w)_i - sum_j omega_j tr S_ji,
    Hessian_ik = M_ik + sum_j omega_j tr S_ji S_jk,

where M = sum_j omega_j G_j^T G_j + diag(rho) does not depend on w and is formed once. N J is
self-concordant.

Value and gradient take two passes over the H_ji, the Hessian many times as long. It can be probed
instead: tr S S' is the mean of (S v) . (S' v) over all vectors v of signs, so with one such vector
a row, of which neighbouring rows have different ones, the sum over rows is nearly the Hessian. What
is probed is positive semidefinite as the Hessian is, and exact for n = 1.

The solvers see `AbstractObjective` only; where G and H come from is not known here.

References
----------
.. [1] M. F. Hutchinson, "A Stochastic Estimator of the Trace of the Influence Matrix for Laplacian
       Smoothing Splines", Commun. Stat. Simul. Comput. 18, 1989.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, PyTree

from brenier.arrays import Array, FeatureDerivatives, sum_over_chunks
from brenier.linalg import (
    dimension,
    gram,
    images_of_vector,
    inverse_factor,
    invert,
    outer_products,
    packed_identity,
    packed_twice,
    products,
    transposed_product,
)

# Probes that the Hessian is estimated with at least: where rows are fewer, each has several.
PROBED_ROWS = 2048


class Evaluation(eqx.Module):
    """J, its gradient and its Hessian at one w; J is infinite outside the domain."""

    value: Float[Array, ""]
    gradient: Float[Array, " m"]
    hessian: Float[Array, "m m"]


class AbstractObjective(eqx.Module):
    """A smooth convex function of w with its derivatives."""

    @property
    def rounding(self) -> float:
        """Differences of J below this multiple of max(1, |J|) are rounding, not ascent."""
        return 1e-13

    @abstractmethod
    def evaluate(
        self, w: Float[Array, " m"], *, with_hessian: bool | Bool[Array, ""] = True
    ) -> Evaluation:
        """Return J(w), its gradient, and its Hessian or an estimate; zeros if it is not asked."""


class LogDetTerm(eqx.Module):
    """- sum_j omega_j log det A_j over the samples it holds, in T tiles of B.

    Attributes
    ----------
    H : (T, k, P, B)
        Packed Hessians of the first k features.
    axes, shares : (r, n), (T, r, B)
        Axes of the next r features' Hessians of rank one, and what they are worth.
    omega : (T, B)
        Weights; rows of weight zero are padding and never count, whatever they hold.
    probes : (q, n, B)
        Vectors v, whose squares have the sum n in every row; n axes make the Hessian exact.
    """

    H: Float[Array, "T k P B"]
    axes: Float[Array, "r n"]
    shares: Float[Array, "T r B"]
    omega: Float[Array, "T B"]
    probes: Float[Array, "q n _"]

    def evaluate(
        self, w: Float[Array, " m"], *, with_hessian: bool | Bool[Array, ""]
    ) -> Evaluation:
        """Return the term and its derivatives, zero in the entries of w beyond k + r."""
        T, B = self.omega.shape
        A = self._jacobians(w)
        found = invert(A)
        omega = self.omega.ravel()
        value = -jnp.sum(jnp.where(omega > 0, omega * found.log_det, 0.0))
        m_plus = self.H.shape[1] + len(self.axes)
        hessian = jax.lax.cond(
            with_hessian,
            lambda: self._hessian(inverse_factor(A).reshape(*found.inverse.shape[:2], T, B)),
            lambda: jnp.zeros((m_plus, m_plus), w.dtype),
        )
        return Evaluation(
            value=jnp.where(jnp.isfinite(value), value, jnp.inf),
            gradient=_padded(-self._traces(omega * packed_twice(found.inverse)), w),
            hessian=_padded(hessian, w),
        )

    def _jacobians(self, w: Array) -> Float[Array, "P N"]:
        """Return A; where a row does not count it need not be positive definite: the identity."""
        T, k, P, B = self.H.shape
        of_network = jnp.matmul(
            jnp.broadcast_to(w[:k], (T, 1, k)), self.H.reshape(T, k, P * B)
        ).reshape(T, P, B)
        weighted = w[k : k + len(self.axes), None] * self.shares
        A = of_network + jnp.matmul(self._packed_axes().T, weighted)
        A = jnp.where(self.omega[:, None] > 0, A, packed_identity(dimension(P))[:, None])
        return jnp.moveaxis(A, 1, 0).reshape(P, -1)

    def _traces(self, weighted: Float[Array, "P N"]) -> Float[Array, " k_r"]:
        """Return sum_j omega_j tr A_j^{-1} H_ji, from the entries of omega_j A_j^{-1}."""
        T, k, P, B = self.H.shape
        entries = jnp.moveaxis(weighted.reshape(P, T, B), 0, 1)
        of_network = jnp.matmul(self.H.reshape(T, k, P * B), entries.reshape(T, P * B, 1))
        of_axes = self.shares * jnp.matmul(self._packed_axes(), entries)
        return jnp.concatenate([jnp.sum(of_network, axis=(0, 2)), jnp.sum(of_axes, axis=(0, 2))])

    def _hessian(self, inverse: Float[Array, "n n T B"]) -> Float[Array, "k_r k_r"]:
        """Return sum_j omega_j (S_ji v_j) . (S_jk v_j), summed over the probes."""
        per_tile = self.H, self.shares, self.omega, jnp.moveaxis(inverse, 2, 0)
        if len(self.probes) == 1:
            return sum_over_chunks(lambda tile: self._probed(tile, self.probes[0]), per_tile)

        def of_tile(tile):
            return sum_over_chunks(lambda v: self._probed(tile, v), self.probes)

        return sum_over_chunks(of_tile, per_tile)

    def _probed(self, tile: tuple[Array, ...], v: Float[Array, "n _"]) -> Float[Array, "k_r k_r"]:
        H, shares, omega, inverse = tile
        u = transposed_product(inverse, v)
        # A division is what XLA does once and keeps; a product it would do again for every entry
        # that the next line makes of it.
        moved = images_of_vector(H, u) / (1.0 / jnp.sqrt(omega))
        of_network = products(inverse, moved)
        along = jnp.sqrt(omega) * shares * (self.axes @ u)
        of_axes = along[:, None] * products(inverse, self.axes[:, :, None])
        rows = jnp.concatenate([of_network, of_axes])
        return gram(rows.reshape(len(rows), -1))

    def _packed_axes(self) -> Float[Array, "r P"]:
        return outer_products(self.axes[:, :, None])[..., 0]


def _padded(part: Array, w: Array) -> Array:
    """Return an array with zeros added up to the length of w along every axis."""
    return jnp.pad(part, [(0, len(w) - length) for length in part.shape])


class DenseObjective(AbstractObjective):
    """J for features known by the derivatives of all of them.

    What they are at one chunk of rows is held in memory; of more than one it is formed anew at
    every evaluation, chunk by chunk.

    Attributes
    ----------
    M : (m, m)
        The quadratic form of the squares, and the ridge.
    term : callable, chunk -> LogDetTerm
        The other term over the rows of one chunk.
    chunks : pytree with leading axis C
        What `term` takes.
    """

    M: Float[Array, "m m"]
    term: Callable
    chunks: tuple

    @staticmethod
    def of(
        derivatives: Callable[[Any], FeatureDerivatives],
        rows: PyTree,
        omega: Float[Array, "C T B"],
        ridge: Float[Array, " m"],
        probes: Float[Array, "q n _"],
    ) -> "DenseObjective":
        """Return J of rows in C chunks of T tiles.

        Parameters
        ----------
        derivatives : callable, tile -> FeatureDerivatives
            Of one tile's rows.
        rows : pytree with leading axes C, T
            What `derivatives` takes, tile by tile.
        omega : (C, T, B)
            Weights.
        ridge : (m,)
            rho.
        probes : (q, n, B)
            As in `LogDetTerm`.
        """
        if len(omega) == 1:
            row, weight = jax.tree.map(lambda leaf: leaf[0], (rows, omega))
            M, term = _formed(derivatives, row, weight, probes)
            return DenseObjective(M + jnp.diag(ridge), _Kept(term), (omega,))
        formed = _FormedAnew(derivatives, probes)
        M = sum_over_chunks(formed.moment, (rows, omega))
        return DenseObjective(M + jnp.diag(ridge), formed, (rows, omega))

    @staticmethod
    def of_rows(
        features: FeatureDerivatives, omega: Float[Array, " N"], ridge: Float[Array, " m"]
    ) -> "DenseObjective":
        """Return J, its Hessian exact, of features whose derivatives at all rows are given."""
        rows = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None, None], features)
        probes = jnp.asarray(exact_probes(features.gradients.shape[1]))
        omega = jnp.asarray(omega)[None, None]
        return DenseObjective.of(lambda tile: tile, rows, omega, jnp.asarray(ridge), probes)

    def evaluate(
        self, w: Float[Array, " m"], *, with_hessian: bool | Bool[Array, ""] = True
    ) -> Evaluation:
        """Return J(w), its gradient and its Hessian, as the probes have it."""
        term = sum_over_chunks(
            lambda c: self.term(c).evaluate(w, with_hessian=with_hessian), self.chunks
        )
        Mw = self.M @ w
        return Evaluation(0.5 * w @ Mw + term.value, Mw + term.gradient, self.M + term.hessian)


class _Kept(eqx.Module):
    """The term of the one chunk there is."""

    term: LogDetTerm

    def __call__(self, chunk: PyTree) -> LogDetTerm:
        """Return it."""
        return self.term


class _FormedAnew(eqx.Module):
    """The term of any chunk, formed where it is asked for."""

    derivatives: Callable
    probes: Float[Array, "q n _"]

    def __call__(self, chunk: PyTree) -> LogDetTerm:
        """Return that of a chunk."""
        rows, omega = chunk
        return _formed(self.derivatives, rows, omega, self.probes)[1]

    def moment(self, chunk: PyTree) -> Float[Array, "m m"]:
        """Return sum_j omega_j G_j^T G_j of a chunk."""
        rows, omega = chunk
        return _formed(self.derivatives, rows, omega, self.probes)[0]


def _formed(
    derivatives: Callable[[Any], FeatureDerivatives],
    rows: PyTree,
    omega: Float[Array, "T B"],
    probes: Float[Array, "q n _"],
) -> tuple[Float[Array, "m m"], LogDetTerm]:
    """Return sum_j omega_j G_j^T G_j and the term of one chunk's rows."""

    def of_tile(M, tile):
        row, weight = tile
        features = derivatives(row)
        G = jnp.sqrt(weight) * features.gradients
        return M + gram(G.reshape(len(G), -1)), (features.hessians, features.shares)

    tile = jax.tree.map(lambda leaf: leaf[0], rows)
    shapes = jax.eval_shape(derivatives, tile)
    m = shapes.gradients.shape[0]
    M, (H, shares) = jax.lax.scan(of_tile, jnp.zeros((m, m)), (rows, omega))
    # The axes are the same for all rows.
    axes = derivatives(tile).axes
    return M, LogDetTerm(H, axes, shares, omega, probes)


def probes(n: int, omega: Float[Array, "C T B"], *, exact: bool) -> Float[Array, "q n _"]:
    """Return the probes of the Hessian over rows in tiles: as many as these need, or exact ones."""
    q = n if exact else min(n, -(-PROBED_ROWS // omega.size))
    return jnp.asarray(exact_probes(n) if q == n else sign_probes(n, omega.shape[-1], q))


def exact_probes(n: int) -> Float[np.ndarray, "n n 1"]:
    """Return the axes: with them the Hessian is no estimate."""
    return np.eye(n)[:, :, None]


def sign_probes(n: int, B: int, q: int) -> Float[np.ndarray, "q n B"]:
    """Return q vectors of signs for each of B rows, scaled by sqrt(1 / q).

    Those of a row and the next are different rows of a Hadamard matrix, so that what they get wrong
    for one sums to nothing over all of them.
    """
    place = np.arange(q * B).reshape(q, 1, B)
    parity = np.bitwise_count(place & np.arange(n)[:, None]) % 2
    return (1.0 - 2.0 * parity) / np.sqrt(q)
