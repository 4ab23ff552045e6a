"""Packed symmetric matrices against numpy.linalg."""

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
INDEFINITE = 4  # The row that `invert` must refuse.
SIZES = [1, 3, 8, 11, linalg.MOST_TERMS + 1]
on_all = pytest.mark.parametrize("n", SIZES)


def definite(n, n_samples=N):
    """Return positive definite matrices, the eigenvalues between 0.1 and about 10."""
    B = np.random.default_rng(n).normal(size=(n_samples, n, n)) / np.sqrt(n)
    return B @ B.transpose(0, 2, 1) + 0.1 * np.eye(n)


def packed(full):
    """Return the lower triangles, row by row, samples last."""
    n = full.shape[-1]
    return np.stack([full[:, a, b] for a in range(n) for b in range(a + 1)])


@jax.jit
def program(A, bad, H, v, V):
    """Return everything at once: one compiled program for each n."""
    inverted, refused = linalg.invert(A), linalg.invert(bad)
    L = linalg.inverse_factor(A)
    return {
        "full": linalg.unpack(A),
        "packed again": linalg.pack(linalg.unpack(A)),
        "inverse factor": L,
        "inverse": inverted.inverse,
        "packed twice": linalg.packed_twice(inverted.inverse),
        "log det of invert": inverted.log_det,
        "H v": linalg.images_of_vector(H, v),
        "A V": linalg.symmetric_products(A, V),
        "L v": linalg.products(L, v),
        "L V": linalg.products(L, V),
        "L^T v": linalg.transposed_product(L, v),
        "log det": linalg.log_det(A),
        "d log det": jax.vjp(linalg.log_det, A)[1](v[0])[0],
        "outer": linalg.outer_products(v),
        "gram": linalg.gram(V[:, 0]),
        "bad inverse": refused.inverse,
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
    V = rng.normal(size=(K, n, N))
    packed_H = np.stack([packed(H[:, i]) for i in range(K)])
    found = program(packed(A), packed(bad), packed_H, v.T, V)
    return A, H, v, V, {name: np.asarray(array) for name, array in found.items()}


@on_all
def test_packing(n):
    A, _, v, _, found = case(n)
    np.testing.assert_array_equal(found["full"], A)
    np.testing.assert_array_equal(found["packed again"], packed(A))
    expected = packed(v[:, :, None] * v[:, None, :])
    np.testing.assert_allclose(found["outer"], expected, **ROUNDING)
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
    A, _, _, _, found = case(n)
    inverse = np.linalg.inv(A)
    expected = {
        "inverse factor": np.linalg.inv(np.linalg.cholesky(A)),
        "inverse": inverse,
        "log det of invert": np.linalg.slogdet(A)[1],
    }
    for name, array in expected.items():
        np.testing.assert_allclose(np.moveaxis(found[name], -1, 0), array, **ROUNDING)
    np.testing.assert_allclose(found["packed twice"], packed(inverse * (2 - np.eye(n))), **ROUNDING)


@on_all
def test_products(n):
    A, H, v, V, found = case(n)
    L = np.linalg.inv(np.linalg.cholesky(A))
    expected = {
        "H v": np.einsum("jiab,jb->iaj", H, v),
        "A V": np.einsum("jab,ibj->iaj", A, V),
        "L v": np.einsum("jab,jb->aj", L, v),
        "L V": np.einsum("jab,ibj->iaj", L, V),
        "L^T v": np.einsum("jba,jb->aj", L, v),
        "gram": np.einsum("ij,kj->ik", V[:, 0], V[:, 0]),
    }
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, **ROUNDING)


@pytest.mark.parametrize(
    ("k", "n"),
    [(K, 3), (linalg.FEW_TERMS + 1, 3), (linalg.FEW_TERMS + 1, linalg.LEAST_PRODUCT)],
)
def test_weighted_outer_products_and_their_derivative_in_every_form(k, n):
    rng = np.random.default_rng(0)
    q, D = rng.normal(size=(k, N)), rng.normal(size=(k, n, N))
    c = rng.normal(size=(linalg.packed_size(n), N))

    def plain(q, D):
        full = jnp.einsum("kj,kaj,kbj->jab", q, D, D)
        return jnp.sum(c * linalg.pack(full))

    def ours(q, D):
        return jnp.sum(c * linalg.weighted_outer_products(q, D))

    assert ours(q, D) == pytest.approx(float(plain(q, D)), rel=1e-12)
    for found, expected in zip(
        jax.grad(ours, (0, 1))(q, D), jax.grad(plain, (0, 1))(q, D), strict=True
    ):
        np.testing.assert_allclose(found, expected, **ROUNDING)


@on_all
def test_log_det_and_its_derivative(n):
    A, _, v, _, found = case(n)
    np.testing.assert_allclose(found["log det"], np.linalg.slogdet(A)[1], **ROUNDING)
    # d log det A = tr(A^{-1} dA); a packed off-diagonal entry moves two entries of dA.
    inverse = np.linalg.inv(A) * (2 - np.eye(n))
    np.testing.assert_allclose(found["d log det"], packed(inverse) * v[:, 0], **ROUNDING)


@on_all
def test_not_positive_definite_is_nan_in_its_own_row_only(n):
    *_, found = case(n)
    others = np.arange(N) != INDEFINITE
    assert np.isnan(found["bad log det"][INDEFINITE])
    good, bad = found["inverse"], found["bad inverse"]
    np.testing.assert_array_equal(bad[..., others], good[..., others])
    np.testing.assert_array_equal(found["bad log det"][others], found["log det"][others])


@on_all
def test_no_batched_lapack_call(n):
    # jaxlib runs those on the threads of the programs that wait for them: parallel runs would wait
    # for ever.
    A = jnp.asarray(packed(definite(n)))

    def both(A):
        return jax.vjp(linalg.log_det, A)[1](jnp.ones(N))[0]

    assert "lapack" not in jax.jit(both).lower(A).as_text()


def test_samples_that_do_not_fit_at_once_are_inverted_in_blocks(monkeypatch):
    n, n_samples = 5, 96
    A = packed(definite(n, n_samples))
    whole = *linalg.invert(A), linalg.inverse_factor(A)
    # Blocks of 32: the largest power of two whose matrices fit.
    monkeypatch.setattr(linalg, "BLOCK_BYTES", 8 * n * n * 40)
    for one, other in zip((*linalg.invert(A), linalg.inverse_factor(A)), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
