r"""Convex basis functions that do not decrease in some of their inputs.

An input convex network is non-decreasing in x_k where all its weights from x_k are non-negative,
for its activations and L >= 0 are so ([1]_, section 3): K_{.k} >= 0 in every layer is a bound, as
L >= 0 is. Quadratics leave x_k out, and its own weight among the affine functions is >= 0.

References
----------
.. [1] B. Amos, L. Xu, J. Z. Kolter, "Input Convex Neural Networks", 2016, arXiv 1609.07152.
"""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array
from brenier.networks.basis import AbstractBasis
from brenier.potential.features import AbstractTrained
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.nonnegativity import AbstractNonnegativity


class MonotoneNetwork(AbstractTrained):
    """An input convex network that is non-decreasing in some inputs.

    Attributes
    ----------
    convex : InputConvexNetwork
        With K >= 0 in the columns of these inputs.
    increasing : tuple of n bool
        Which inputs these are.
    """

    convex: InputConvexNetwork
    increasing: tuple[bool, ...] = eqx.field(static=True)

    @property
    def n(self) -> int:
        """Number of inputs."""
        return self.convex.n

    @property
    def width(self) -> int:
        """Number of outputs."""
        return self.convex.width

    @property
    def nonnegative_by(self) -> AbstractNonnegativity:
        """What keeps L >= 0."""
        return self.convex.nonnegative_by

    def lower_bounds(self) -> "MonotoneNetwork":
        """Return those of the convex network, and zero for K in the increasing inputs' columns."""
        least = np.where(self.increasing, 0.0, -np.inf)
        lower = self.convex.lower_bounds()
        K = tuple(np.broadcast_to(least, K.shape).copy() for K in lower.K)
        return MonotoneNetwork(eqx.tree_at(lambda convex: convex.K, lower, K), self.increasing)

    def decayed(self) -> Sequence[Float[Array, "..."]]:
        """Return K and L."""
        return self.convex.decayed()

    def value(self, X: Float[Array, "N n"]) -> Float[Array, "N width"]:
        """Return u_{l-1}."""
        return self.convex.value(X)


class ConvexBasis(AbstractBasis):
    """A network's outputs and quadratics, with weights w >= 0, and the affine functions.

    Outputs are convex in x, and non-decreasing in the network's increasing inputs.

    Attributes
    ----------
    network : MonotoneNetwork
        u_{l-1}.
    axes : (r, n)
        r_k of the quadratics 1/2 (r_k . x)^2, zero in the increasing inputs.
    """

    network: MonotoneNetwork
    axes: Float[Array, "r n"]

    @property
    def n(self) -> int:
        """Number of inputs."""
        return self.network.n

    @property
    def n_functions(self) -> int:
        """The network's width, the quadratics, the inputs and one."""
        return self.network.width + self.axes.shape[0] + self.n + 1

    @property
    def lower(self) -> Float[np.ndarray, " m"]:
        """Zero for what is curved and for increasing inputs, none for other inputs and one."""
        curved = np.zeros(self.network.width + self.axes.shape[0])
        return np.concatenate([curved, np.where(self.network.increasing, 0.0, -np.inf), [-np.inf]])

    def values(self, X: Float[Array, "N n"]) -> Float[Array, "N m"]:
        """Return u_{l-1}, the quadratics, x and 1."""
        quadratics = 0.5 * (X @ self.axes.T) ** 2
        affine = [X, jnp.ones_like(X[:, :1])]
        return jnp.concatenate([self.network.value(X), quadratics, *affine], axis=1)
