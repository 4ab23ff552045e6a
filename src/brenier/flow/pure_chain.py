r"""A block-triangular density in JAX: log p(x) = sum_k log p_k(x_k | x_1, ..., x_{k-1})."""

from math import prod

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from brenier.arrays import Array
from brenier.flow.flow import ConvexFlow
from brenier.flow.inverse import Inversion
from brenier.flow.pure import AbstractPure, rows_of


class PureChain(AbstractPure):
    """Flows of blocks of columns, each given the blocks before.

    Attributes
    ----------
    first : AbstractPure
        The density of the first block.
    others : tuple of ConvexFlow
        Those of the other blocks, rows (own columns, then all columns of the blocks before).
    places : tuple of int
        Which column of the table comes first in the blocks, second, ...
    """

    first: AbstractPure
    others: tuple[ConvexFlow, ...]
    places: tuple[int, ...] = eqx.field(static=True)

    @property
    def n(self) -> int:
        """Number of columns."""
        return len(self.places)

    @property
    def limits(self) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Least and largest values of the columns, in data units; infinite where there is none."""
        each = [part.limits for part in (self.first, *self.others)]
        back = np.argsort(self.places)
        low, high = (np.concatenate(side)[back] for side in zip(*each, strict=True))
        return low, high

    def log_density(self, X: Float[Array, "*N n"]) -> Float[Array, "*N"]:
        """Return log p(x) in nats; minus infinity outside the bounds."""
        shape, X = X.shape[:-1], rows_of(X, self)
        X, done = jnp.asarray(X)[:, np.array(self.places)], self.first.n
        total = self.first.log_density(X[:, :done])
        for flow in self.others:
            end = done + flow.n
            total += flow.log_density(jnp.concatenate([X[:, done:end], X[:, :done]], axis=1))
            done = end
        return total.reshape(shape)

    def inverse(
        self, Z: Float[Array, "*N n"]
    ) -> tuple[Float[Array, "*N n"], tuple[Inversion, ...]]:
        """Return the rows whose images, block after block, are Z, and how well each was solved for.

        There is a certificate for every block.
        """
        shape, Z = Z.shape[:-1], jnp.asarray(rows_of(Z, self))
        X, first = self.first.inverse(Z[:, : self.first.n])
        found = [first]
        for flow in self.others:
            own = Z[:, X.shape[1] : X.shape[1] + flow.n]
            more, inversion = flow.inverse(jnp.concatenate([own, X], axis=1))
            X = jnp.concatenate([X, more], axis=1)
            found.append(inversion)
        rows = X[:, np.argsort(self.places)].reshape(*shape, self.n)
        return rows, tuple(one.shaped(shape) for one in found)

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "*shape n"]:
        """Return rows drawn from the density; NaN where a normal point has no preimage.

        Parameters
        ----------
        key : PRNG key
            As of `jax.random.key`.
        shape : tuple of int
            Leading shape of the rows.
        """
        keys = jax.random.split(key, 1 + len(self.others))
        X = self.first.sample(keys[0], (prod(shape),))
        for flow, own in zip(self.others, keys[1:], strict=True):
            X = jnp.concatenate([X, flow.sample(own, (len(X),), X)], axis=1)
        return X[:, np.argsort(self.places)].reshape(*shape, self.n)
