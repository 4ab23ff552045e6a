r"""Hessians of a potential at many points: their log-determinants, and what they are solved with.

Two forms of the same positive definite A_j, one for each of N rows:

* `PackedHessians`: entry by entry, rows last (`brenier.linalg`); what few columns are quickest in.
* `LowRankHessians`: the quadratics' part, a diagonal Q along fixed axes R, and a few terms more,

      A_j = R^T Q^{1/2} [ I + O (F_j^T diag(c_j) F_j + S_j) O^T ] Q^{1/2} R,

  with F_j (k, r) and S_j (r, r), r <= n. The columns of O (n, r) span every direction in which the
  potential's units are curved at any row, so that nothing of n columns is held row by row:

      B_j = (I + F_j^T diag(c_j) F_j + S_j)^{-1},
      log det A_j = log det Q - log det B_j,
      A_j^{-1} = R^T Q^{-1/2} [ I - O O^T + O B_j O^T ] Q^{-1/2} R.

  Where the units' directions span all n columns, O is the identity. No difference of large numbers
  is formed, however high the curvature: the trace of A_j^{-1} with a term of c_j is a sum of
  squares of L_j^{-1} F_j^T, with L_j the Cholesky factor of B_j^{-1}.

Rows are factorised one at a time, by LAPACK: it is quick from some twenty columns on, and a call of
one matrix runs in the thread that makes it (`brenier.linalg` tells what a batch of them does).
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve, solve_triangular
from jaxtyping import Bool, Float

from brenier import linalg
from brenier.arrays import Array


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
    """F^T diag(c) F + sum_i a_i S_i of every row: what units add to Hessians.

    Attributes
    ----------
    c : (k, N)
        Weights of terms of rank one.
    F : (k, N, r)
        Their directions.
    a : (s, N)
        Weights of terms of full rank.
    S : (s, r, r)
        These, the same for all rows.
    """

    c: Float[Array, "k N"]
    F: Float[Array, "k N r"]
    a: Float[Array, "s N"]
    S: Float[Array, "s r r"]

    @staticmethod
    def of_rank_one(c: Float[Array, "k N"], F: Float[Array, "k N r"]) -> "Curvature":
        """Return that of terms of rank one alone."""
        (_, N), r = c.shape, F.shape[-1]
        return Curvature(c, F, jnp.zeros((0, N), c.dtype), jnp.zeros((0, r, r), c.dtype))

    @staticmethod
    def of_parts(parts: Sequence["Curvature"]) -> "Curvature":
        """Return the sum of several: all their terms."""
        return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)

    def counting(self, rows: Bool[Array, " N"]) -> "Curvature":
        """Return the same where rows count, and nothing elsewhere."""
        F = jnp.where(rows[:, None], self.F, 0.0)
        return Curvature(jnp.where(rows, self.c, 0.0), F, jnp.where(rows, self.a, 0.0), self.S)

    def by_row(self) -> "RowCurvature":
        """Return the same with rows first, for a map over them."""
        s, r, _ = self.S.shape
        S = (self.a.T @ self.S.reshape(s, r * r)).reshape(-1, r, r) if s else None
        return RowCurvature(self.c.T, jnp.swapaxes(self.F, 0, 1), S)


class RowCurvature(NamedTuple):
    """A `Curvature` with rows first, or one row of it; S is the sum, None where there is none."""

    c: Float[Array, "*N k"]
    F: Float[Array, "*N k r"]
    S: Float[Array, "*N r r"] | None


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
        q: Float[Array, " n"], R: Float[Array, "n n"], directions: Float[Array, "U n"]
    ) -> "Coordinates":
        """Return those whose O spans all directions, times Q^{-1/2} along R.

        Which basis O is does not matter, nor, to first order, what directions do beyond it: their
        derivatives pass by.
        """
        U, n = directions.shape
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
        solved = jax.lax.map(_solved, (self.curvature.by_row(), along.T)).T
        solved = solved if O is None else v - O @ (along - solved)
        return R.T @ (solved / root)


class Factorised(NamedTuple):
    """One row's terms, factorised: L L^T = B^{-1} = I + F^T diag(c) F + S.

    Attributes
    ----------
    inverse : (r, r)
        L^{-1}.
    Y : (k, r)
        F L^{-T}: B in the terms' directions is Y Y^T.
    log_det : ()
        log det B^{-1}.
    """

    inverse: Float[Array, "r r"]
    Y: Float[Array, "k r"]
    log_det: Float[Array, ""]

    @staticmethod
    def of(row: RowCurvature) -> "Factorised":
        """Return the factors of one row."""
        L = _factor(row)
        inverse = solve_triangular(L, jnp.eye(len(L), dtype=L.dtype), lower=True)
        return Factorised(inverse, row.F @ inverse.T, _log_det_of_factor(L))


def _factor(row: RowCurvature) -> Float[Array, "r r"]:
    """Return L of one row."""
    r = row.F.shape[1]
    M = jnp.eye(r, dtype=row.F.dtype) + (row.c[:, None] * row.F).T @ row.F
    return jnp.linalg.cholesky(M if row.S is None else M + row.S, symmetrize_input=False)


def _log_det_of_factor(L: Array) -> Array:
    return 2.0 * jnp.sum(jnp.log(jnp.diagonal(L)))


def _solved(row: tuple[RowCurvature, Array]) -> Float[Array, " r"]:
    """Return B v of one row."""
    return cho_solve((_factor(row[0]), True), row[1])


@jax.custom_vjp
def _log_det(
    q: Float[Array, " n"],
    O: Float[Array, "n r"] | None,  # noqa: E741
    rows: RowCurvature,
) -> Float[Array, " N"]:
    """Return log det Q - log det B_j."""
    of_rows = jax.lax.map(lambda row: _log_det_of_factor(_factor(row)), rows)
    return jnp.sum(jnp.log(q)) + of_rows


class _Slopes(NamedTuple):
    """One row's derivatives of log det A: in c, in F (half of it), and in S, where B is."""

    of_c: Float[Array, " k"]
    of_F: Float[Array, "k r"]
    B: Float[Array, "r *r"]


def _log_det_forward(
    q: Array,
    O: Array | None,  # noqa: E741
    rows: RowCurvature,
) -> tuple[Array, tuple]:
    without_S = rows.S is None
    # Of B the diagonal is enough where nothing else is asked for.
    of_diagonal = O is None and without_S

    def of_row(row: RowCurvature) -> tuple[Array, _Slopes]:
        inverse, Y, log_det = Factorised.of(row)
        B = jnp.sum(inverse**2, axis=0) if of_diagonal else inverse.T @ inverse
        return log_det, _Slopes(jnp.sum(Y * Y, axis=1), row.c[:, None] * (Y @ inverse), B)

    log_dets, slopes = jax.lax.map(of_row, rows)
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
