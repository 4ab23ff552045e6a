"""Sums over chunks, and lengths that arrays are padded to."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from brenier.arrays import log_sums, padded_length, scan_alike, sum_over_chunks


def test_padded_lengths_are_few_and_near():
    lengths = np.array([padded_length(N) for N in range(1, 5000)])
    N = np.arange(1, 5000)
    assert (lengths >= N).all()
    assert (lengths <= np.maximum(64, 1.25 * N)).all()
    assert (np.diff(lengths) >= 0).all()
    assert len(np.unique(lengths)) < 30
    assert all(padded_length(int(length)) == length for length in np.unique(lengths))


@pytest.mark.parametrize("C", [1, 3])
def test_sum_over_chunks_is_that_of_all_of_them(C):
    chunks = {"a": np.arange(4.0 * C).reshape(C, 4), "b": np.ones((C, 2))}

    def function(chunk):
        return jnp.sum(chunk["a"]), chunk["b"] * chunk["a"][0]

    total, weighted = sum_over_chunks(function, chunks)
    assert float(total) == chunks["a"].sum()
    np.testing.assert_array_equal(weighted, chunks["b"].T @ chunks["a"][:, 0])


@pytest.mark.parametrize("sizes", [(), (3,), (3, 3, 3), (3, 2, 3)])
def test_scan_alike_is_one_after_the_other(sizes):
    rng = np.random.default_rng(0)
    each = [(rng.normal(size=(size, 3)), np.asarray(float(k))) for k, size in enumerate(sizes)]

    def step(total, one):
        A, k = one
        return total + jnp.sum(A @ jnp.ones(3)) * k, A.T

    last, returned = scan_alike(step, jnp.asarray(1.0), each)
    assert float(last) == pytest.approx(1.0 + sum(k * A.sum() for A, k in each))
    for found, (A, _) in zip(returned, each, strict=True):
        np.testing.assert_allclose(found, A.T)


def test_log_sums_are_those_of_large_and_small_terms():
    terms = np.random.default_rng(0).normal(size=(5, 3)) + [[0.0], [1e3], [-1e3], [1e300], [0.0]]
    terms[4, :2] = -np.inf
    found, shares = log_sums(terms)
    np.testing.assert_allclose(found, logsumexp(terms, axis=1), rtol=1e-14)
    np.testing.assert_allclose(shares, softmax(terms, axis=1), rtol=1e-12)
