"""Fitted flows on NumPy rows: batches of few shapes, float64 within, NumPy out."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from jaxtyping import Float, PyTree

from brenier.arrays import Array
from brenier.flow.flow import ConvexFlow
from brenier.program import n_cores, program

# Rows that one compiled call works on: the same however many there are, for to compile another
# length takes longer than to work on some rows too many. Of very many columns fewer: so many cells.
BATCH, CELLS = 512, 1 << 16


@program
def log_density(flow: ConvexFlow, X: Array) -> Array:
    """Return log p of every row, compiled."""
    return flow.log_density(X)


@program
def transform(flow: ConvexFlow, X: Array) -> Array:
    """Return every row's image, compiled."""
    return flow.transform(X)


@program
def inverse(flow: ConvexFlow, Z: Array) -> PyTree:
    """Return every point's preimage and its certificate, compiled."""
    return flow.inverse(Z)


@program
def map_inversions(flow: ConvexFlow, Z: Array) -> PyTree:
    """Return the inversion of every point by every map of a composition, compiled."""
    return flow.map_inversions(Z)


def in_batches(
    function: Callable[[ConvexFlow, Array], PyTree], flow: ConvexFlow, X: Float[np.ndarray, "N n"]
) -> PyTree:
    """Return `function(flow, X)` as NumPy arrays, evaluated on padded batches, on all cores.

    Rows never see each other, so neither batching nor padding changes a number beyond rounding.
    """
    N = len(X)
    if N == 0:
        return _first_rows(in_batches(function, flow, np.zeros((1, X.shape[1]))), 0)

    length = min(BATCH, 1 << max(1, CELLS // X.shape[1]).bit_length() - 1)

    def of_batch(start: int) -> PyTree:
        batch = X[start : start + length]
        padded = np.zeros((length, X.shape[1]))
        padded[: len(batch)] = batch
        with jax.enable_x64(True):
            return _first_rows(jax.tree.map(np.asarray, function(flow, padded)), len(batch))

    starts = range(0, N, length)
    with ThreadPoolExecutor(min(len(starts), n_cores())) as pool:
        parts = [*pool.map(of_batch, starts)]
    return jax.tree.map(
        lambda *leaves: np.concatenate(leaves) if leaves[0].ndim else np.max(leaves), *parts
    )


def _first_rows(result: PyTree, k: int) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[:k] if leaf.ndim else leaf, result)
