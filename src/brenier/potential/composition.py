r"""Compositions: maps that are gradients of convex potentials, applied one after the other.

    z = grad Phi_B( ... grad Phi_2( grad Phi_1(y) ) ... ),

    log |det dz/dy| = sum_b log det hess Phi_b(y_b),   y_1 = y,  y_{b+1} = grad Phi_b(y_b).

The composition is invertible, map by map, but for B > 1 no longer the gradient of a convex
function. It is linear in the last potential's w: given everything else, the log-determinants of the
earlier maps are constants and their images are the rows of the same convex problem as that of a
single potential. Everything else is mu: all hidden weights, and the last layers of the earlier
potentials.

References
----------
.. [1] C.-W. Huang, R. T. Q. Chen, C. Tsirigotis, A. Courville, "Convex Potential Flows", 2021,
       arXiv 2012.05942, section 3 (deep flows).
.. [2] Y. Chen, "Efficient Training of Input Convex Neural Networks Using Variable Projection",
       Emory University, 2023, chapter 5 (variable projection on the last potential).
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array
from brenier.inner.objective import AbstractObjective
from brenier.potential.features import (
    AbstractFeatures,
    AbstractMap,
    AbstractPotential,
    AbstractSeparable,
    AbstractTrained,
    ConvexPotential,
)
from brenier.potential.nonnegativity import AbstractNonnegativity


class Composition(AbstractMap):
    """The gradients of potentials, one after the other.

    Parameters
    ----------
    chain : tuple of B AbstractPotential
        The one that is applied first comes first.
    """

    chain: tuple[AbstractPotential, ...]

    @property
    def potentials(self) -> tuple[AbstractPotential, ...]:
        """The potentials."""
        return self.chain

    @property
    def n(self) -> int:
        """Number of targets."""
        return self.chain[0].n

    @property
    def n_constrained(self) -> int:
        """That of the largest potential."""
        return max(potential.n_constrained for potential in self.chain)


class CompositionWeights(AbstractTrained):
    """mu of a composition: all hidden weights, and the earlier potentials' last layers.

    Parameters
    ----------
    hidden : tuple of B AbstractTrained
        Every potential's own mu.
    slacks : tuple of B - 1 arrays (m_b,)
        Last weights of the earlier potentials: what they have above their lower bounds, then free
        ones.
    n_constrained : tuple of B - 1 int
        How many of them have lower bounds.
    """

    hidden: tuple[AbstractTrained, ...]
    slacks: tuple[Float[Array, " _"], ...]
    n_constrained: tuple[int, ...] = eqx.field(static=True)

    @property
    def nonnegative_by(self) -> AbstractNonnegativity:
        """As in the last potential."""
        return self.hidden[-1].nonnegative_by

    def lower_bounds(self) -> "CompositionWeights":
        """Return the potentials' own bounds, zero for slacks, minus infinity for free weights."""
        least = tuple(
            np.where(np.arange(len(slack)) < k, 0.0, -np.inf)
            for slack, k in zip(self.slacks, self.n_constrained, strict=True)
        )
        hidden = tuple(weights.lower_bounds() for weights in self.hidden)
        return CompositionWeights(hidden, least, self.n_constrained)

    def decayed(self) -> Sequence[Float[Array, "..."]]:
        """Return what weight decay acts on in all potentials."""
        return [array for weights in self.hidden for array in weights.decayed()]


class ComposedFeatures(AbstractSeparable):
    """The last potential's features where the earlier maps lead, all of them trained.

    Parameters
    ----------
    network : CompositionWeights
        mu lives here.
    features : tuple of B >= 2 AbstractFeatures
        Shapes and axes of every potential's features; their own mu does not matter.
    lower : tuple of B - 1 arrays (m_b,)
        Lower bounds of the earlier potentials' last weights, zero where these are free.
    """

    network: CompositionWeights
    features: tuple[AbstractFeatures, ...]
    lower: tuple[Float[Array, " _"], ...]

    @staticmethod
    def of(
        potentials: Sequence[ConvexPotential], lower: Sequence[Float[np.ndarray, " _"]]
    ) -> "ComposedFeatures":
        """Return the features of a composition whose earlier potentials' w have these bounds.

        A weight below its bound starts on it.
        """
        *earlier, _ = potentials
        features = tuple(potential.features for potential in potentials)
        slacks, lowest = [], []
        for potential, least in zip(earlier, lower, strict=True):
            lowest.append(np.where(np.isfinite(least), least, 0.0))
            above = np.asarray(potential.w) - lowest[-1]
            slacks.append(np.where(np.isfinite(least), np.maximum(above, 0.0), above))
        weights = CompositionWeights(
            hidden=tuple(part.network for part in features),
            slacks=tuple(slacks),
            n_constrained=tuple(potential.n_constrained for potential in earlier),
        )
        return ComposedFeatures(weights, features, tuple(lowest))

    @property
    def n(self) -> int:
        """Number of targets."""
        return self.features[-1].n

    @property
    def n_constrained(self) -> int:
        """m_plus of the last potential."""
        return self.features[-1].n_constrained

    @property
    def n_hessians(self) -> int:
        """Those of the last potential."""
        return self.features[-1].n_hessians

    @property
    def n_features(self) -> int:
        """All features of the last potential, m."""
        return self.features[-1].n_features

    def objective(
        self,
        X: Float[Array, "C T B d"],
        omega: Float[Array, "C T B"],
        ridge: Float[Array, " m"],
        *,
        exact: bool = False,
    ) -> AbstractObjective:
        """Return that of the last potential's features, at the images under the earlier maps."""
        *earlier, last = self._trained()
        maps = Composition(self._earlier(earlier))

        def image(tile: Array) -> Array:
            z, _ = maps.image_and_hessians(tile)
            return jnp.concatenate([z.T, tile[:, self.n :]], axis=1)

        images = jax.lax.map(image, X.reshape(-1, *X.shape[2:])).reshape(X.shape)
        return last.objective(images, omega, ridge, exact=exact)

    def with_weights(self, w: Float[Array, " m"]) -> Composition:
        """Return the composition whose last potential has the weights w."""
        *earlier, last = self._trained()
        return Composition((*self._earlier(earlier), ConvexPotential(last, w)))

    def _trained(self) -> tuple[AbstractFeatures, ...]:
        """Return every potential's features with their trained weights."""
        pairs = zip(self.features, self.network.hidden, strict=True)
        return tuple(features.with_network(hidden) for features, hidden in pairs)

    def _earlier(self, features: Sequence[AbstractFeatures]) -> tuple[ConvexPotential, ...]:
        weights = zip(features, self.lower, self.network.slacks, strict=True)
        return tuple(ConvexPotential(part, least + slack) for part, least, slack in weights)
