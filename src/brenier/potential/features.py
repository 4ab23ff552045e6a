r"""Separable features, potentials and maps: all that training, density and inverse know of them.

A potential is Phi = w . f_mu, convex in n targets y. A row is (y, c): the targets, then whatever
columns c the features depend on besides (the context of a conditional density; often none). All
derivatives are with respect to the targets only.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from brenier.arrays import Array, FeatureDerivatives, scan_alike
from brenier.inner.objective import AbstractObjective, DenseObjective
from brenier.potential.nonnegativity import AbstractNonnegativity

Separable = TypeVar("Separable", bound="AbstractSeparable")
Part = TypeVar("Part", bound=Any)


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

    def image_and_jacobians(
        self, X: Float[Array, "N d"]
    ) -> tuple[Float[Array, "n N"], tuple[Float[Array, "P N"], ...]]:
        """Return z and every gradient's packed Jacobian: log |det dz/dx| is the sum of theirs."""
        first, *others = self.potentials
        z, A = first.gradient_and_hessian(X)
        jacobians = [A]
        for potential in others:
            z, A = potential.gradient_and_hessian(jnp.concatenate([z.T, X[:, self.n :]], axis=1))
            jacobians.append(A)
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

    @abstractmethod
    def objective(
        self,
        X: Float[Array, "C T B d"],
        omega: Float[Array, "C T B"],
        ridge: Float[Array, " m"],
        probes: Float[Array, "q n _"],
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
        probes : (q, n, B)
            What the Hessian is estimated with (`brenier.inner.objective`).
        """

    @abstractmethod
    def with_weights(self, w: Float[Array, " m"]) -> AbstractMap:
        """Return the map that the last weights make."""

    def with_network(self: Separable, network: AbstractTrained) -> Separable:
        """Return the same of other trained arrays."""
        return replace(self, network=network)


class AbstractDense(AbstractSeparable):
    """Features whose objective is made of the derivatives of all of them, row by row."""

    @abstractmethod
    def derivatives(self, X: Float[Array, "N d"]) -> FeatureDerivatives:
        """Return the gradients and Hessians of all features in what the last potential maps."""

    def objective(
        self,
        X: Float[Array, "C T B d"],
        omega: Float[Array, "C T B"],
        ridge: Float[Array, " m"],
        probes: Float[Array, "q n _"],
    ) -> AbstractObjective:
        """Return J(mu, .) as a function of w, from dense derivatives."""
        return DenseObjective.of(self.derivatives, X, omega, ridge, probes)


class AbstractFeatures(AbstractDense):
    """f_mu: convex features, whose weights have lower bounds, then free ones, affine in y."""

    @abstractmethod
    def value(self, X: Float[Array, "N d"]) -> Float[Array, "N m"]:
        """Return f_mu of every row."""

    @abstractmethod
    def jet(
        self, w: Float[Array, " m"], X: Float[Array, "N d"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Float[Array, "P N"]]:
        """Return value, gradient and packed Hessian of w . f_mu, by the network's scalar form."""

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
        return self._sum(lambda member: jnp.asarray(member.strong_convexity))

    def value(self, X: Float[Array, "N d"]) -> Float[Array, " N"]:
        """Return the sum of the members' values."""
        return self._sum(lambda member: member.value(X))

    def jet(
        self, X: Float[Array, "N d"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Float[Array, "P N"]]:
        """Return the sums of the members' values, gradients and Hessians."""
        return self._sum(lambda member: member.jet(X))

    def _sum(self, function: Callable[[AbstractPotential], Part]) -> Part:
        """Return the weighted sum of what a function makes of the members."""

        def add(total: Part, one: tuple[Array, AbstractPotential]) -> tuple[Part, None]:
            share, member = one
            return jax.tree.map(lambda x, y: x + share * y, total, function(member)), None

        shapes = jax.eval_shape(function, self.members[0])
        nothing = jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), shapes)
        return scan_alike(
            add, nothing, list(zip(jnp.asarray(self.shares), self.members, strict=True))
        )[0]
