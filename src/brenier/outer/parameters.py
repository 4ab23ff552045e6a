"""mu as one vector: what the optimiser sees of a network."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array
from brenier.potential.icnn import InputConvexNetwork


def to_vector(network: InputConvexNetwork) -> Float[np.ndarray, " p"]:
    """Return all trained arrays, one after the other: K, then b, then L."""
    leaves = jax.tree.leaves(network)
    return np.concatenate([np.asarray(leaf, dtype=float).ravel() for leaf in leaves])


def from_vector(template: InputConvexNetwork, theta: Float[Array, " p"]) -> InputConvexNetwork:
    """Return the network of the template's shapes whose trained arrays are `theta`."""
    leaves, structure = jax.tree.flatten(template)
    ends = np.cumsum([leaf.size for leaf in leaves])
    parts = [
        theta[end - leaf.size : end].reshape(leaf.shape)
        for leaf, end in zip(leaves, ends, strict=True)
    ]
    return jax.tree.unflatten(structure, parts)


def lower_bounds(network: InputConvexNetwork) -> Float[np.ndarray, " p"]:
    """Return the least value of every entry of the vector."""
    bound = network.nonnegativity.lower_bound
    free = [np.full(np.size(leaf), -np.inf) for leaf in (*network.K, *network.b)]
    return np.concatenate([*free, *(np.full(np.size(leaf), bound) for leaf in network.L)])


def decayed_weights(network: InputConvexNetwork) -> Float[Array, " d"]:
    """Return all entries of K and L as one vector, what weight decay acts on."""
    leaves = (*network.K, *network.hidden_weights())
    return jnp.concatenate([jnp.ravel(leaf) for leaf in leaves])
