r"""Radial (multiquadric) units: convex, with a smooth kink at a point, not in a plane.

    u_i(x) = sqrt(1 + |q_i|^2),    q_i = B_i x + e_i,

    grad u_i = g_i = B_i^T q_i / u_i,    hess u_i = (B_i^T B_i - g_i g_i^T) / u_i.

A sum of such units with one centre and several widths is any radial profile, so scale mixtures and
t-like tails are close at hand in any dimension, where planes would have to be summed over all
directions. Seen from its side a unit is the perspective of a square, sqrt(t^2 + |y|^2) - t near
|y|^2 / 2 t, whose gradient y / t is what a funnel needs. B_i of full rank, not diagonal: the
directions in which the scale does not change are data's, not the coordinates'.

References
----------
.. [1] R. L. Hardy, "Multiquadric Equations of Topography and Other Irregular Surfaces", J. Geophys.
       Res. 76, 1971.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array
from brenier.linalg import outer_products, pairs, weighted_outer_products
from brenier.potential.hessians import Curvature
from brenier.potential.jets import Jet
from brenier.potential.nonnegativity import AbstractNonnegativity, Bounded
from brenier.potential.units import AbstractUnits


class RadialUnits(AbstractUnits):
    """sqrt(1 + |B_i x + e_i|^2), i = 1, ..., width.

    Parameters
    ----------
    B : (width, p, n)
        Slopes; p = n where a unit is curved in all directions.
    e : (width, p)
        Offsets; the centre of unit i is where B_i x = -e_i.
    """

    B: Float[Array, "width p n"]
    e: Float[Array, "width p"]

    @property
    def n(self) -> int:
        """Number of inputs."""
        return self.B.shape[2]

    @property
    def width(self) -> int:
        """Number of units."""
        return self.B.shape[0]

    @property
    def nonnegative_by(self) -> AbstractNonnegativity:
        """Bounds."""
        return Bounded()

    def slope_bound(self) -> Float[Array, " width"]:
        """Return the Frobenius norms of B_i: at least their largest singular values."""
        # The tiny term keeps the derivative finite at a matrix of zeros.
        return jnp.sqrt(jnp.sum(self.B**2, axis=(1, 2)) + 1e-24)

    def value(self, X: Float[Array, "N n"]) -> Float[Array, "N width"]:
        """Return sqrt(1 + |q|^2)."""
        return self._with_gradient(X)[0].T

    def gradients(self, X: Float[Array, "N n"]) -> Float[Array, "width n N"]:
        """Return B^T q / u."""
        return self._with_gradient(X)[1]

    def jet(self, X: Float[Array, "N n"]) -> Jet:
        """Return value, gradient and Hessian of every unit."""
        u, g = self._with_gradient(X)
        return Jet(u, g, (self._gram()[:, :, None] - outer_products(g)) / u[:, None])

    def weighted(
        self, v: Float[Array, " width"], X: Float[Array, "N n"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Float[Array, "P N"]]:
        """Return value, gradient and packed Hessian in x of v . u(x)."""
        u, g = self._with_gradient(X)
        share = v[:, None] / u
        z = (v @ g.reshape(len(v), -1)).reshape(g.shape[1:])
        return v @ u, z, self._gram().T @ share - weighted_outer_products(share, g)

    def directions(self) -> Float[Array, "U n"]:
        """Return the rows of all B_i."""
        return self.B.reshape(-1, self.n)

    def through(self, M: Float[Array, "n r"]) -> "RadialUnits":
        """Return the same functions of y, x = M y."""
        return RadialUnits(self.B @ M, self.e)

    def expansion(
        self, v: Float[Array, " width"], X: Float[Array, "N n"], T: Float[Array, "n r"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Curvature]:
        """Return value and gradient of v . u(x), and its curvature along the columns of T."""
        width, p, n = self.B.shape
        flat, BT = self.B.reshape(width * p, n), self.B @ T
        # Rows first, then units: products are of long matrices, and a row's numbers stand together.
        q = (X @ flat.T).reshape(-1, width, p) + self.e
        u = jnp.sqrt(1.0 + jnp.sum(q * q, axis=-1))
        share = v / u
        z = ((share[:, :, None] * q).reshape(-1, width * p) @ flat).T
        g = jnp.einsum("jka,kar->kjr", q, BT) / u.T[:, :, None]
        curvature = Curvature(
            c=-share.T,
            F=g,
            b=jnp.zeros((0, len(X)), X.dtype),
            D=jnp.zeros((0, T.shape[1]), X.dtype),
            a=share.T,
            S=jnp.swapaxes(BT, 1, 2) @ BT,
        )
        return u @ v, z, curvature

    def lower_bounds(self) -> "RadialUnits":
        """Return minus infinity everywhere."""
        return jax.tree.map(lambda array: np.full(np.shape(array), -np.inf), self)

    def decayed(self) -> Sequence[Float[Array, "..."]]:
        """Return B / sqrt(n), whose square is that of a unit's mean slope over all directions."""
        return [self.B / np.sqrt(self.n)]

    def _with_gradient(self, X: Array) -> tuple[Float[Array, "width N"], Float[Array, "width n N"]]:
        width, p, n = self.B.shape
        q = (self.B.reshape(-1, n) @ X.T).reshape(width, p, -1) + self.e[:, :, None]
        u = jnp.sqrt(1.0 + jnp.sum(q * q, axis=1))
        return u, jnp.einsum("kra,krj->kaj", self.B, q) / u[:, None]

    def _gram(self) -> Float[Array, "width P"]:
        """Return packed B_i^T B_i."""
        rows, cols = pairs(self.n)
        return jnp.einsum("kra,krb->kab", self.B, self.B)[:, rows, cols]
