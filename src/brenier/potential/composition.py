r"""Compositions: gradients of convex potentials, applied one after the other.

    z = grad Phi_B( ... grad Phi_2( grad Phi_1(y) ) ... ),

    log |det dz/dy| = sum_b log det hess Phi_b(y_b),   y_1 = y,  y_{b+1} = grad Phi_b(y_b).

The map is invertible, block by block, but for B > 1 no longer the gradient of a convex function.
It is linear in the last block's w: given everything else, the log-determinants of the earlier
blocks are constants and their images are the rows of the same convex problem as that of a single
potential. Everything else is mu: all hidden weights, and the last layers of the earlier blocks.

References
----------
.. [1] C.-W. Huang, R. T. Q. Chen, C. Tsirigotis, A. Courville, "Convex Potential Flows", 2021,
       arXiv 2012.05942, section 3 (deep flows).
.. [2] Y. Chen, "Efficient Training of Input Convex Neural Networks Using Variable Projection",
       Emory University, 2023, chapter 5 (variable projection on the last block).
"""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array, FeatureDerivatives
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
    """The gradients of potentials in turn.

    Parameters
    ----------
    chain : tuple of B AbstractPotential
        The one that is applied first comes first.
    """

    chain: tuple[AbstractPotential, ...]

    @property
    def blocks(self) -> tuple[AbstractPotential, ...]:
        """The potentials."""
        return self.chain

    @property
    def n(self) -> int:
        """Number of targets."""
        return self.chain[0].n

    @property
    def n_constrained(self) -> int:
        """That of the largest block."""
        return max(block.n_constrained for block in self.chain)


class CompositionWeights(AbstractTrained):
    """mu of a composition: all blocks' hidden weights, and the earlier blocks' last layers.

    Parameters
    ----------
    hidden : tuple of B AbstractTrained
        Every block's own mu.
    slacks : tuple of B - 1 arrays (m_b,)
        Last weights of the earlier blocks: what they have above their floors, free ones after.
    n_constrained : tuple of B - 1 int
        How many of them have floors.
    """

    hidden: tuple[AbstractTrained, ...]
    slacks: tuple[Float[Array, " _"], ...]
    n_constrained: tuple[int, ...] = eqx.field(static=True)

    @property
    def nonnegative_by(self) -> AbstractNonnegativity:
        """As in the last block."""
        return self.hidden[-1].nonnegative_by

    def lower_bounds(self) -> "CompositionWeights":
        """Return the blocks' own least values, zero for slacks, minus infinity for free weights."""
        least = tuple(
            np.where(np.arange(len(slack)) < k, 0.0, -np.inf)
            for slack, k in zip(self.slacks, self.n_constrained, strict=True)
        )
        hidden = tuple(weights.lower_bounds() for weights in self.hidden)
        return CompositionWeights(hidden, least, self.n_constrained)

    def decayed(self) -> Sequence[Float[Array, "..."]]:
        """Return what weight decay acts on in all blocks."""
        return [array for weights in self.hidden for array in weights.decayed()]


class ComposedFeatures(AbstractSeparable):
    """The last block's features where the earlier blocks lead, all of them trained.

    Parameters
    ----------
    network : CompositionWeights
        mu lives here.
    features : tuple of B >= 2 AbstractFeatures
        Shapes and axes of every block's features; their own mu does not matter.
    floors : tuple of B - 1 arrays (m_b,)
        Floors of the earlier blocks' last weights, zero where these are free.
    """

    network: CompositionWeights
    features: tuple[AbstractFeatures, ...]
    floors: tuple[Float[Array, " _"], ...]

    @staticmethod
    def of(
        blocks: Sequence[ConvexPotential], floors: Sequence[Float[np.ndarray, " _"]]
    ) -> "ComposedFeatures":
        """Return the features of blocks, whose earlier ones' w have the floors given.

        A weight below its floor starts on it.
        """
        *earlier, _ = blocks
        features = tuple(block.features for block in blocks)
        slacks, lowest = [], []
        for block, floor in zip(earlier, floors, strict=True):
            lowest.append(np.where(np.isfinite(floor), floor, 0.0))
            above = np.asarray(block.w) - lowest[-1]
            slacks.append(np.where(np.isfinite(floor), np.maximum(above, 0.0), above))
        weights = CompositionWeights(
            hidden=tuple(part.network for part in features),
            slacks=tuple(slacks),
            n_constrained=tuple(block.n_constrained for block in earlier),
        )
        return ComposedFeatures(weights, features, tuple(lowest))

    @property
    def n(self) -> int:
        """Number of targets."""
        return self.features[-1].n

    @property
    def n_constrained(self) -> int:
        """m_plus of the last block."""
        return self.features[-1].n_constrained

    @property
    def n_features(self) -> int:
        """M of the last block."""
        return self.features[-1].n_features

    def derivatives(self, X: Float[Array, "N d"]) -> FeatureDerivatives:
        """Return the derivatives of the last block's features where the earlier ones lead."""
        *earlier, last = self._trained()
        image, _ = Composition(self._earlier(earlier)).image_and_jacobians(X)
        return last.derivatives(jnp.concatenate([image.T, X[:, self.n :]], axis=1))

    def with_weights(self, w: Float[Array, " m"]) -> Composition:
        """Return the composition whose last block has the weights w."""
        *earlier, last = self._trained()
        return Composition((*self._earlier(earlier), ConvexPotential(last, w)))

    def _trained(self) -> tuple[AbstractFeatures, ...]:
        """Return every block's features with their trained weights."""
        pairs = zip(self.features, self.network.hidden, strict=True)
        return tuple(features.with_network(hidden) for features, hidden in pairs)

    def _earlier(self, features: Sequence[AbstractFeatures]) -> tuple[ConvexPotential, ...]:
        weights = zip(features, self.floors, self.network.slacks, strict=True)
        return tuple(ConvexPotential(part, floor + slack) for part, floor, slack in weights)
