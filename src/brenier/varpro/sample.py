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

# Bytes of one chunk's feature Hessians, (k, P, B) in float64, which are held in memory.
CHUNK_BYTES = 1 << 28
# Bytes of the second-order jet of `TILE_UNITS` units at one tile's rows: what is computed row by
# row stays in a core's cache, and a tile is long enough for vector instructions. Where features are
# kept for the inner solver, all units' second derivatives at a tile are to stay there.
TILE_BYTES, KEPT_TILE_BYTES = 600_000, 1 << 18
TILE_UNITS = 16
LEAST_TILE, MOST_TILE = 32, 128
# Held-out rows are padded to so many: all splits of a table of up to 2,000 rows share programs.
LEAST_HELDOUT = 256


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
        C = -(-N // chunk_rows)
        B = padded_length(max(-(-N // C), least))
        if C > 1:
            B = min(B, chunk_rows)
        # Padding repeats a row: at a point far from all data the features may have no curvature.
        rows = np.tile(X[0], (C * B, 1))
        omega = np.zeros(C * B)
        rows[:N] = X
        omega[:N] = weights / np.sum(weights)
        return PaddedSample(rows.reshape(C, B, n), omega.reshape(C, B))

    def in_bits(self, dtype: type[np.floating]) -> "PaddedSample":
        """Return the same with rows in other floating-point numbers; weights as they are."""
        return PaddedSample(np.asarray(self.X, dtype), self.omega)

    def rows(self) -> tuple[Float[np.ndarray, "N n"], Float[np.ndarray, " N"]]:
        """Return the rows that are no padding, and their weights."""
        omega = np.asarray(self.omega).ravel()
        return np.asarray(self.X).reshape(len(omega), -1)[omega > 0], omega[omega > 0]

    def tiles(self, *, kept: bool = False) -> "Tiles":
        """Return the same rows in tiles of `tile_rows`, or fewer where a chunk is cut unevenly."""
        C, rows, n = self.X.shape
        wanted = tile_rows(n, kept=kept)
        B = rows if rows <= 2 * wanted else math.gcd(rows, wanted)
        return Tiles(self.X.reshape(C, -1, B, n), self.omega.reshape(C, -1, B))

    @property
    def n_chunks(self) -> int:
        """Number of chunks C."""
        return self.X.shape[0]


class Tiles(eqx.Module):
    """Rows and weights, every chunk in T tiles of B rows.

    Attributes
    ----------
    X : (C, T, B, n)
        Rows.
    omega : (C, T, B)
        Weights.
    """

    X: Float[Array, "C T B n"]
    omega: Float[Array, "C T B"]

    def flat(self) -> PaddedSample:
        """Return every tile as a chunk."""
        B, n = self.X.shape[2:]
        return PaddedSample(self.X.reshape(-1, B, n), self.omega.reshape(-1, B))


def tile_rows(n: int, *, kept: bool = False) -> int:
    """Return how many rows a tile has, a power of two; of features that are `kept` or are not."""
    per_row = 8 * TILE_UNITS * ((n + 1) * (n + 2) // 2)
    fit = (KEPT_TILE_BYTES if kept else TILE_BYTES) // per_row
    wanted = 1 << max(fit, 1).bit_length() - 1
    return min(max(wanted, LEAST_TILE), MOST_TILE)


def chunk_rows(n: int, n_hessians: int) -> int:
    """Return how many rows and their feature Hessians fit into `CHUNK_BYTES`: a multiple of 128."""
    per_row = 8 * max(n, (n * (n + 1) // 2) * n_hessians)
    return max(128, CHUNK_BYTES // per_row // 128 * 128)
