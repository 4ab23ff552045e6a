"""Sums over chunks of samples, one chunk in memory at a time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree


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
