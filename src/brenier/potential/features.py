r"""Separable features, potentials and maps: all that training, density and inverse know of them.

A potential is Phi = w . f_mu, convex in n targets y. A row is (y, c): the targets, then whatever
columns c the features depend on besides (the context of a conditional density; often none). All
derivatives are with respect to the targets only.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array, FeatureDerivatives
from brenier.inner.objective import AbstractObjective
from brenier.potential.hessians import AbstractHessians
from brenier.potential.nonnegativity import AbstractNonnegativity

Separable = TypeVar("Separable", bound="AbstractSeparable")
Jacobian = TypeVar("Jacobian")


class AbstractTrained(eqx.Module):
    """Arrays that are trained, mu."""

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


class AbstractMap(eqx.Module):
    """An invertible map of the targets: a potential's gradient, or a composition of several."""

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of targets."""

    @property
    @abstractmethod
    def n_constrained(self) -> int:
        """Number of features that have a Hessian, in the largest potential."""

    @property
    @abstractmethod
    def potentials(self) -> "tuple[AbstractPotential, ...]":
        """The potentials whose gradients make the map, in the order they are applied."""

    def image_and_hessians(
        self, X: Float[Array, "N d"]
    ) -> tuple[Float[Array, "n N"], tuple[AbstractHessians, ...]]:
        """Return z and every gradient's Jacobian: log |det dz/dx| is the sum of theirs."""
        return self._through(X, lambda potential, rows: potential.expansion(rows)[1:])

    def image_and_jacobians(
        self, X: Float[Array, "N d"]
    ) -> tuple[Float[Array, "n N"], tuple[Float[Array, "P N"], ...]]:
        """Return z and every gradient's Jacobian entry by entry, packed."""
        return self._through(X, lambda potential, rows: potential.gradient_and_hessian(rows))

    def _through(
        self,
        X: Float[Array, "N d"],
        of_one: "Callable[[AbstractPotential, Array], tuple[Array, Jacobian]]",
    ) -> "tuple[Float[Array, 'n N'], tuple[Jacobian, ...]]":
        """Return the image of rows under all gradients, and what `of_one` makes of each beside."""
        first, *others = self.potentials
        z, jacobian = of_one(first, X)
        jacobians = [jacobian]
        for potential in others:
            z, jacobian = of_one(potential, jnp.concatenate([z.T, X[:, self.n :]], axis=1))
            jacobians.append(jacobian)
        return z, tuple(jacobians)


class AbstractSeparable(eqx.Module):
    """Features f_mu whose weighted sum w . f_mu is a potential, the last one of a map.

    All else of the map, mu, is `network`. Training needs no more than this: the convex objective in
    w, which crosses the wall to the inner solvers, and the map of given weights.
    """

    network: eqx.AbstractVar[AbstractTrained]

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of targets."""

    @property
    @abstractmethod
    def n_constrained(self) -> int:
        """m_plus: the features whose weights have lower bounds."""

    @property
    @abstractmethod
    def n_hessians(self) -> int:
        """The features whose Hessians are of full rank, and are held entry by entry."""

    @property
    @abstractmethod
    def n_features(self) -> int:
        """m: all features."""

    @property
    def row_bits(self) -> type[np.floating]:
        """In what the search computes row by row; sums over rows are of 64 bits."""
        return np.float64

    @abstractmethod
    def objective(
        self,
        X: Float[Array, "C T B d"],
        omega: Float[Array, "C T B"],
        ridge: Float[Array, " m"],
        *,
        exact: bool = False,
    ) -> AbstractObjective:
        """Return J(mu, .) as a function of w: its value, its gradient and its Hessian.

        Parameters
        ----------
        X : (C, T, B, d)
            Rows, in tiles; what the features make of one chunk of them may be held in memory.
        omega : (C, T, B)
            Their weights, summing to one; zero for padding.
        ridge : (m,)
            rho of the ridge 1/2 sum_i rho_i w_i^2.
        exact : bool
            Whether the Hessian is exact, or an estimate.
        """

    @abstractmethod
    def with_weights(self, w: Float[Array, " m"]) -> AbstractMap:
        """Return the map that the last weights make."""

    def with_network(self: Separable, network: AbstractTrained) -> Separable:
        """Return the same of other trained arrays."""
        return replace(self, network=network)


class AbstractFeatures(AbstractSeparable):
    """f_mu: convex features, whose weights have lower bounds, then free ones, affine in y."""

    @abstractmethod
    def derivatives(self, X: Float[Array, "N d"]) -> FeatureDerivatives:
        """Return the gradients and Hessians of all features."""

    @abstractmethod
    def value(self, X: Float[Array, "N d"]) -> Float[Array, "N m"]:
        """Return f_mu of every row."""

    @abstractmethod
    def jet(
        self, w: Float[Array, " m"], X: Float[Array, "N d"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Float[Array, "P N"]]:
        """Return value, gradient and packed Hessian of w . f_mu, by the network's scalar form."""

    @abstractmethod
    def expansion(
        self, w: Float[Array, " m"], X: Float[Array, "N d"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], AbstractHessians]:
        """Return value, gradient and Hessians of w . f_mu, these in the form quickest to solve."""

    @abstractmethod
    def strong_convexity(self, w: Float[Array, " m"]) -> Float[Array, ""]:
        """Return a lower bound on the eigenvalues of every Hessian of w . f_mu, or 0."""

    def with_weights(self, w: Float[Array, " m"]) -> "ConvexPotential":
        """Return the potential w . f_mu."""
        return ConvexPotential(self, w)


class AbstractPotential(AbstractMap):
    """Phi, convex in the targets, its gradient (the map) and its Hessian (the map's Jacobian)."""

    @property
    def potentials(self) -> "tuple[AbstractPotential, ...]":
        """The potential alone."""
        return (self,)

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
    def jet(
        self, X: Float[Array, "N d"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Float[Array, "P N"]]:
        """Return Phi, z = grad Phi and packed A = hess Phi."""

    @abstractmethod
    def expansion(
        self, X: Float[Array, "N d"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], AbstractHessians]:
        """Return Phi, z = grad Phi, and the Hessians in the form that is quickest to solve."""

    def gradient_and_hessian(
        self, X: Float[Array, "N d"]
    ) -> tuple[Float[Array, "n N"], Float[Array, "P N"]]:
        """Return z = grad Phi and packed A = hess Phi."""
        return self.jet(X)[1:]


class ConvexPotential(AbstractPotential):
    """Phi = w . f_mu."""

    features: AbstractFeatures
    w: Float[Array, " m"]

    @property
    def n(self) -> int:
        """Number of targets."""
        return self.features.n

    @property
    def n_constrained(self) -> int:
        """m_plus."""
        return self.features.n_constrained

    @property
    def strong_convexity(self) -> Float[Array, ""]:
        """What the features' constrained weights guarantee."""
        return self.features.strong_convexity(self.w)

    def value(self, X: Float[Array, "N d"]) -> Float[Array, " N"]:
        """Return Phi of every row."""
        return self.features.value(X) @ self.w

    def jet(
        self, X: Float[Array, "N d"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Float[Array, "P N"]]:
        """Return Phi, z = grad Phi and packed A = hess Phi."""
        return self.features.jet(self.w, X)

    def expansion(
        self, X: Float[Array, "N d"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], AbstractHessians]:
        """Return Phi, z = grad Phi, and the Hessians in the form that is quickest to solve."""
        return self.features.expansion(self.w, X)
