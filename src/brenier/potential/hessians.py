r"""Hessians of a potential at many points: their log-determinants, and what they are solved with.

Two forms of the same positive definite A_j, one for each of N rows:

* `PackedHessians`: entry by entry, rows last (`brenier.linalg`); what few columns are quickest in.
* `LowRankHessians`: the quadratics' part, a diagonal Q along fixed axes R, and a few terms more,

      A_j = R^T Q^{1/2} [ I + O (F_j^T diag(c_j) F_j + S_j) O^T ] Q^{1/2} R,

  with F_j (k, r) and S_j (r, r), r <= n: S_j is the sum of what all rows share but for weights, one
  product for all of them. The columns of O (n, r) span every direction in which the
  potential's units are curved at any row, so that nothing of n columns is held row by row:

      B_j = (I + F_j^T diag(c_j) F_j + S_j)^{-1},
      log det A_j = log det Q - log det B_j,
      A_j^{-1} = R^T Q^{-1/2} [ I - O O^T + O B_j O^T ] Q^{-1/2} R.

  Where the units' directions span all n columns, O is the identity. No difference of large numbers
  is formed, however high the curvature: the trace of A_j^{-1} with a term of c_j is a sum of
  squares of L_j^{-1} F_j^T, with L_j the Cholesky factor of B_j^{-1}.

Rows are factorised one at a time, by LAPACK: it is quick from some twenty columns on, and a call of
one matrix runs in the thread that makes it (`brenier.linalg` tells what a batch of them does).
Products of matrices are of many rows at once where these are small.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve, solve_triangular
from jaxtyping import Bool, Float, PyTree

from brenier import linalg
from brenier.arrays import Array

# Columns r up to which products are of all rows of a tile at once, and directions that these share
# are always summed (benchmarks/NOTES.md, "Many columns").
MOST_AT_ONCE = 32


class AbstractHessians(eqx.Module):
    """The Hessians A_j of a potential at N points."""

    @abstractmethod
    def counting(self, rows: Bool[Array, " N"]) -> "AbstractHessians":
        """Return the same where rows count; elsewhere what is finite, whatever stood there."""

    @abstractmethod
    def log_det(self) -> Float[Array, " N"]:
        """Return log det A_j; NaN where a matrix is not positive definite."""

    @abstractmethod
    def solve(self, v: Float[Array, "n N"]) -> Float[Array, "n N"]:
        """Return A_j^{-1} v_j."""


class PackedHessians(AbstractHessians):
    """Hessians entry by entry.

    Parameters
    ----------
    A : (P, N)
        Packed, rows last.
    """

    A: Float[Array, "P N"]

    def counting(self, rows: Bool[Array, " N"]) -> "PackedHessians":
        """Return the same where rows count, and the identity elsewhere."""
        identity = linalg.packed_identity(linalg.dimension(len(self.A)))
        return PackedHessians(jnp.where(rows, self.A, identity[:, None]))

    def log_det(self) -> Float[Array, " N"]:
        """Return log det A_j."""
        return linalg.log_det(self.A)

    def solve(self, v: Float[Array, "n N"]) -> Float[Array, "n N"]:
        """Return A_j^{-1} v_j."""
        return linalg.products(linalg.invert(self.A).inverse, v)


class Curvature(eqx.Module):
    """F^T diag(c) F + D^T diag(b) D + sum_i a_i S_i of every row: what units add to Hessians.

    Attributes
    ----------
    c : (k, N)
        Weights of terms of rank one.
    F : (k, N, r)
        Their directions.
    b : (p, N)
        Weights of terms of rank one whose directions are the same for all rows.
    D : (p, r)
        These directions.
    a : (s, N)
        Weights of terms of full rank.
    S : (s, r, r)
        These, the same for all rows.
    """

    c: Float[Array, "k N"]
    F: Float[Array, "k N r"]
    b: Float[Array, "p N"]
    D: Float[Array, "p r"]
    a: Float[Array, "s N"]
    S: Float[Array, "s r r"]

    @staticmethod
    def of_parts(parts: Sequence["Curvature"]) -> "Curvature":
        """Return the sum of several: all their terms."""
        return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)

    def counting(self, rows: Bool[Array, " N"]) -> "Curvature":
        """Return the same where rows count, and nothing elsewhere."""
        F = jnp.where(rows[:, None], self.F, 0.0)
        c, b, a = (jnp.where(rows, weights, 0.0) for weights in (self.c, self.b, self.a))
        return Curvature(c, F, b, self.D, a, self.S)

    def weights(self) -> Float[Array, "terms N"]:
        """Return the weights of all terms, those of rank one first."""
        return jnp.concatenate([self.c, self.b, self.a])

    def by_row(self) -> "RowCurvature":
        """Return the same with rows first; where that is quicker, directions of all are in S."""
        r = self.D.shape[1]
        if not len(self.S) and r > MOST_AT_ONCE:
            return self.by_row_apart()
        S = jnp.concatenate([self.D[:, :, None] * self.D[:, None], self.S])
        return _rows_first(self.c, self.F, jnp.concatenate([self.b, self.a]), S)

    def by_row_apart(self) -> "RowCurvature":
        """Return the same with rows first, all terms of rank one in F."""
        of_all = jnp.broadcast_to(self.D[:, None], (*self.b.shape, self.D.shape[1]))
        c, F = jnp.concatenate([self.c, self.b]), jnp.concatenate([self.F, of_all])
        return _rows_first(c, F, self.a, self.S)


class RowCurvature(NamedTuple):
    """A `Curvature` with rows first; S is the sum of all terms but F's, None if there are none."""

    c: Float[Array, "*N k"]
    F: Float[Array, "*N k r"]
    S: Float[Array, "*N r r"] | None


def _rows_first(c: Array, F: Array, a: Array, S: Array) -> RowCurvature:
    """Return the terms of rank one with rows first, and the sum of the others."""
    N, r = F.shape[1:]
    summed = (a.T @ S.reshape(-1, r * r)).reshape(N, r, r) if len(S) else None
    return RowCurvature(c.T, jnp.swapaxes(F, 0, 1), summed)


class Coordinates(eqx.Module):
    """Where the Hessians' terms stand: Q along axes R, and the directions O beyond it.

    Attributes
    ----------
    q : (n,)
        The diagonal of Q.
    R : (n, n)
        Axes, orthonormal rows.
    O : (n, r), or None for the identity
        Orthonormal columns.
    """

    q: Float[Array, " n"]
    R: Float[Array, "n n"]
    O: Float[Array, "n r"] | None  # noqa: E741

    @staticmethod
    def of(
        q: Float[Array, " n"],
        R: Float[Array, "n n"],
        directions: Float[Array, "U n"],
        n_curved: int | None = None,
    ) -> "Coordinates":
        """Return those whose O spans all directions, times Q^{-1/2} along R.

        These are known to lie in the span of the first `n_curved` axes, or nothing is known. Which
        basis O is does not matter, nor, to first order, what directions do beyond it: their
        derivatives pass by.
        """
        U, n = directions.shape
        if n_curved is not None and n_curved <= U:
            return Coordinates(q, R, jnp.eye(n, n_curved, dtype=q.dtype))
        if n <= U:
            return Coordinates(q, R, None)
        turned = (directions @ R.T) / jnp.sqrt(q)
        return Coordinates(q, R, jax.lax.stop_gradient(jnp.linalg.qr(turned.T)[0]))

    def basis(self) -> Float[Array, "n r"]:
        """Return T = R^T Q^{-1/2} O, along whose columns curvature is to be given: a constant."""
        scaled = self.R / jnp.sqrt(self.q)[:, None]
        T = scaled.T if self.O is None else scaled.T @ self.O
        return jax.lax.stop_gradient(T)

    def spread(self, M: Float[Array, "*s r k"]) -> Float[Array, "*s n k"]:
        """Return Q^{-1/2} O M."""
        along = M if self.O is None else self.O @ M
        return along / jnp.sqrt(self.q)[:, None]

    def inverse(self, B: Float[Array, "r r"]) -> Float[Array, "n n"]:
        """Return R A^{-1} R^T = Q^{-1/2} [I - O O^T + O B O^T] Q^{-1/2}."""
        inverse = self.spread(self.spread(B).T)
        if self.O is None:
            return inverse
        root = jnp.sqrt(self.q)
        return inverse + (jnp.eye(len(root), dtype=root.dtype) - self.O @ self.O.T) / (
            root[:, None] * root
        )


class LowRankHessians(AbstractHessians):
    """Hessians that are a diagonal along fixed axes and few terms more.

    Parameters
    ----------
    coordinates : Coordinates
        Q, R and O.
    curvature : Curvature
        The terms, along `coordinates.basis()`.
    """

    coordinates: Coordinates
    curvature: Curvature

    def counting(self, rows: Bool[Array, " N"]) -> "LowRankHessians":
        """Return the same where rows count, and Q alone elsewhere."""
        return LowRankHessians(self.coordinates, self.curvature.counting(rows))

    def log_det(self) -> Float[Array, " N"]:
        """Return log det A_j; its derivatives in Q and in the terms are exact, O being fixed."""
        return _log_det(self.coordinates.q, self.coordinates.O, self.curvature.by_row())

    def solve(self, v: Float[Array, "n N"]) -> Float[Array, "n N"]:
        """Return A_j^{-1} v_j."""
        q, R, O = self.coordinates.q, self.coordinates.R, self.coordinates.O  # noqa: E741
        root = jnp.sqrt(q)[:, None]
        v = (R @ v) / root
        along = v if O is None else O.T @ v
        L = _factors(self.curvature.by_row())
        solved = jax.lax.map(lambda row: cho_solve((row[0], True), row[1]), (L, along.T)).T
        solved = solved if O is None else v - O @ (along - solved)
        return R.T @ (solved / root)


class Factorised(NamedTuple):
    """Rows' terms, factorised: L L^T = B^{-1} = I + F^T diag(c) F + S.

    Attributes
    ----------
    inverse : (N, r, r)
        L^{-1}.
    YT : (N, r, k)
        Y^T = L^{-1} F^T: B in the terms' directions is Y Y^T.
    log_det : (N,)
        log det B^{-1}.
    """

    inverse: Float[Array, "*N r r"]
    YT: Float[Array, "*N r k"]
    log_det: Float[Array, "*N"]

    @staticmethod
    def of(rows: RowCurvature) -> "Factorised":
        """Return the factors of rows."""
        L, FT = _factors(rows), jnp.swapaxes(rows.F, 1, 2)
        unit = jnp.eye(L.shape[-1], dtype=L.dtype)
        inverse = jax.lax.map(lambda L: solve_triangular(L, unit, lower=True), L)
        return Factorised(inverse, inverse @ FT, _log_det_of_factors(L))


def _factors(rows: RowCurvature) -> Float[Array, "N r r"]:
    """Return L of rows."""
    M = jnp.swapaxes(rows.F, 1, 2) @ (rows.c[:, :, None] * rows.F)
    M = M + jnp.eye(M.shape[-1], dtype=M.dtype)
    M = M if rows.S is None else M + rows.S
    return jax.lax.map(lambda one: jnp.linalg.cholesky(one, symmetrize_input=False), M)


def _log_det_of_factors(L: Float[Array, "N r r"]) -> Float[Array, " N"]:
    return 2.0 * jnp.sum(jnp.log(jnp.diagonal(L, axis1=1, axis2=2)), axis=1)


def _by_groups(function: Callable[[RowCurvature], PyTree], rows: RowCurvature) -> PyTree:
    """Return what a function makes of rows: of all at once where matrices are small, else of each.

    Of small ones a call takes longer than its work; of large ones a row's stay in a core's cache.
    """
    if rows.F.shape[-1] <= MOST_AT_ONCE:
        return function(rows)
    each = jax.tree.map(lambda array: array[:, None], rows)
    return jax.tree.map(lambda array: array[:, 0], jax.lax.map(function, each))


@jax.custom_vjp
def _log_det(
    q: Float[Array, " n"],
    O: Float[Array, "n r"] | None,  # noqa: E741
    rows: RowCurvature,
) -> Float[Array, " N"]:
    """Return log det Q - log det B_j."""
    of_rows = _by_groups(lambda some: _log_det_of_factors(_factors(some)), rows)
    return jnp.sum(jnp.log(q)) + of_rows


class _Slopes(NamedTuple):
    """Derivatives of log det A_j: in c, in F (half of it), and in S, where B is."""

    of_c: Float[Array, "N k"]
    of_F: Float[Array, "N k r"]
    B: Float[Array, "N r *r"]


def _log_det_forward(
    q: Array,
    O: Array | None,  # noqa: E741
    rows: RowCurvature,
) -> tuple[Array, tuple]:
    without_S = rows.S is None
    # Of B the diagonal is enough where nothing else is asked for.
    of_diagonal = O is None and without_S

    def of_group(some: RowCurvature) -> tuple[Array, _Slopes]:
        inverse, YT, log_dets = Factorised.of(some)
        transposed = jnp.swapaxes(inverse, 1, 2)
        B = jnp.sum(inverse**2, axis=1) if of_diagonal else transposed @ inverse
        of_F = some.c[:, :, None] * jnp.swapaxes(transposed @ YT, 1, 2)
        return log_dets, _Slopes(jnp.sum(YT * YT, axis=1), of_F, B)

    log_dets, slopes = _by_groups(of_group, rows)
    return jnp.sum(jnp.log(q)) + log_dets, (q, O, slopes, without_S)


def _log_det_backward(held: tuple, cotangent: Array) -> tuple:
    q, O, slopes, without_S = held  # noqa: E741
    of_rows = RowCurvature(
        c=cotangent[:, None] * slopes.of_c,
        F=2.0 * cotangent[:, None, None] * slopes.of_F,
        S=None if without_S else cotangent[:, None, None] * slopes.B,
    )
    B = jnp.tensordot(cotangent, slopes.B, 1)
    if O is None:
        return (B if without_S else jnp.diagonal(B)) / q, None, of_rows
    along = jnp.sum(cotangent) * beyond(O) + jnp.sum((O @ B) * O, axis=1)
    return along / q, jnp.zeros_like(O), of_rows


_log_det.defvjp(_log_det_forward, _log_det_backward)


def beyond(O: Float[Array, "n r"]) -> Float[Array, " n"]:  # noqa: E741
    """Return the diagonal of I - O O^T: a sum of squares, as the matrix is its own square."""
    return jnp.sum((jnp.eye(len(O), dtype=O.dtype) - O @ O.T) ** 2, axis=1)
