r"""Small networks of tanh units, dense or residual.

    u_1 = tanh(K_1 x + b_1),
    u_i = tanh(K_i u_{i-1} + b_i)                    (dense),
    u_i = u_{i-1} + h tanh(K_i u_{i-1} + b_i)        (residual, h = 1 / (l - 1)),    i = 2, ..., l.

The residual ones are the steps of an ordinary differential equation over unit time ([1]_, 4.1).

References
----------
.. [1] E. Newman, L. Ruthotto, J. Hart, B. van Bloemen Waanders, "Train Like a (Var)Pro: Efficient
       Training of Neural Networks with Variable Projection", 2021, arXiv 2007.13171.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array, library_of
from brenier.potential.features import AbstractTrained
from brenier.potential.nonnegativity import AbstractNonnegativity, Bounded


class TanhNetwork(AbstractTrained):
    """u_l: as many functions of x as the last layer is wide.

    Parameters
    ----------
    K : tuple of (width_i, width_{i-1})
        Weights into each layer, the first from the n inputs.
    b : tuple of (width_i,)
        Biases.
    residual : bool
        Whether layers after the first, which are as wide, are added to the one before.
    """

    K: tuple[Float[Array, "_ _"], ...]
    b: tuple[Float[Array, " _"], ...]
    residual: bool = eqx.field(static=True, default=False)

    @property
    def n(self) -> int:
        """Number of inputs."""
        return self.K[0].shape[1]

    @property
    def width(self) -> int:
        """Number of outputs."""
        return self.K[-1].shape[0]

    @property
    def nonnegative_by(self) -> AbstractNonnegativity:
        """Bounds; none of its own weights has any."""
        return Bounded()

    def lower_bounds(self) -> "TanhNetwork":
        """Return minus infinity."""
        return jax.tree.map(lambda array: np.full(np.shape(array), -np.inf), self)

    def decayed(self) -> Sequence[Float[Array, "..."]]:
        """Return K."""
        return self.K

    def value(self, X: Float[Array, "N n"]) -> Float[Array, "N width"]:
        """Return u_l."""
        first = X @ self.K[0].T + self.b[0]
        tanh = library_of(first).tanh
        u = tanh(first)
        for K, b in zip(self.K[1:], self.b[1:], strict=True):
            added = tanh(u @ K.T + b)
            u = u + added / (len(self.K) - 1) if self.residual else added
        return u


def initial_tanh_network(
    n: int,
    widths: Sequence[int],
    rng: np.random.Generator,
    *,
    residual: bool = False,
    scale: float = 1.0,
    n_used: int | None = None,
) -> TanhNetwork:
    """Return random weights; at scale one every pre-activation has a variance of about one.

    Parameters
    ----------
    n : int
        Number of inputs, standardised.
    widths : sequence of int
        Of the layers; all the same where they are residual.
    rng : Generator
        Where the weights come from.
    residual : bool
        As in `TanhNetwork`.
    scale : float
        Of all weights and biases.
    n_used : int, optional
        Inputs that are not always zero, the first ones; None: all.
    """
    n_used = n if n_used is None else n_used
    before = [n_used, *widths[:-1]]
    K = [rng.normal(size=(w, k)) / np.sqrt(k) for w, k in zip(widths, before, strict=True)]
    b = [rng.uniform(-1.0, 1.0, size=w) for w in widths]
    K[0] = np.pad(K[0], ((0, 0), (0, n - n_used)))
    return TanhNetwork(tuple(scale * K for K in K), tuple(scale * b for b in b), residual)
