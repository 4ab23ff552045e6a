r"""Symmetric matrices over a batch of samples, packed, samples last.

A batch of N symmetric (n, n) matrices is one array of shape (P, N), P = n (n + 1) / 2, holding the
lower triangle row by row: entry (a, b), b <= a, stands at a (a + 1) / 2 + b. With samples on the
last, contiguous axis every formula below is a short program of vector operations, whose size, and
the time to compile it, do not grow with n.

No batched LAPACK call is among them: jaxlib runs those on the very threads that run the programs,
and where as many programs as there are threads wait for one, all wait for ever (jaxlib 0.10.2, seen
with two runs on two cores, n = 16). A call of one matrix is not cut into tasks, but runs where it
is made: so `brenier.potential.hessians` goes, row by row.

References
----------
.. [1] J. H. Goodnight, "A Tutorial on the SWEEP Operator", Am. Stat. 33, 1979.
"""

import math
import operator
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array

# Outer products are added one by one where they are so few, and are products of matrices where the
# vectors are so long.
FEW_TERMS, LEAST_PRODUCT = 8, 10
# Terms of a sum over an axis: of more, XLA first writes all of them down.
MOST_TERMS = 32
# Bytes of the full matrices that are inverted or factorised at a time.
BLOCK_BYTES = 1 << 17


def packed_size(n: int) -> int:
    """Return P = n (n + 1) / 2, the number of entries of a packed (n, n) matrix."""
    return n * (n + 1) // 2


def dimension(size: int) -> int:
    """Return n for P = n (n + 1) / 2 packed entries."""
    return (int(np.sqrt(8 * size + 1)) - 1) // 2


def pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the row and column of every packed entry."""
    return np.tril_indices(n)


def diagonal_entries(n: int) -> np.ndarray:
    """Return where the diagonal entries stand in the packed order."""
    rows, cols = pairs(n)
    return np.flatnonzero(rows == cols)


def packed_identity(n: int) -> np.ndarray:
    """Return the packed identity matrix, (P,)."""
    rows, cols = pairs(n)
    return (rows == cols).astype(float)


def full_index(n: int) -> np.ndarray:
    """Return the (n, n) array that says where entry (a, b) stands in the packed order."""
    a, b = np.indices((n, n))
    low, high = np.minimum(a, b), np.maximum(a, b)
    return high * (high + 1) // 2 + low


def unpack(packed: Float[Array, "P N"]) -> Float[Array, "N n n"]:
    """Return the symmetric matrices in full, samples first."""
    n = dimension(packed.shape[0])
    return jnp.moveaxis(packed[full_index(n)], -1, 0)


def pack(full: Float[Array, "N n n"]) -> Float[Array, "P N"]:
    """Return the lower triangles of full matrices, packed."""
    rows, cols = pairs(full.shape[-1])
    return full[:, rows, cols].T


def outer_products(v: Float[Array, "... n N"]) -> Float[Array, "... P N"]:
    """Return the packed outer products v v^T of every sample."""
    rows, cols = pairs(v.shape[-2])
    return v[..., rows, :] * v[..., cols, :]


@jax.custom_vjp
def weighted_outer_products(
    q: Float[Array, "k N"], D: Float[Array, "k n N"]
) -> Float[Array, "P N"]:
    """Return packed sum_k q_k D_k D_k^T for every sample."""
    return _summed_outer_products(q, D)


def _summed_outer_products(q: Array, D: Array) -> Array:
    """Return the sum in whichever form is quickest on a CPU (benchmarks/NOTES.md)."""
    k, n, _ = D.shape
    rows, cols = pairs(n)
    weighted = q[:, None] * D
    if k <= FEW_TERMS:
        return reduce(operator.add, (weighted[i, rows] * D[i, cols] for i in range(k)))
    if n < LEAST_PRODUCT:
        return jnp.sum(weighted[:, rows] * D[:, cols], axis=0)
    return jnp.einsum("kaj,kbj->abj", weighted, D)[rows, cols]


def _outer_products_forward(q: Array, D: Array) -> tuple[Array, tuple[Array, Array]]:
    return _summed_outer_products(q, D), (q, D)


def _outer_products_backward(held: tuple[Array, Array], dA: Array) -> tuple[Array, Array]:
    """Return the derivatives in q and D."""
    q, D = held
    rows, cols = pairs(D.shape[1])
    # The derivative in A_ab and in A_ba, of which one entry stands for both.
    each = jnp.where(rows == cols, 1.0, 0.5)[:, None] * dA
    along = symmetric_products(each, D)
    return jnp.sum(D * along, axis=1), 2.0 * q[:, None] * along


weighted_outer_products.defvjp(_outer_products_forward, _outer_products_backward)


class Inverted(NamedTuple):
    """What sweeps make of positive definite matrices A.

    Attributes
    ----------
    log_det : (N,)
        log det A; NaN where A is not positive definite.
    inverse : (n, n, N)
        A^{-1}.
    """

    log_det: Float[Array, " N"]
    inverse: Float[Array, "n n N"]


def invert(A: Float[Array, "P N"]) -> Inverted:
    """Return log det A and A^{-1}, both from sweeps over all pivots, [1]_."""
    return _in_blocks(_swept, A)


def inverse_factor(A: Float[Array, "P N"]) -> Float[Array, "n n N"]:
    """Return L^{-1}, lower triangular, of positive definite A = L L^T."""
    return _in_blocks(_eliminated, A)


def _in_blocks(function: Callable[[Array], Any], A: Float[Array, "P N"]) -> Any:
    """Return what a function makes of as many samples at a time as stay in a core's cache."""
    n, N = dimension(A.shape[0]), A.shape[1]
    block = math.gcd(N, 1 << (BLOCK_BYTES // (8 * n * n)).bit_length() - 1)
    if N <= 2 * block:
        return function(A)
    blocks = jnp.moveaxis(A.reshape(len(A), -1, block), 1, 0)
    found = jax.lax.map(function, blocks)
    return jax.tree.map(lambda part: jnp.moveaxis(part, 0, -2).reshape(*part.shape[1:-1], N), found)


def _swept(A: Float[Array, "P N"]) -> Inverted:
    """Return what n sweeps leave, -A^{-1}, and the sum of their pivots' logarithms.

    A sweep on pivot j takes M_aj M_jb / M_jj from all entries but those of row and column j, which
    become M_aj / M_jj, and the pivot -1 / M_jj: one outer product, with -1 in the pivot's place.
    """
    n, N = dimension(A.shape[0]), A.shape[1]
    at = jnp.arange(n)[:, None]

    def sweep(j: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        M, log_det = state
        row = M[j]
        pivot = row[j]
        v = jnp.where(at == j, -1.0, row)
        kept = (at != j) & (at.T != j)
        M = jnp.where(kept[..., None], M, 0.0) - (v / pivot)[:, None] * v
        return M, log_det + jnp.log(pivot)

    # Two sweeps a turn need no copy of M.
    first = A[full_index(n)], jnp.zeros(N, A.dtype)
    M, log_det = jax.lax.fori_loop(0, n, sweep, first, unroll=min(n, 2))
    return Inverted(log_det, -M)


def _eliminated(A: Float[Array, "P N"]) -> Float[Array, "n n N"]:
    """Return L^{-1} by elimination without exchanges.

    Step j takes multiples of row j from those below it. Of [A | 1], held in one array, the columns
    right of j are A's; those left of j are of D^{1/2} L^{-1}, whose diagonal of ones leaves its
    place to the pivots D.
    """
    n = dimension(A.shape[0])
    at = jnp.arange(n)[:, None]

    def eliminate(j: Array, M: Array) -> Array:
        row, column = M[j], M[:, j]
        multiples = jnp.where(at > j, column / row[j], 0.0)
        rest = M - multiples[:, None] * row
        return jnp.where(at == j, jnp.where(at > j, -multiples, column)[:, None], rest)

    M = jax.lax.fori_loop(0, n, eliminate, A[full_index(n)])
    pivots = M[np.arange(n), np.arange(n)]
    below = jnp.tril(jnp.ones((n, n)), -1)[..., None]
    return (below * M + jnp.eye(n)[..., None]) / jnp.sqrt(pivots)[:, None]


def symmetric_products(
    H: Float[Array, "P N"], v: Float[Array, "... n N"]
) -> Float[Array, "... n N"]:
    """Return H v for packed symmetric matrices, several vectors a sample."""
    return products(H[full_index(v.shape[-2])], v)


def images_of_vector(H: Float[Array, "k P N"], v: Float[Array, "n N"]) -> Float[Array, "k n N"]:
    """Return H v for several packed symmetric matrices and one vector a sample."""
    return products(H[:, full_index(len(v))], v)


def transposed_product(L: Float[Array, "n n N"], v: Float[Array, "n _"]) -> Float[Array, "n N"]:
    """Return L^T v for one matrix and one vector a sample."""
    return products(jnp.swapaxes(L, 0, 1), v)


def products(M: Float[Array, "... n n N"], v: Float[Array, "... n _"]) -> Float[Array, "... n N"]:
    """Return M v for full matrices, one or several vectors a sample, as sums over an axis."""
    parts = (slice(b, b + MOST_TERMS) for b in range(0, v.shape[-2], MOST_TERMS))
    return reduce(
        operator.add,
        (jnp.sum(M[..., part, :] * v[..., None, part, :], axis=-2) for part in parts),
    )


@jax.custom_vjp
def log_det(A: Float[Array, "P N"]) -> Float[Array, " N"]:
    """Return log det of packed positive definite matrices; NaN where one is not.

    Its derivative is A^{-1}, which sweeps find on the way.
    """
    return invert(A).log_det


def _log_det_forward(A: Array) -> tuple[Array, Array]:
    return invert(A)


def _log_det_backward(inverse: Array, cotangent: Array) -> tuple[Array]:
    return (cotangent * packed_twice(inverse),)


log_det.defvjp(_log_det_forward, _log_det_backward)


def packed_twice(full: Float[Array, "n n N"]) -> Float[Array, "P N"]:
    """Return the lower triangles, packed, off-diagonal entries twice: each stands for two."""
    rows, cols = pairs(full.shape[0])
    return jnp.where(rows == cols, 1.0, 2.0)[:, None] * full[rows, cols]


def gram(A: Float[Array, "k R"]) -> Float[Array, "k k"]:
    """Return A A^T: the products of k rows."""
    return A @ A.T
