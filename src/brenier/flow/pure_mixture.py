r"""A mixture in JAX: log p(x) = log sum_k pi_k p_k(x), and draws, as pure functions of arrays.

What `brenier.flow.mixture` computes batch by batch in NumPy, of flows and of Gaussians behind one
preprocessing. The Gaussians' factors are inverted once, when it is made.
"""

from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from brenier.arrays import LOG_2_PI, Array
from brenier.flow.flow import ConvexFlow
from brenier.flow.mixture import FlowMixture
from brenier.flow.preprocessing import AbstractPreprocessing
from brenier.flow.pure import AbstractPure, rows_of


class PureMixture(AbstractPure):
    """F flows and G Gaussians.

    Attributes
    ----------
    flows : tuple of F ConvexFlow
        Components that are flows.
    preprocessing : AbstractPreprocessing
        What comes before the Gaussians.
    means : (G, n)
        Of the Gaussians, in its coordinates.
    inverses, roots : (G, n, n)
        Inverses of the lower Cholesky factors of their covariances; symmetric square roots.
    weights : (F + G,)
        Those of the flows, then those of the Gaussians, summing to one.
    """

    flows: tuple[ConvexFlow, ...]
    preprocessing: AbstractPreprocessing
    means: Float[Array, "G n"]
    inverses: Float[Array, "G n n"]
    roots: Float[Array, "G n n"]
    weights: Float[Array, " K"]

    @staticmethod
    def of(mixture: FlowMixture) -> "PureMixture":
        """Return the same mixture in JAX."""
        gaussians = mixture.gaussians
        return PureMixture(
            flows=mixture.flows,
            preprocessing=mixture.preprocessing,
            means=gaussians.means,
            inverses=np.linalg.inv(gaussians.factors),
            roots=gaussians.roots,
            weights=mixture.raw_weights,
        )

    @property
    def n(self) -> int:
        """Number of columns."""
        return self.preprocessing.n

    @property
    def limits(self) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Least and largest values of the columns, in data units; infinite where there is none."""
        bounds = self.preprocessing.column_bounds
        return np.asarray(bounds.low), np.asarray(bounds.high)

    def log_density(self, X: Float[Array, "*N n"]) -> Float[Array, "*N"]:
        """Return log p(x) in nats; minus infinity outside the bounds."""
        shape, X = X.shape[:-1], rows_of(X, self)
        inside = self.preprocessing.inside(X)
        of_flows = [flow.log_density(X)[:, None] for flow in self.flows]
        terms = jnp.concatenate([*of_flows, self._of_gaussians(X)], axis=1)
        # Of rows outside no derivative is asked: their terms are all minus infinity.
        terms = jnp.where(inside[:, None], terms + jnp.log(self.weights), 0.0)
        total = jax.scipy.special.logsumexp(terms, axis=1)
        return jnp.where(inside, total, -jnp.inf).reshape(shape)

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "*shape n"]:
        """Return rows drawn from the density; NaN where a normal point has no preimage.

        Every flow maps all points, whichever component they are of.

        Parameters
        ----------
        key : PRNG key
            As of `jax.random.key`.
        shape : tuple of int
            Leading shape of the rows.
        """
        of_labels, of_points = jax.random.split(key)
        N, F = prod(shape), len(self.flows)
        labels = jax.random.categorical(of_labels, jnp.log(self.weights), shape=(N,))
        Z = jax.random.normal(of_points, (N, self.n))
        X = jnp.full((N, self.n), jnp.nan)
        if len(self.means):
            own = jnp.maximum(labels - F, 0)
            turned = jnp.einsum("jab,jb->ja", jnp.asarray(self.roots)[own], Z)
            Y = turned + jnp.asarray(self.means)[own]
            X = self.preprocessing.inverse(Y)
        for k, flow in enumerate(self.flows):
            of_flow, inversion = flow.inverse(Z)
            of_flow = jnp.where(inversion.converged[:, None], of_flow, jnp.nan)
            X = jnp.where((labels == k)[:, None], of_flow, X)
        return X.reshape(*shape, self.n)

    def inverse(self, Z: Float[Array, "*N n"]) -> tuple[Float[Array, "*N n"], Any]:
        """Raise `TypeError`: every component has a map of its own."""
        raise TypeError(
            "Expected a density with a single map; got a mixture, whose components have one each. "
            "Fit a ConvexPotentialFlow."
        )

    def _of_gaussians(self, X: Float[Array, "N n"]) -> Float[Array, "N G"]:
        """Return log p of every row under each Gaussian."""
        Y, log_det = self.preprocessing.forward(X)
        inverses = jnp.asarray(self.inverses)
        shifts = jnp.einsum("gij,gj->gi", inverses, jnp.asarray(self.means))
        z = jnp.einsum("gij,Nj->Ngi", inverses, Y) - shifts
        log_dets = jnp.sum(jnp.log(jnp.diagonal(inverses, axis1=1, axis2=2)), axis=1)
        normal = -0.5 * jnp.sum(z * z, axis=2) - 0.5 * self.n * LOG_2_PI
        return normal + log_dets + jnp.asarray(log_det)[:, None]
