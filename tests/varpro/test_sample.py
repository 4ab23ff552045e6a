"""Samples: padding of no weight, chunks that fit into memory, tiles that fit into a cache."""

import numpy as np
import pytest

from brenier.arrays import padded_length
from brenier.varpro.sample import CHUNK_BYTES, MOST_TILE, PaddedSample, chunk_rows, tile_rows


@pytest.mark.parametrize("N", [1, 63, 64, 65, 100, 1000, 1025])
def test_sample_is_padded_with_rows_of_no_weight(N):
    rng = np.random.default_rng(N)
    X, weights = rng.normal(size=(N, 2)), rng.uniform(0.5, 2.0, size=N)
    for rows_a_chunk in (10_000, 128):
        found = PaddedSample.of(X, weights, rows_a_chunk)
        C, B, n = found.X.shape
        assert found.omega.shape == (C, B)
        assert (C, n) == (1 if N <= rows_a_chunk else -(-N // rows_a_chunk), 2)
        assert B == (padded_length(N) if N <= rows_a_chunk else rows_a_chunk)
        assert (found.omega.ravel()[N:] == 0).all()
        assert (found.X.reshape(-1, 2)[N:] == X[0]).all()
        back, omega = found.rows()
        np.testing.assert_array_equal(back, X)
        np.testing.assert_allclose(omega, weights / weights.sum(), rtol=1e-14)
    # Chunks are no longer than so many equal ones must be.
    assert PaddedSample.of(np.ones((1025, 2)), np.ones(1025), 1024).X.shape == (2, 640, 2)
    assert PaddedSample.of(X[:1], weights[:1], 128, least=100).X.shape[1] == padded_length(100)


def test_chunks_fit_into_memory():
    for n, m in [(2, 34), (60, 400)]:
        B = chunk_rows(n, m)
        assert B % 128 == 0
        assert B == 128 or 8 * n * (n + 1) // 2 * m * B <= CHUNK_BYTES


def test_tiles_are_as_long_as_a_cache_holds():
    for kept in (False, True):
        assert tile_rows(1, kept=kept) == MOST_TILE
        lengths = [tile_rows(n, kept=kept) for n in range(1, 100)]
        assert lengths == sorted(lengths, reverse=True)
        assert all(length & (length - 1) == 0 for length in lengths)
    assert all(tile_rows(n, kept=True) <= tile_rows(n) for n in range(1, 100))


@pytest.mark.parametrize(
    ("N", "chunk_rows", "C", "tile"),
    [
        # A standard length that 128 divides, one that it does not, several chunks, one too short.
        (1000, 10_000, 1, 128),
        (300, 10_000, 1, 64),
        (600, 10_000, 1, 128),
        (2000, 640, 4, 128),
        (100, 10_000, 1, 112),
    ],
)
def test_tiles_hold_the_same_rows_in_their_order(N, chunk_rows, C, tile):
    whole = PaddedSample.of(np.random.default_rng(0).normal(size=(N, 2)), np.ones(N), chunk_rows)
    tiles = whole.tiles()
    assert tiles.X.shape == (C, tiles.X.shape[1], tile, 2)
    for found in (tiles, tiles.flat()):
        np.testing.assert_array_equal(found.X.reshape(-1, 2), whole.X.reshape(-1, 2))
        np.testing.assert_array_equal(found.omega.ravel(), whole.omega.ravel())
