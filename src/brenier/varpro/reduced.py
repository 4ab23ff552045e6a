r"""The reduced objective J_tau(mu): the inner problem solved, its minimiser substituted.

    J_tau(mu) = min_w [ J(mu, w) - tau sum_i log s_i + 1/2 sum_i rho_i w_i^2 ]
                + decay / 2 |D mu|^2,

with D mu the slopes in mu (`AbstractTrained.decayed`): K and L, and a radial unit's B / sqrt(n).

Its gradient is the partial derivative dJ/dmu at the minimiser (envelope theorem): the barrier does
not contain mu, so nothing is differentiated through the inner solver. The thesis's (3.4) has a
second term that it drops by observation; for J_tau the formula is exact. As tau -> 0 it is exact
for J too.

The ridge is there because J_tau alone is unbounded below: a unit whose kink leaves the data makes
its feature as small as it likes, w_i grows without bound, and -tau log w_i falls for ever (seen:
w = 1e49 on moons with tau = 1e-3). With it w_i <= sqrt(tau / rho_i) there. It is on the network's
weights, and on those of features of a context, which may be collinear. Like the barrier it does not
contain mu, so the envelope argument holds.

References
----------
.. [1] Y. Chen, "Efficient Training of Input Convex Neural Networks Using Variable Projection",
       Emory University, 2023, section 3.2, equation (3.4).
.. [2] G. H. Golub, V. Pereyra, "The Differentiation of Pseudo-Inverses and Nonlinear Least Squares
       Problems Whose Variables Separate", SIAM J. Numer. Anal. 10, 1973.
"""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, PyTree

from brenier.arrays import Array, at_precision
from brenier.inner.objective import AbstractObjective
from brenier.inner.solution import AbstractInnerSolver
from brenier.potential.features import AbstractMap, AbstractSeparable, AbstractTrained
from brenier.potential.hessians import AbstractHessians, PackedHessians
from brenier.program import program
from brenier.varpro.problem import AbstractProblem
from brenier.varpro.sample import AbstractSample, PaddedSample, SharedSample, Tiles, chunk_rows

# A ridge that holds a free weight at zero, to twelve digits.
PIN = 1e12


class VariableProjection(AbstractProblem):
    """A density's separable problem: the loss is the negative log-likelihood.

    Parameters
    ----------
    template : AbstractSeparable
        Features whose trained arrays give the shapes of mu; its values do not matter.
    lower : (m,)
        Lower bounds of w, minus infinity where free.
    ridge : (m,)
        rho, zero for the weights that need none.
    solver : AbstractInnerSolver
        Solves for w.
    decay : () or (d,)
        Weight of half the squared slopes, nats: of all of them, or of each.
    n_devices : int, optional
        Devices that rows are shared over. None: all are on the one that JAX takes by itself.
    """

    template: AbstractSeparable
    lower: Float[Array, " m"]
    ridge: Float[Array, " m"]
    solver: AbstractInnerSolver = eqx.field(static=True)
    decay: Float[Array, "*d"]
    n_devices: int | None = eqx.field(static=True, default=None)

    @property
    def network(self) -> AbstractTrained:
        """The template's."""
        return self.template.network

    @property
    def in_tiles(self) -> bool:
        """Loss and gradient go through the rows tile by tile."""
        return True

    @property
    def pinned(self) -> Bool[np.ndarray, " m"]:
        """Which weights are held at zero by their ridge: of features that are there but idle."""
        return np.asarray(self.ridge) >= PIN

    @property
    def chunk_rows(self) -> int:
        """Rows whose features' Hessians are held in memory at a time."""
        return chunk_rows(self.template.n, self.template.n_hessians)

    @property
    def row_bits(self) -> type[np.floating]:
        """Floating-point numbers in which features are computed row by row in a search.

        Where devices share rows they are of 64 bits: in 32 the number of devices would show.
        """
        return self.template.row_bits if self.n_devices is None else np.float64

    def sample(
        self,
        X: Float[np.ndarray, "N n"],
        weights: Float[np.ndarray, " N"],
        *,
        least: int = 1,
    ) -> AbstractSample:
        """Return rows, padded to `least` or more, where the problem has them."""
        if self.n_devices is None:
            return PaddedSample.of(X, weights, self.chunk_rows, least=least)
        return SharedSample.of(X, weights, self.chunk_rows, self.n_devices, least=least)

    def features(self, theta: Float[Array, " p"]) -> AbstractSeparable:
        """Return the features at mu = theta."""
        return self.template.with_network(self.network_at(theta))

    def map(self, theta: Array, w: Array) -> AbstractMap:
        """Return the map at (mu, w)."""
        return self.features(theta).with_weights(w)

    def objective(
        self, theta: Float[Array, " p"], sample: AbstractSample, *, exact: bool = False
    ) -> AbstractObjective:
        """Return J(mu, .), its Hessian exact or an estimate."""
        features = self.features(theta)

        def of_tiles(tiles: Tiles, ridge: Array) -> AbstractObjective:
            return features.objective(tiles.X, tiles.omega, ridge, exact=exact)

        return sample.objective(of_tiles, jnp.asarray(self.ridge))

    def chunk_loss(
        self, theta: Float[Array, " p"], w: Float[Array, " m"], chunk: PaddedSample
    ) -> Float[Array, ""]:
        """Return J over some rows, by the potentials' scalar form, in the bits of the rows."""
        return loss(at_precision(self.map(theta, w), chunk.X.dtype), chunk.X, chunk.omega)

    def outputs(
        self, theta: Float[Array, " p"], w: Float[Array, " m"], chunk: PaddedSample
    ) -> tuple[Float[Array, "n N"], tuple[Float[Array, "P N"], ...]]:
        """Return the map's images and its Jacobians."""
        return self.map(theta, w).image_and_jacobians(chunk.X)

    def loss_of_outputs(self, outputs: PyTree, chunk: PaddedSample) -> Float[Array, ""]:
        """Return J of images and Jacobians."""
        z, jacobians = outputs
        return loss_of_map(z, [PackedHessians(A) for A in jacobians], chunk.omega)

    @program
    def loss(
        self, theta: Float[Array, " p"], w: Float[Array, " m"], sample: AbstractSample
    ) -> Array:
        """Return J at (mu, w)."""
        return loss_on(self.map(theta, w), sample)

    def finite_loss(self, theta: Array, w: Array, sample: AbstractSample) -> float:
        """Return J at (mu, w), in 64 bits where those of the rows give no number."""
        J = float(self.loss(theta, w, sample))
        if np.isfinite(J) or sample.X.dtype == np.float64:
            return J
        return float(self.loss(theta, w, sample.in_bits(np.float64)))


def loss(map_: AbstractMap, X: Float[Array, "N d"], omega: Float[Array, " N"]) -> Float[Array, ""]:
    """Return J = sum_j omega_j [ 1/2 |z_j|^2 - log det A_j ] (thesis 2.3), nats.

    A is the map's Jacobian: of a composition, log det A is the sum of its maps'.
    """
    return loss_of_map(*map_.image_and_hessians(X), omega)


@program
def loss_on(map_: AbstractMap, sample: AbstractSample) -> Float[Array, ""]:
    """Return J of a map on a sample, in the bits of its rows."""
    map_ = at_precision(map_, sample.X.dtype)
    return sample.total(lambda chunk: loss(map_, chunk.X, chunk.omega))


def loss_of_map(
    z: Float[Array, "n N"], jacobians: Sequence[AbstractHessians], omega: Float[Array, " N"]
) -> Float[Array, ""]:
    """Return J from images and the maps' Jacobians; rows of weight zero do not count."""
    # Masked before, not after: the derivative of what is masked would be 0 x NaN.
    z = jnp.where(omega > 0, z, 0.0)
    per_row = 0.5 * jnp.sum(z * z, axis=0)
    for A in jacobians:
        per_row -= A.counting(omega > 0).log_det()
    return omega @ per_row
