r"""The separable head: features f_mu = [u_{l-1}, quadratics, x] and the potential Phi = w . f_mu.

    f_mu(x) = [ u_{l-1}(x) / c,  1/2 (r_1 . x)^2, ..., 1/2 (r_q . x)^2,  x_1, ..., x_n ],

    Phi(x) = w . f_mu(x),   z = grad Phi(x) = G w,   A = hess Phi(x) = sum_i w_i H_i.

The weights of the network features and of the quadratics have lower bounds (0, and w_min > 0),
those of x are free, so Phi is convex for every admissible w and, with quadratics along a basis r,
strongly convex: Hessian >= min over the quadratic weights. The map grad Phi is then onto R^n and
every Gaussian is in the model. Without quadratics (the thesis's form, 2.2) the image is a polytope.

c_i is the global slope bound of u_{l-1,i}, so that w_i is the most that feature i can add to z, in
standard deviations, whatever mu is. Without this normalisation (the thesis's form, c = 1) the scale
of a feature and its weight are not identified, and -tau sum log w pays for shrinking a feature
while its weight grows: kinks just outside the data with enormous weights, invisible in training,
ruinous for the first row beyond it.
"""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from brenier.arrays import Array, FeatureDerivatives
from brenier.inner.objective import AbstractObjective, DenseObjective, probes
from brenier.linalg import outer_products
from brenier.potential.features import AbstractFeatures
from brenier.potential.hessians import (
    AbstractHessians,
    Coordinates,
    LowRankHessians,
    PackedHessians,
)
from brenier.potential.units import AbstractUnits
from brenier.potential.wide import WideObjective

# Columns from which Hessians are a diagonal and few terms more, not held entry by entry.
WIDE = 20
# A part of the units' directions that is rounding.
NEGLIGIBLE = 1e-12


class SeparableFeatures(AbstractFeatures):
    """f_mu: convex network features, quadratics along fixed axes, and x itself.

    Parameters
    ----------
    network : AbstractUnits
        A network, with radial units beside it or without; mu lives here.
    axes : (q, n)
        Directions r_k of the quadratics, orthonormal rows; q = n, or 0 for the thesis's form.
    normalised : bool
        Whether network features are divided by their slope bounds.
    n_curved : int or None
        The units are functions of x along the first so many axes; None: along all, or not known.
    """

    network: AbstractUnits
    axes: Float[Array, "q n"]
    normalised: bool = eqx.field(static=True, default=True)
    n_curved: int | None = eqx.field(static=True, default=None)

    def with_n_curved(self) -> "SeparableFeatures":
        """Return the same with `n_curved` found from the arrays, which must be at hand."""
        if not self.is_wide:
            return self
        directions, axes = np.asarray(self.network.directions()), np.asarray(self.axes)
        curved = np.flatnonzero(curved_axes(directions, axes))
        k = int(curved[-1]) + 1 if len(curved) else 0
        return replace(self, n_curved=k if 0 < k < len(self.axes) else None)

    @property
    def n(self) -> int:
        """Number of inputs."""
        return self.network.n

    @property
    def n_constrained(self) -> int:
        """m_plus: the features whose weights have lower bounds, network and quadratics."""
        return self.network.width + self.axes.shape[0]

    @property
    def n_hessians(self) -> int:
        """The network features, or none of many columns."""
        return 0 if self.is_wide else self.network.width

    @property
    def n_features(self) -> int:
        """m: all features, the n free linear ones included."""
        return self.n_constrained + self.n

    @property
    def is_wide(self) -> bool:
        """Whether Hessians are of the form that is quickest for many columns."""
        return self.axes.shape[0] >= WIDE

    @property
    def row_bits(self) -> type[np.floating]:
        """32 bits of many columns: products of matrices are most of the work there."""
        return np.float32 if self.is_wide else np.float64

    def network_scale(self) -> Float[Array, " width"]:
        """Return 1 / c, or ones where features are not normalised."""
        if not self.normalised:
            return jnp.ones(self.network.width)
        return 1.0 / self.network.slope_bound()

    def value(self, X: Float[Array, "N n"]) -> Float[Array, "N m"]:
        """Return f_mu(x_j)."""
        network = self.network_scale() * self.network.value(X)
        quadratics = 0.5 * (X @ self.axes.T) ** 2
        return jnp.concatenate([network, quadratics, X], axis=1)

    def derivatives(self, X: Float[Array, "N n"]) -> FeatureDerivatives:
        """Return the gradients and Hessians of all features."""
        N, n = X.shape
        jet = self.network.jet(X)
        scale = self.network_scale()[:, None, None]
        axes = jnp.asarray(self.axes)
        along = (axes @ X.T)[:, None] * axes[:, :, None]
        free = jnp.broadcast_to(jnp.eye(n, dtype=X.dtype)[:, :, None], (n, n, N))
        return FeatureDerivatives(
            gradients=jnp.concatenate([scale * jet.gradient, along, free]),
            hessians=scale * jet.hessian,
            axes=axes,
            shares=jnp.ones((len(axes), N), X.dtype),
        )

    def objective(
        self,
        X: Float[Array, "C T B n"],
        omega: Float[Array, "C T B"],
        ridge: Float[Array, " m"],
        *,
        exact: bool = False,
    ) -> AbstractObjective:
        """Return J(mu, .) as a function of w."""
        if not self.is_wide:
            estimate = probes(self.n, omega, exact=exact)
            return DenseObjective.of(self.derivatives, X, omega, ridge, estimate)
        rows = X.reshape(-1, *X.shape[2:]), omega.reshape(-1, omega.shape[-1])
        scale, R = self.network_scale(), jnp.asarray(self.axes)
        return WideObjective.of(self.network, scale, R, *rows, ridge, exact=exact)

    def split(self, w: Float[Array, " m"]) -> tuple[Array, Array, Array]:
        """Return the weights of network features, quadratics and x."""
        d, m_plus = self.network.width, self.n_constrained
        return w[:d], w[d:m_plus], w[m_plus:]

    def strong_convexity(self, w: Float[Array, " m"]) -> Float[Array, ""]:
        """Return the least quadratic weight, or 0 without quadratics."""
        quadratic = self.split(w)[1]
        return jnp.min(quadratic) if quadratic.size else jnp.zeros((), w.dtype)

    def jet(
        self, w: Float[Array, " m"], X: Float[Array, "N n"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Float[Array, "P N"]]:
        """Return value, gradient and packed Hessian of w . f_mu, by the network's scalar form."""
        network, quadratic, free = self.split(w)
        value, z, A = self.network.weighted(self.network_scale() * network, X)
        axes = jnp.asarray(self.axes)
        along = axes @ X.T
        value = value + 0.5 * quadratic @ along**2 + free @ X.T
        z = z + axes.T @ (quadratic[:, None] * along) + free[:, None]
        of_axes = outer_products(axes[:, :, None])[..., 0]
        return value, z, A + (quadratic @ of_axes)[:, None]

    def expansion(
        self, w: Float[Array, " m"], X: Float[Array, "N n"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], AbstractHessians]:
        """Return value, gradient and Hessians of w . f_mu, these in the form quickest to solve."""
        if not self.is_wide:
            value, z, A = self.jet(w, X)
            return value, z, PackedHessians(A)
        network, quadratic, free = self.split(w)
        R, units = jnp.asarray(self.axes), self.network
        coordinates = Coordinates.of(quadratic, R, units.directions(), self.n_curved)
        value, z, curvature = units.expansion(
            self.network_scale() * network, X, coordinates.basis()
        )
        along = R @ X.T
        value = value + 0.5 * quadratic @ along**2 + free @ X.T
        z = z + R.T @ (quadratic[:, None] * along) + free[:, None]
        return value, z, LowRankHessians(coordinates, curvature)


def curved_axes(
    directions: Float[np.ndarray, "U n"], axes: Float[np.ndarray, "n n"]
) -> Bool[np.ndarray, " n"]:
    """Return along which axes units of such directions are functions of x, but for rounding."""
    along = np.linalg.norm(directions @ axes.T, axis=0)
    return along > NEGLIGIBLE * np.max(along, initial=0.0)
