r"""A fixed sample of rows with weights, cut into equal chunks.

The loss is a weighted sum over rows, omega_j >= 0 with sum one. Rows are padded (weight zero) to a
few standard lengths, so that one compiled program serves many tables, and cut into chunks so that
the features of a long table never stand in memory at once. Devices may share them.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree

from brenier.arrays import Array, padded_length, sum_over_chunks
from brenier.inner.objective import AbstractObjective
from brenier.inner.segments import SumOfSegments
from brenier.program.devices import SEGMENTS, mesh_shared_over, share, sum_over_segments

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


class AbstractSample(eqx.Module):
    """Rows and weights, and what is summed over them."""

    X: eqx.AbstractVar[Array]
    omega: eqx.AbstractVar[Array]

    @abstractmethod
    def total(self, function: Callable[["PaddedSample"], PyTree], *, tiled: bool = True) -> PyTree:
        """Return the sum of a function of tiles or, not `tiled`, of chunks."""

    @abstractmethod
    def objective(
        self, made: Callable[["Tiles", Array], AbstractObjective], ridge: Float[Array, " m"]
    ) -> AbstractObjective:
        """Return the inner problem's objective, which `made` makes of tiles and a ridge."""

    @abstractmethod
    def in_bits(self, dtype: type[np.floating]) -> "AbstractSample":
        """Return the same with rows in other floating-point numbers; weights as they are."""

    @abstractmethod
    def like(
        self, X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"]
    ) -> "AbstractSample":
        """Return other rows, no more of them, in arrays of the same form."""

    def rows(self) -> tuple[Float[np.ndarray, "N n"], Float[np.ndarray, " N"]]:
        """Return the rows that are no padding, and their weights."""
        omega = np.asarray(self.omega).ravel()
        return np.asarray(self.X).reshape(len(omega), -1)[omega > 0], omega[omega > 0]


class PaddedSample(AbstractSample):
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
        C, B = _chunks(len(X), chunk_rows, least)
        rows, omega = _padded(X, weights / np.sum(weights), C * B, X[0])
        return PaddedSample(rows.reshape(C, B, X.shape[1]), omega.reshape(C, B))

    def total(self, function: Callable[["PaddedSample"], PyTree], *, tiled: bool = True) -> PyTree:
        """Return the sum of a function of tiles or chunks, one after the other."""
        return sum_over_chunks(function, self.tiles().flat() if tiled else self)

    def objective(
        self, made: Callable[["Tiles", Array], AbstractObjective], ridge: Float[Array, " m"]
    ) -> AbstractObjective:
        """Return that of the tiles whose features are kept."""
        return made(self.tiles(kept=True), ridge)

    def in_bits(self, dtype: type[np.floating]) -> "PaddedSample":
        """Return the same with rows in other floating-point numbers; weights as they are."""
        return PaddedSample(np.asarray(self.X, dtype), self.omega)

    def like(self, X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"]) -> "PaddedSample":
        """Return other rows, no more of them, in arrays of the same form."""
        shape = np.shape(self.X)
        rows, omega = _padded(X, weights / np.sum(weights), shape[0] * shape[1], X[0])
        rows = rows.astype(self.X.dtype)
        return PaddedSample(rows.reshape(shape), omega.reshape(shape[:2]))

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


class SharedSample(AbstractSample):
    """Rows and weights in segments, which devices share (`brenier.program.devices`).

    Attributes
    ----------
    X : (S, C, B, n)
        Rows, each segment in chunks; within a program, those of one device.
    omega : (S, C, B)
        Weights; all segments' have the sum one.
    """

    X: Float[Array, "S C B n"]
    omega: Float[Array, "S C B"]

    @staticmethod
    def of(
        X: Float[np.ndarray, "N n"],
        weights: Float[np.ndarray, " N"],
        chunk_rows: int,
        n_devices: int,
        *,
        least: int = 1,
    ) -> "SharedSample":
        """Return rows padded to `least` or more; all segments' first chunks have `chunk_rows`."""
        of_one = max(MOST_TILE, chunk_rows // SEGMENTS // MOST_TILE * MOST_TILE)
        C, B = _chunks(-(-len(X) // SEGMENTS), of_one, -(-least // SEGMENTS))
        return _shared(X, weights, (SEGMENTS, C, B, X.shape[1]), np.float64, n_devices)

    def total(self, function: Callable[[PaddedSample], PyTree], *, tiled: bool = True) -> PyTree:
        """Return the sum of a function of tiles or chunks, segment by segment."""
        return sum_over_segments(
            lambda segment: PaddedSample(*segment).total(function, tiled=tiled),
            (self.X, self.omega),
        )

    def objective(
        self, made: Callable[["Tiles", Array], AbstractObjective], ridge: Float[Array, " m"]
    ) -> AbstractObjective:
        """Return the sum of the segments', each of weights that sum to one, and the ridge's."""
        weights = jnp.sum(self.omega, axis=(1, 2))

        def of_segment(segment: tuple[Array, Array]) -> AbstractObjective:
            return PaddedSample(*segment).objective(made, jnp.zeros_like(ridge))

        omega = self.omega / jnp.where(weights > 0, weights, 1.0)[:, None, None]
        return SumOfSegments.of(of_segment, (self.X, omega), weights, ridge)

    def in_bits(self, dtype: type[np.floating]) -> "SharedSample":
        """Return the same with rows in other floating-point numbers; weights as they are."""
        return SharedSample(jnp.asarray(self.X, dtype), self.omega)

    def like(self, X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"]) -> "SharedSample":
        """Return other rows, no more of them, in arrays of the same form."""
        mesh = mesh_shared_over(self.X)
        if mesh is None:
            raise TypeError("Expected rows on devices; got an array that is on none.")
        return _shared(X, weights, self.X.shape, self.X.dtype, mesh.size)


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


def _chunks(N: int, chunk_rows: int, least: int) -> tuple[int, int]:
    """Return how many chunks rows make, and how many rows each of them has."""
    C = -(-N // chunk_rows)
    B = padded_length(max(-(-N // C), least))
    return C, min(B, chunk_rows) if C > 1 else B


def _padded(
    X: Float[np.ndarray, "N n"],
    omega: Float[np.ndarray, " N"],
    length: int,
    filler: Float[np.ndarray, " n"],
) -> tuple[Float[np.ndarray, "M n"], Float[np.ndarray, " M"]]:
    """Return so many rows, those beyond X of weight zero."""
    # Padding repeats a row: at a point far from all data the features may have no curvature.
    rows, weights = np.tile(filler, (length, 1)), np.zeros(length)
    rows[: len(X)], weights[: len(X)] = X, omega
    return rows, weights


def _shared(
    X: Float[np.ndarray, "N n"],
    weights: Float[np.ndarray, " N"],
    shape: tuple[int, ...],
    dtype: Any,
    n_devices: int,
) -> SharedSample:
    """Return rows dealt to segments, of which each device gets its own only."""
    S, length = shape[0], shape[1] * shape[2]
    ends, omega = [len(X) * k // S for k in range(S + 1)], weights / np.sum(weights)

    def padded(k: int) -> tuple[np.ndarray, np.ndarray]:
        own = slice(ends[k], ends[k + 1])
        return _padded(X[own], omega[own], length, X[0])

    def rows(segments: range) -> np.ndarray:
        return np.stack([padded(k)[0] for k in segments]).reshape(-1, *shape[1:]).astype(dtype)

    def row_weights(segments: range) -> np.ndarray:
        return np.stack([padded(k)[1] for k in segments]).reshape(-1, *shape[1:-1])

    return SharedSample(share(shape, rows, n_devices), share(shape[:-1], row_weights, n_devices))
