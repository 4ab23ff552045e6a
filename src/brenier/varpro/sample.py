r"""A fixed sample of rows with weights, cut into equal chunks.

The loss is a weighted sum over rows, omega_j >= 0 with sum one. Rows are padded (weight zero) to a
few standard lengths, so that one compiled program serves many tables, and cut into chunks so that
the features of a long table never stand in memory at once.
"""

import math

import equinox as eqx
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array, padded_length

# Bytes of one chunk's feature Hessians, (P, B, k) in float64.
CHUNK_BYTES = 1 << 27
# Rows whose derivatives, while they are computed, stay in a core's cache: with them, evaluations
# take a third to a half of the processor time that thousands of rows at once take, from n = 4 on.
TILE_ROWS = 256


class PaddedSample(eqx.Module):
    """Rows and weights, chunked.

    Attributes
    ----------
    X : (C, B, n)
        Rows; padding repeats one.
    omega : (C, B)
        Weights, summing to one; padding has weight zero.
    """

    X: Float[Array, "C B n"]
    omega: Float[Array, "C B"]

    @staticmethod
    def of(
        X: Float[np.ndarray, "N n"],
        weights: Float[np.ndarray, " N"],
        chunk_rows: int,
        *,
        least: int = 1,
    ) -> "PaddedSample":
        """Return the rows padded to `least` rows or more, in chunks of at most `chunk_rows`."""
        N, n = X.shape
        B = padded_length(max(N, least)) if N <= chunk_rows else chunk_rows
        C = -(-N // B)
        # Padding repeats a row: at a point far from all data the features may have no curvature.
        rows = np.tile(X[0], (C * B, 1))
        omega = np.zeros(C * B)
        rows[:N] = X
        omega[:N] = weights / np.sum(weights)
        return PaddedSample(rows.reshape(C, B, n), omega.reshape(C, B))

    def rows(self) -> tuple[Float[np.ndarray, "N n"], Float[np.ndarray, " N"]]:
        """Return the rows that are no padding, and their weights."""
        omega = np.asarray(self.omega).ravel()
        return np.asarray(self.X).reshape(len(omega), -1)[omega > 0], omega[omega > 0]

    def tiles(self) -> "PaddedSample":
        """Return the same rows in tiles of `TILE_ROWS` or half that, if these divide evenly."""
        B, n = self.X.shape[1:]
        tile = math.gcd(B, TILE_ROWS)
        if tile < TILE_ROWS // 2:
            return self
        return PaddedSample(self.X.reshape(-1, tile, n), self.omega.reshape(-1, tile))

    @property
    def n_chunks(self) -> int:
        """Number of chunks C."""
        return self.X.shape[0]


def chunk_rows(n: int, n_features: int) -> int:
    """Return how many rows' feature Hessians fit into `CHUNK_BYTES`: a multiple of 128."""
    per_row = 8 * (n * (n + 1) // 2) * n_features
    return max(128, CHUNK_BYTES // per_row // 128 * 128)
