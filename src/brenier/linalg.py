r"""Symmetric matrices over a batch of samples, packed, samples last.

A batch of N symmetric (n, n) matrices is one array of shape (P, N), P = n (n + 1) / 2, holding the
lower triangle row by row: entry (a, b), b <= a, stands at a (a + 1) / 2 + b. Lower triangular
matrices use the same order. With samples on the last, contiguous axis every formula below is a
short program of vector operations; for small n (`UNROLL_LIMIT`) it is unrolled over the entries,
beyond that it is a loop over columns or a batched product, whose compile time does not grow with n.

No batched LAPACK call is among them: jaxlib runs those on the very threads that run the programs,
and where as many programs as there are threads wait for one, all wait for ever (jaxlib 0.10.2, seen
with two runs on two cores, n = 16).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array

# Up to this n programs are entry-wise. Beyond it loops and products were as fast on blocks of rows,
# and compiled several times faster (benchmarks/NOTES.md).
UNROLL_LIMIT = 4


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


def outer_products(v: Float[Array, "n N k"]) -> Float[Array, "P N k"]:
    """Return the packed outer products v v^T of every sample and feature."""
    rows, cols = pairs(v.shape[0])
    return v[rows] * v[cols]


def weighted_outer_products(
    q: Float[Array, "N k"], D: Float[Array, "n N k"]
) -> Float[Array, "P N"]:
    """Return packed sum_k q_k D_k D_k^T for every sample."""
    if D.shape[0] <= UNROLL_LIMIT:
        # Entry by entry, not by indexing with `pairs`: the derivative of that is a scatter.
        rows = []
        for a in range(D.shape[0]):
            qD = q * D[a]
            rows += [jnp.sum(qD * D[b], axis=-1) for b in range(a + 1)]
        return jnp.stack(rows)
    D = jnp.swapaxes(D, 0, 1)
    return pack((q[:, None, :] * D) @ jnp.swapaxes(D, 1, 2))


def cholesky(A: Float[Array, "P N"]) -> Float[Array, "P N"]:
    """Return packed lower triangular L with A = L L^T; NaN where A is not positive definite."""
    n = dimension(A.shape[0])
    at = full_index(n)
    if n > UNROLL_LIMIT:
        rows, cols = pairs(n)
        return _cholesky_by_columns(A[at])[rows, cols]
    L: dict[tuple[int, int], Array] = {}
    for a in range(n):
        for b in range(a + 1):
            rest = A[at[a, b]] - sum(L[a, c] * L[b, c] for c in range(b))
            L[a, b] = jnp.sqrt(rest) if a == b else rest / L[b, b]
    return jnp.stack([L[a, b] for a, b in zip(*pairs(n), strict=True)])


def _cholesky_by_columns(A: Float[Array, "n n N"]) -> Float[Array, "n n N"]:
    """Return lower triangular L with A = L L^T, column after column from those before it."""
    n = A.shape[0]
    rows = jnp.arange(n)[:, None]

    def with_column(j: Array, L: Array) -> Array:
        # The columns from j on are still zero.
        rest = A[:, j] - jnp.sum(L * L[j][None], axis=1)
        column = jnp.where(rows >= j, rest / jnp.sqrt(rest[j]), 0.0)
        return jax.lax.dynamic_update_index_in_dim(L, column, j, axis=1)

    return jax.lax.fori_loop(0, n, with_column, jnp.zeros_like(A))


def triangular_inverse(L: Float[Array, "P N"]) -> Float[Array, "P N"]:
    """Return the packed inverse of packed lower triangular matrices."""
    n = dimension(L.shape[0])
    at = full_index(n)
    if n > UNROLL_LIMIT:
        rows, cols = pairs(n)
        return _inverse_by_rows(L[at])[rows, cols]
    inverse: dict[tuple[int, int], Array] = {}
    for a in range(n):
        reciprocal = 1.0 / L[at[a, a]]
        inverse[a, a] = reciprocal
        for b in range(a):
            total = sum(L[at[a, c]] * inverse[c, b] for c in range(b, a))
            inverse[a, b] = -total * reciprocal
    return jnp.stack([inverse[a, b] for a, b in zip(*pairs(n), strict=True)])


def _inverse_by_rows(L: Float[Array, "n n N"]) -> Float[Array, "n n N"]:
    """Return the inverse of L, whose upper triangle does not count, row after row."""
    n = L.shape[0]
    eye = jnp.eye(n, dtype=L.dtype)[..., None]

    def with_row(a: Array, inverse: Array) -> Array:
        # The rows from a on are still zero.
        row = (eye[a] - jnp.sum(L[a][:, None] * inverse, axis=0)) / L[a, a]
        return jax.lax.dynamic_update_index_in_dim(inverse, row, a, axis=0)

    return jax.lax.fori_loop(0, n, with_row, jnp.zeros_like(L))


def gram_of_inverse(inverse: Float[Array, "P N"]) -> Float[Array, "P N"]:
    """Return packed A^{-1} = L^{-T} L^{-1} from packed L^{-1}."""
    n = dimension(inverse.shape[0])
    at = full_index(n)
    if n > UNROLL_LIMIT:
        full = jnp.tril(jnp.moveaxis(inverse[at], -1, 0))
        return pack(jnp.swapaxes(full, 1, 2) @ full)
    return jnp.stack(
        [
            sum(inverse[at[c, a]] * inverse[at[c, b]] for c in range(a, n))
            for a, b in zip(*pairs(n), strict=True)
        ]
    )


def congruence(inverse: Float[Array, "P N"], H: Float[Array, "P N k"]) -> Float[Array, "P N k"]:
    """Return packed S = L^{-1} H L^{-T} for every sample and each of k features.

    Parameters
    ----------
    inverse : (P, N)
        L^{-1}, packed lower triangular.
    H : (P, N, k)
        k symmetric matrices a sample, packed.
    """
    n = dimension(H.shape[0])
    at = full_index(n)
    if n > UNROLL_LIMIT:
        left = jnp.tril(jnp.moveaxis(inverse[at], -1, 0))
        full = jnp.moveaxis(H[at], 2, 0)
        half = jnp.einsum("jab,jbck->jack", left, full)
        both = jnp.einsum("jack,jdc->jadk", half, left)
        rows, cols = pairs(n)
        return jnp.moveaxis(both[:, rows, cols], 0, 1)
    inverse = inverse[..., None]
    # S_ac needs the entries of L^{-1} H only at columns d <= c <= a.
    half = {
        (a, d): sum(inverse[at[a, b]] * H[at[b, d]] for b in range(a + 1))
        for a in range(n)
        for d in range(a + 1)
    }
    return jnp.stack(
        [
            sum(half[a, d] * inverse[at[c, d]] for d in range(c + 1))
            for a, c in zip(*pairs(n), strict=True)
        ]
    )


def triangular_products(L: Float[Array, "P N"], V: Float[Array, "n N k"]) -> Float[Array, "n N k"]:
    """Return L v for packed lower triangular matrices, k vectors a sample."""
    n = V.shape[0]
    at = full_index(n)
    if n > UNROLL_LIMIT:
        full = jnp.tril(jnp.moveaxis(L[at], -1, 0))
        return jnp.moveaxis(full @ jnp.moveaxis(V, 0, 1), 1, 0)
    return jnp.stack([sum(L[at[a, b]][:, None] * V[b] for b in range(a + 1)) for a in range(n)])


def triangular_rmatvec(L: Float[Array, "P N"], v: Float[Array, "n N"]) -> Float[Array, "n N"]:
    """Return L^T v for packed lower triangular matrices, sample by sample."""
    n = v.shape[0]
    mask = jnp.tril(jnp.ones((n, n), L.dtype))[..., None]
    return jnp.sum(mask * L[full_index(n)] * v[:, None], axis=0)


@jax.custom_vjp
def log_det(A: Float[Array, "P N"]) -> Float[Array, " N"]:
    """Return log det of packed positive definite matrices; NaN where one is not.

    Its derivative is A^{-1}, formed from the Cholesky factor rather than by differentiating the
    factorisation.
    """
    return _log_det_forward(A)[0]


def _log_det_forward(A: Array) -> tuple[Array, Array]:
    L = cholesky(A)
    diagonal = L[diagonal_entries(dimension(A.shape[0]))]
    return 2.0 * jnp.sum(jnp.log(diagonal), axis=0), L


def _log_det_backward(L: Array, cotangent: Array) -> tuple[Array]:
    rows, cols = pairs(dimension(L.shape[0]))
    # A packed off-diagonal entry stands for two entries of the matrix.
    multiplicity = jnp.where(rows == cols, 1.0, 2.0)[:, None]
    return (cotangent * multiplicity * gram_of_inverse(triangular_inverse(L)),)


log_det.defvjp(_log_det_forward, _log_det_backward)


def gram(A: Float[Array, "... k"]) -> Float[Array, "k k"]:
    """Return A^T A, with all axes of A but the last flattened into rows.

    Written as a batched product over two halves of the rows: XLA runs the plain product of a tall
    matrix with itself seven times slower on a CPU.
    """
    k = A.shape[-1]
    rows = A.reshape(-1, k)
    if rows.shape[0] % 2:
        return rows.T @ rows
    halves = rows.reshape(2, -1, k)
    return jnp.sum(jnp.einsum("hri,hrj->hij", halves, halves), axis=0)
