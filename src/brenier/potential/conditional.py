r"""The conditional head: features of (y, c), convex in y for every context c, linear in w.

    f_mu(y; c) = [ u(y; c) g(h) / c(h),
                   1/2 (r_k . y^)^2,   1/2 (r_k . y^)^2 q_kr(h),
                   y_k,   y_k e_j ],          y^ = y - T e - t,   e = [c, h],

with u, h, T, t those of `brenier.potential.picnn`, c(h) the slope bounds of u at this context, and
g, q_kr = sigmoid(affine in h), between 0 and 1. The weights of the first two rows are bounded
below: by 0, but by w_min > 0 for the quadratics without gate. So Phi is strongly convex in y at
every context, with one constant for all. The last row is free, and the conditional Gaussian whose
mean is linear in c is in the model whatever mu is.

As in the separable head, the gates and the slope bounds make w_i the most that a feature can add.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array, FeatureDerivatives
from brenier.inner.objective import AbstractObjective, DenseObjective, probes
from brenier.linalg import outer_products
from brenier.potential.features import AbstractFeatures, AbstractTrained
from brenier.potential.hessians import AbstractHessians, PackedHessians
from brenier.potential.nonnegativity import AbstractNonnegativity, Bounded
from brenier.potential.picnn import Affine, PartiallyConvexNetwork, View


class GatedNetwork(AbstractTrained):
    """All that is trained, mu: the network, and the gates of the head.

    Parameters
    ----------
    units : PartiallyConvexNetwork
        u, and what it sees of the rows.
    unit_gates : Affine
        From h to a gate for every output of `units`.
    quadratic_gates : Affine
        From h to the gates of the quadratics: those of the first axis, of the second, ...
    """

    units: PartiallyConvexNetwork
    unit_gates: Affine
    quadratic_gates: Affine

    @property
    def nonnegative_by(self) -> AbstractNonnegativity:
        """Bounds."""
        return Bounded()

    def lower_bounds(self) -> "GatedNetwork":
        """Return minus infinity, but zero for L."""
        free = jax.tree.map(lambda array: np.full(np.shape(array), -np.inf), self)
        hidden = tuple(np.zeros(np.shape(L)) for L in self.units.L)
        return eqx.tree_at(lambda network: network.units.L, free, hidden) if hidden else free

    def decayed(self) -> Sequence[Float[Array, "..."]]:
        """Return all matrices but the shift's, whose part the free weights can take."""
        units = self.units
        affine = (*units.context, *units.bias, *units.gate, self.unit_gates, self.quadratic_gates)
        return [units.S, *units.K, *units.L, *(map_.W for map_ in affine)]


class ConditionalFeatures(AbstractFeatures):
    """f_mu of targets and context.

    Parameters
    ----------
    network : GatedNetwork
        mu lives here.
    axes : (n, n)
        Directions r_k of the quadratics, orthonormal rows.
    """

    network: GatedNetwork
    axes: Float[Array, "n n"]

    @property
    def n(self) -> int:
        """Number of targets."""
        return self.network.units.n

    @property
    def width(self) -> int:
        """Number of network features."""
        return self.network.units.width

    @property
    def n_gated(self) -> int:
        """Number of gated quadratics."""
        return self.network.quadratic_gates.b.shape[0]

    @property
    def n_constrained(self) -> int:
        """m_plus: network features, then quadratics without and with gates."""
        return self.width + self.n + self.n_gated

    @property
    def n_hessians(self) -> int:
        """The network features."""
        return self.width

    @property
    def n_features(self) -> int:
        """m: these, then n free features for 1 and for every e_j."""
        return self.n_constrained + self.n * (1 + self.network.units.n_context)

    def value(self, X: Float[Array, "N d"]) -> Float[Array, "N m"]:
        """Return f_mu of every row."""
        view, share, gates = self._seen(X)
        network = share * self.network.units.value(view)
        along = self._axes() @ view.residual
        y, e = X[:, : self.n].T, _with_one(view.e)
        free = (e[:, None] * y).reshape(-1, len(X))
        return jnp.concatenate([network, 0.5 * gates * along**2, free]).T

    def derivatives(self, X: Float[Array, "N d"]) -> FeatureDerivatives:
        """Return the gradients and Hessians of all features in the targets."""
        N, n = X.shape[0], self.n
        view, share, gates = self._seen(X)
        jet = self.network.units.jet(view)
        axes = self._axes()
        along = (gates * (axes @ view.residual))[:, None] * axes[:, :, None]
        e, eye = _with_one(view.e), jnp.eye(n, dtype=X.dtype)
        free = (e[:, None, None] * eye[None, :, :, None]).reshape(-1, n, N)
        return FeatureDerivatives(
            gradients=jnp.concatenate([share[:, None] * jet.gradient, along, free]),
            hessians=share[:, None] * jet.hessian,
            axes=axes,
            shares=gates,
        )

    def objective(
        self,
        X: Float[Array, "C T B d"],
        omega: Float[Array, "C T B"],
        ridge: Float[Array, " m"],
        *,
        exact: bool = False,
    ) -> AbstractObjective:
        """Return J(mu, .) as a function of w, from the derivatives of all features."""
        return DenseObjective.of(
            self.derivatives, X, omega, ridge, probes(self.n, omega, exact=exact)
        )

    def jet(
        self, w: Float[Array, " m"], X: Float[Array, "N d"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Float[Array, "P N"]]:
        """Return value, gradient and packed Hessian of w . f_mu, by the network's scalar form."""
        network, quadratic, free = self.split(w)
        view, share, gates = self._seen(X)
        value, z, A = self.network.units.weighted(share * network[:, None], view)
        axes, weights = self._axes(), gates * quadratic[:, None]
        along, shift = axes @ view.residual, free.reshape(-1, self.n).T @ _with_one(view.e)
        value = value + jnp.sum(0.5 * weights * along**2, axis=0)
        value = value + jnp.sum(shift * X[:, : self.n].T, axis=0)
        z = z + axes.T @ (weights * along) + shift
        return value, z, A + outer_products(axes[:, :, None])[..., 0].T @ weights

    def expansion(
        self, w: Float[Array, " m"], X: Float[Array, "N d"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], AbstractHessians]:
        """Return value, gradient and Hessians of w . f_mu."""
        value, z, A = self.jet(w, X)
        return value, z, PackedHessians(A)

    def strong_convexity(self, w: Float[Array, " m"]) -> Float[Array, ""]:
        """Return the least weight of a quadratic without gate."""
        return jnp.min(w[self.width : self.width + self.n])

    def split(self, w: Float[Array, " m"]) -> tuple[Array, Array, Array]:
        """Return the weights of network features, of quadratics, and of free features."""
        d, m_plus = self.width, self.n_constrained
        return w[:d], w[d:m_plus], w[m_plus:]

    def _axes(self) -> Float[Array, "_ n"]:
        """Return the axis of every quadratic: those without gates, then those with."""
        axes = jnp.asarray(self.axes)
        return jnp.concatenate([axes, jnp.repeat(axes, self.n_gated // self.n, axis=0)])

    def _seen(self, X: Array) -> tuple[View, Float[Array, "width N"], Float[Array, "_ N"]]:
        """Return the rows' view, g(h) / c(h), and the gates of all quadratics."""
        network = self.network
        view = network.units.view(X)
        share = jax.nn.sigmoid(network.unit_gates(view.h)) / network.units.slope_bound(view)
        gates = jax.nn.sigmoid(network.quadratic_gates(view.h))
        ones = jnp.ones((self.n, X.shape[0]), X.dtype)
        return view, share, jnp.concatenate([ones, gates])


def _with_one(e: Float[Array, "k N"]) -> Float[Array, "k1 N"]:
    return jnp.concatenate([jnp.ones((1, e.shape[1]), e.dtype), e])
