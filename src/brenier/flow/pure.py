"""What every density of rows is in JAX: log p and draws as pure functions of arrays.

They go through `jax.jit`, `jax.vmap` and `jax.grad`, without callbacks, in rows of any leading
shape: (n,), (N, n), (chains, N, n). Precision is JAX's: enter `jax.enable_x64(True)` for float64;
in float32 log p has about six digits. Derivatives are of reverse mode (`jax.grad`, `jax.vjp`,
`jax.jacrev`, of a Hessian `jax.jacrev(jax.grad(f))`), which samplers use; forward mode is not
there.
"""

from abc import abstractmethod
from collections.abc import Callable
from math import prod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from brenier.arrays import LOG_2_PI, Array


class AbstractPure(eqx.Module):
    """A density of rows of n columns."""

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of columns, a context's not counted."""

    @property
    def n_context(self) -> int:
        """Number of columns of the context, which follow in a row; none of most densities."""
        return 0

    @property
    @abstractmethod
    def limits(self) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Least and largest values of the columns, in data units; infinite where there is none."""

    @abstractmethod
    def log_density(self, X: Float[Array, "*N d"]) -> Float[Array, "*N"]:
        """Return log p(x) in nats; minus infinity outside the bounds and where p underflows."""

    @abstractmethod
    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "*shape n"]:
        """Return rows drawn from the density; NaN where a normal point has no preimage.

        Parameters
        ----------
        key : PRNG key
            As of `jax.random.key`.
        shape : tuple of int
            Leading shape of the rows.
        """

    @abstractmethod
    def inverse(self, Z: Float[Array, "*N d"]) -> tuple[Float[Array, "*N n"], Any]:
        """Return the rows whose images are Z, and how well each was solved for.

        Raises
        ------
        TypeError
            If the density has no single map, as a mixture has not.
        """

    def pulled_back(
        self, log_density: Callable[[Float[Array, " n"]], Float[Array, ""]]
    ) -> Callable[[Float[Array, " n"]], Float[Array, ""]]:
        r"""Return a log-density of x as one of z = T(x): the map as a sampler's coordinates.

        log q(z) = log p(x) - log |det dT/dx|, x = T^{-1}(z). Where this density is p it is a
        standard normal, whatever p's shape; a sampler in z then takes steps of one size everywhere.
        Rows of its draws go back by `inverse`.

        Parameters
        ----------
        log_density : callable
            Of one row (n,), up to a constant.
        """

        def of_image(z: Float[Array, " n"]) -> Float[Array, ""]:
            X, _ = self.inverse(z)
            normal = -0.5 * jnp.sum(z * z) - 0.5 * self.n * LOG_2_PI
            return log_density(X) - self.log_density(X) + normal

        return of_image

    def __hash__(self) -> int:
        """Return a hash by form: `jax.jit` of a method needs one, and arrays have none."""
        leaves, structure = jax.tree.flatten(self)
        return hash((structure, *((np.shape(leaf), str(leaf.dtype)) for leaf in leaves)))


def rows_of(X: Float[Array, "*N d"], density: AbstractPure) -> Float[Array, "_ d"]:
    """Return rows of any leading shape one below the other.

    Raises
    ------
    ValueError
        If their columns are not as many as the density's, with its context's.
    """
    n, q = density.n, density.n_context
    if X.ndim == 0 or X.shape[-1] != n + q:
        context = f", then {q} of the context," if q else ""
        raise ValueError(
            f"Expected rows of {n} columns{context} as ({n + q},) or (N, {n + q}); got the shape "
            f"{X.shape}."
        )
    return X.reshape(prod(X.shape[:-1]), X.shape[-1])
