r"""Separable features: all that the search, the density and its inverse need to know of them.

A potential is Phi = w . f_mu, convex in n targets y. A row is (y, c): the targets, then whatever
columns c the features depend on besides (the context of a conditional density; often none). All
derivatives are with respect to the targets only.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from brenier.arrays import Array
from brenier.derivatives import FeatureDerivatives
from brenier.potential.nonnegativity import AbstractNonnegativity


class AbstractTrained(eqx.Module):
    """Arrays that are searched over, mu."""

    @property
    @abstractmethod
    def nonnegative_by(self) -> AbstractNonnegativity:
        """How weights that must be >= 0 are kept so where they are trained."""

    @abstractmethod
    def lower_bounds(self) -> "AbstractTrained":
        """Return the least values of the trained arrays, in their places."""

    @abstractmethod
    def decayed(self) -> Sequence[Float[Array, "..."]]:
        """Return what weight decay acts on: slopes, not places."""


class AbstractFeatures(eqx.Module):
    """f_mu: convex features, whose weights have floors, then free ones, affine in the targets."""

    network: eqx.AbstractVar[AbstractTrained]

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of targets."""

    @property
    @abstractmethod
    def n_constrained(self) -> int:
        """m_plus: the features whose weights have floors."""

    @property
    @abstractmethod
    def n_features(self) -> int:
        """m: all features."""

    @abstractmethod
    def value(self, X: Float[Array, "N d"]) -> Float[Array, "N m"]:
        """Return f_mu of every row."""

    @abstractmethod
    def derivatives(self, X: Float[Array, "N d"]) -> FeatureDerivatives:
        """Return the gradients and Hessians of all features in the targets."""

    @abstractmethod
    def gradient_and_hessian(
        self, w: Float[Array, " m"], X: Float[Array, "N d"]
    ) -> tuple[Float[Array, "n N"], Float[Array, "P N"]]:
        """Return gradient and packed Hessian of w . f_mu, by the scalar form of the network."""

    @abstractmethod
    def strong_convexity(self, w: Float[Array, " m"]) -> Float[Array, ""]:
        """Return a lower bound on the eigenvalues of every Hessian of w . f_mu, or 0."""

    def with_network(self, network: AbstractTrained) -> "AbstractFeatures":
        """Return the same features of other trained arrays."""
        return replace(self, network=network)


class AbstractPotential(eqx.Module):
    """Phi, convex in the targets, its gradient (the map) and its Hessian (the map's Jacobian)."""

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of targets."""

    @property
    @abstractmethod
    def n_constrained(self) -> int:
        """Number of its features that have a Hessian."""

    @property
    @abstractmethod
    def strong_convexity(self) -> Float[Array, ""]:
        """A global lower bound on the Hessian's eigenvalues, or 0.

        The smallest eigenvalue at a point would be no such bound.
        """

    @abstractmethod
    def value(self, X: Float[Array, "N d"]) -> Float[Array, " N"]:
        """Return Phi of every row."""

    @abstractmethod
    def gradient_and_hessian(
        self, X: Float[Array, "N d"]
    ) -> tuple[Float[Array, "n N"], Float[Array, "P N"]]:
        """Return z = grad Phi and packed A = hess Phi."""


class SumPotential(AbstractPotential):
    """The weighted sum of potentials, member by member.

    Parameters
    ----------
    members : tuple of K AbstractPotential
        With the same number of targets.
    shares : (K,)
        Their weights in the sum, none of them negative.
    """

    members: tuple[AbstractPotential, ...]
    shares: Float[Array, " K"]

    @property
    def n(self) -> int:
        """Number of targets."""
        return self.members[0].n

    @property
    def n_constrained(self) -> int:
        """All members' together."""
        return sum(member.n_constrained for member in self.members)

    @property
    def strong_convexity(self) -> Float[Array, ""]:
        """The sum of the members' bounds."""
        return self._sum([jnp.asarray(member.strong_convexity) for member in self.members])

    def value(self, X: Float[Array, "N d"]) -> Float[Array, " N"]:
        """Return the sum of the members' values."""
        return self._sum([member.value(X) for member in self.members])

    def gradient_and_hessian(
        self, X: Float[Array, "N d"]
    ) -> tuple[Float[Array, "n N"], Float[Array, "P N"]]:
        """Return the sums of the members' gradients and Hessians."""
        maps = [member.gradient_and_hessian(X) for member in self.members]
        z, A = zip(*maps, strict=True)
        return self._sum(z), self._sum(A)

    def _sum(self, parts: Sequence[Array]) -> Array:
        return jnp.tensordot(jnp.asarray(self.shares), jnp.stack(parts), axes=1)
