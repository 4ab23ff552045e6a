"""mu as one vector: what the optimiser sees of the features."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array
from brenier.potential.features import AbstractTrained


def to_vector(network: AbstractTrained) -> Float[np.ndarray, " p"]:
    """Return all trained arrays, one after the other."""
    leaves = jax.tree.leaves(network)
    return np.concatenate([np.asarray(leaf, dtype=float).ravel() for leaf in leaves])


def from_vector(template: AbstractTrained, theta: Float[Array, " p"]) -> AbstractTrained:
    """Return what has the template's shapes and whose trained arrays are `theta`."""
    leaves, structure = jax.tree.flatten(template)
    ends = np.cumsum([leaf.size for leaf in leaves])
    parts = [
        theta[end - leaf.size : end].reshape(leaf.shape)
        for leaf, end in zip(leaves, ends, strict=True)
    ]
    return jax.tree.unflatten(structure, parts)


def lower_bounds(network: AbstractTrained) -> Float[np.ndarray, " p"]:
    """Return the least value of every entry of the vector."""
    return to_vector(network.lower_bounds())


def decayed_weights(network: AbstractTrained) -> Float[Array, " d"]:
    """Return what weight decay acts on as one vector."""
    return jnp.concatenate([jnp.ravel(array) for array in network.decayed()])
