"""Arrays as the package passes them, what features hand to the convex problem, sums over chunks.

JAX arrays inside compiled code, NumPy arrays between calls.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree

Array = jax.Array | np.ndarray
LOG_2_PI = 1.8378770664093453


def library_of(X: Array) -> Any:
    """Return what computes with X: NumPy, which waits for no program, or JAX within one."""
    return jnp if isinstance(X, jax.Array) else np


class FeatureDerivatives(eqx.Module):
    """What J needs of the features at N points, samples last.

    Attributes
    ----------
    gradients : (m, n, N)
        G: gradients of all features.
    hessians : (k, P, N)
        H: packed Hessians of the first k features.
    axes, shares : (r, n), (r, N)
        The next r features have Hessians of rank one, share r r^T along a fixed axis r; those of
        the others are zero.
    """

    gradients: Float[Array, "m n N"]
    hessians: Float[Array, "k P N"]
    axes: Float[Array, "r n"]
    shares: Float[Array, "r N"]


def at_precision(tree: PyTree, dtype: Any) -> PyTree:
    """Return the same arrays, those of floating-point numbers in so many bits."""

    def cast(leaf: Any) -> Array:
        array = jnp.asarray(leaf)
        return array.astype(dtype) if jnp.issubdtype(array.dtype, jnp.floating) else array

    return jax.tree.map(cast, tree)


def sum_over_chunks(function: Callable[[Any], PyTree], chunks: PyTree) -> PyTree:
    """Return the sum of `function` over the leading axis of every leaf of `chunks`."""
    first = jax.tree.map(lambda leaf: leaf[0], chunks)
    if jax.tree.leaves(chunks)[0].shape[0] == 1:
        return function(first)
    zero = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, first)
    )

    def step(total, chunk):
        return jax.tree.map(jnp.add, total, function(chunk)), None

    return jax.lax.scan(step, zero, chunks)[0]


def scan_alike(
    function: Callable[[Any, Any], tuple[Any, Any]], first: PyTree, each: Sequence[PyTree]
) -> tuple[PyTree, list[PyTree]]:
    """Return what a function makes of a state, one thing after the other, and all else it returns.

    Where the things are of one structure and the same shapes it is compiled once, in a loop.
    """
    kinds = {
        (jax.tree.structure(one), *(np.shape(leaf) for leaf in jax.tree.leaves(one)))
        for one in each
    }
    if len(each) < 2 or len(kinds) > 1:
        returned = []
        for one in each:
            first, more = function(first, one)
            returned.append(more)
        return first, returned
    last, stacked = jax.lax.scan(
        function, first, jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
    )
    return last, [jax.tree.map(lambda leaf, k=k: leaf[k], stacked) for k in range(len(each))]


def padded_length(N: int) -> int:
    """Return the least standard length >= N: 2^k (1 + i / 4), from 64 on."""
    step = 1 << max(4, int(N - 1).bit_length() - 3)
    return max(64, -(-N // step) * step)


def standardise(
    Y: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weighted means, standard deviations, and the standardised rows."""
    omega = weights / np.sum(weights)
    # Dividing by the largest entry first keeps squares of very large and small units in range.
    largest = np.maximum(np.max(np.abs(Y), axis=0), np.finfo(float).tiny)
    unit = Y / largest
    mean = omega @ unit
    centred = unit - mean
    deviation = np.sqrt(omega @ centred**2)
    safe = np.where(deviation > 0, deviation, 1.0)
    return mean * largest, deviation * largest, centred / safe


def log_sums(
    terms: Float[np.ndarray, "N G"],
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, "N G"]]:
    """Return log sum_g exp(terms) of every row, and each term's share of that sum.

    SciPy's takes several times as long of few rows, and the shares are exponentials once more.

    Parameters
    ----------
    terms : (N, G)
        In every row some are finite.
    """
    highest = terms.max(axis=1, keepdims=True)
    shares = np.exp(terms - highest)
    total = shares.sum(axis=1, keepdims=True)
    shares /= total
    return (highest + np.log(total))[:, 0], shares
