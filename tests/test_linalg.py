"""Packed symmetric matrices against numpy.linalg, on both sides of the unrolled programs' limit."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from brenier import linalg

pytestmark = pytest.mark.usefixtures("x64")

# Float64 factorisations of matrices of condition number below 1e3.
ROUNDING = {"rtol": 1e-11, "atol": 1e-12}
N, K = 7, 3
INDEFINITE = 4  # The row that `cholesky` must refuse.
SIZES = [1, 3, linalg.UNROLL_LIMIT + 1]
on_all = pytest.mark.parametrize("n", SIZES)


def definite(n):
    """Return N positive definite matrices, the eigenvalues between 0.1 and about 10."""
    B = np.random.default_rng(n).normal(size=(N, n, n)) / np.sqrt(n)
    return B @ B.transpose(0, 2, 1) + 0.1 * np.eye(n)


def packed(full):
    """Return the lower triangles, row by row, samples last."""
    n = full.shape[-1]
    return np.stack([full[:, a, b] for a in range(n) for b in range(a + 1)])


@jax.jit
def program(A, bad, H, v):
    """Return everything at once: one compiled program for each n."""
    L = linalg.cholesky(A)
    inverse = linalg.triangular_inverse(L)
    return {
        "full": linalg.unpack(A),
        "packed again": linalg.pack(linalg.unpack(A)),
        "factor": L,
        "inverse factor": inverse,
        "inverse": linalg.gram_of_inverse(inverse),
        "congruence": linalg.congruence(inverse, H),
        "L v": linalg.triangular_products(L, v[..., None])[..., 0],
        "L^T v": linalg.triangular_rmatvec(L, v),
        "log det": linalg.log_det(A),
        "d log det": jax.vjp(linalg.log_det, A)[1](v[0])[0],
        "outer": linalg.outer_products(v[..., None]),
        "bad factor": linalg.cholesky(bad),
        "bad log det": linalg.log_det(bad),
    }


@cache
def case(n):
    """Return matrices A, features' Hessians H, vectors v, and what the program made of them."""
    A, rng = definite(n), np.random.default_rng(100 + n)
    H = rng.normal(size=(N, K, n, n))
    H = H + H.swapaxes(-1, -2)
    v = rng.normal(size=(N, n))
    bad = A.copy()
    bad[INDEFINITE] -= 2 * np.linalg.eigvalsh(A[INDEFINITE])[0] * np.eye(n)
    packed_H = np.stack([packed(H[:, i]) for i in range(K)], axis=-1)
    found = program(packed(A), packed(bad), packed_H, v.T)
    return A, H, v, {name: np.asarray(array) for name, array in found.items()}


@on_all
def test_packing(n):
    A, _, v, found = case(n)
    np.testing.assert_array_equal(found["full"], A)
    np.testing.assert_array_equal(found["packed again"], packed(A))
    expected = packed(v[:, :, None] * v[:, None, :])
    np.testing.assert_allclose(found["outer"][..., 0], expected, **ROUNDING)
    P = linalg.packed_size(n)
    assert (P, linalg.dimension(P)) == (len(packed(A)), n)
    rows, cols = linalg.pairs(n)
    assert list(zip(rows, cols, strict=True)) == [(a, b) for a in range(n) for b in range(a + 1)]
    diagonal = np.flatnonzero(packed(np.eye(n)[None])[:, 0])
    np.testing.assert_array_equal(linalg.diagonal_entries(n), diagonal)


def test_dimension_undoes_packed_size():
    for n in range(1, 200):
        assert linalg.dimension(linalg.packed_size(n)) == n


@on_all
def test_factorisation(n):
    A, H, v, found = case(n)
    L = np.linalg.cholesky(A)
    inverse = np.linalg.inv(L)
    np.testing.assert_allclose(found["factor"], packed(L), **ROUNDING)
    np.testing.assert_allclose(found["inverse factor"], packed(inverse), **ROUNDING)
    np.testing.assert_allclose(found["inverse"], packed(np.linalg.inv(A)), **ROUNDING)
    for i in range(K):
        S = inverse @ H[:, i] @ inverse.swapaxes(1, 2)
        np.testing.assert_allclose(found["congruence"][..., i], packed(S), **ROUNDING)
    for name, matrix in {"L v": L, "L^T v": L.swapaxes(1, 2)}.items():
        np.testing.assert_allclose(found[name].T, np.einsum("jab,jb->ja", matrix, v), **ROUNDING)


@on_all
def test_log_det_and_its_derivative(n):
    A, _, v, found = case(n)
    np.testing.assert_allclose(found["log det"], np.linalg.slogdet(A)[1], **ROUNDING)
    # d log det A = tr(A^{-1} dA); a packed off-diagonal entry moves two entries of dA.
    inverse = np.linalg.inv(A) * (2 - np.eye(n))
    np.testing.assert_allclose(found["d log det"], packed(inverse) * v[:, 0], **ROUNDING)


@on_all
def test_not_positive_definite_is_nan_in_its_own_row_only(n):
    _, _, _, found = case(n)
    others = np.arange(N) != INDEFINITE
    assert np.isnan(found["bad log det"][INDEFINITE])
    assert np.isnan(found["bad factor"][:, INDEFINITE]).any()
    np.testing.assert_array_equal(found["bad factor"][:, others], found["factor"][:, others])
    np.testing.assert_array_equal(found["bad log det"][others], found["log det"][others])


@on_all
def test_no_batched_lapack_call(n):
    # jaxlib runs those on the threads of the programs that wait for them: parallel runs would wait
    # for ever.
    A = jnp.asarray(packed(definite(n)))

    def both(A):
        return jax.vjp(linalg.log_det, A)[1](jnp.ones(N))[0]

    assert "lapack" not in jax.jit(both).lower(A).as_text()


@pytest.mark.parametrize("shape", [(6, 4), (7, 4), (3, 5, 4), (2, 5, 4), (1, 4)])
def test_gram(shape):
    A = np.random.default_rng(0).normal(size=shape)
    rows = A.reshape(-1, shape[-1])
    np.testing.assert_allclose(linalg.gram(jnp.asarray(A)), rows.T @ rows, **ROUNDING)
