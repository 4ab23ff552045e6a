r"""Convex units: functions of x, each convex, whose non-negative sums make the potential.

Everything that the separable head and training need of them is here, so that several kinds can be
in one model: deep ones (`brenier.potential.icnn`) and radial ones (`brenier.potential.radial`).
"""

import operator
from abc import abstractmethod
from collections.abc import Sequence
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array
from brenier.potential.features import AbstractTrained
from brenier.potential.hessians import Curvature
from brenier.potential.jets import Jet
from brenier.potential.nonnegativity import AbstractNonnegativity


class AbstractUnits(AbstractTrained):
    """`width` convex functions of n variables; the arrays in it are mu."""

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of inputs."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of functions."""

    @abstractmethod
    def slope_bound(self) -> Float[Array, " width"]:
        """Return a global bound on every function's slope: |grad u_i(x)| <= c_i for all x."""

    @abstractmethod
    def value(self, X: Float[Array, "N n"]) -> Float[Array, "N width"]:
        """Return the functions' values."""

    @abstractmethod
    def gradients(self, X: Float[Array, "N n"]) -> Float[Array, "width n N"]:
        """Return the functions' gradients."""

    @abstractmethod
    def jet(self, X: Float[Array, "N n"]) -> Jet:
        """Return value, gradient and Hessian of every function."""

    @abstractmethod
    def weighted(
        self, v: Float[Array, " width"], X: Float[Array, "N n"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Float[Array, "P N"]]:
        """Return value, gradient and packed Hessian in x of v . u(x)."""

    @abstractmethod
    def directions(self) -> Float[Array, "U n"]:
        """Return directions that every function's Hessian lies in the span of, at all x."""

    @abstractmethod
    def through(self, M: Float[Array, "n r"]) -> "AbstractUnits":
        """Return the same functions of y, x = M y."""

    @abstractmethod
    def expansion(
        self, v: Float[Array, " width"], X: Float[Array, "N n"], T: Float[Array, "n r"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Curvature]:
        """Return value and gradient in x of v . u(x), and T^T hess(v . u) T as its terms."""

    @abstractmethod
    def lower_bounds(self) -> "AbstractUnits":
        """Return the least values of the trained arrays, in their places."""


class ConcatenatedUnits(AbstractUnits):
    """Units of several kinds, one after the other.

    Parameters
    ----------
    parts : tuple of AbstractUnits
        With the same number of inputs.
    """

    parts: tuple[AbstractUnits, ...]

    @property
    def n(self) -> int:
        """Number of inputs."""
        return self.parts[0].n

    @property
    def width(self) -> int:
        """Number of functions."""
        return sum(part.width for part in self.parts)

    @property
    def nonnegative_by(self) -> AbstractNonnegativity:
        """What the first part has."""
        return self.parts[0].nonnegative_by

    def slope_bound(self) -> Float[Array, " width"]:
        """Return every part's bounds."""
        return jnp.concatenate([part.slope_bound() for part in self.parts])

    def value(self, X: Float[Array, "N n"]) -> Float[Array, "N width"]:
        """Return every part's values."""
        return jnp.concatenate([part.value(X) for part in self.parts], axis=1)

    def gradients(self, X: Float[Array, "N n"]) -> Float[Array, "width n N"]:
        """Return every part's gradients."""
        return jnp.concatenate([part.gradients(X) for part in self.parts])

    def jet(self, X: Float[Array, "N n"]) -> Jet:
        """Return every part's jet as one."""
        jets = [part.jet(X) for part in self.parts]
        return jax.tree.map(lambda *parts: jnp.concatenate(parts), *jets)

    def weighted(
        self, v: Float[Array, " width"], X: Float[Array, "N n"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Float[Array, "P N"]]:
        """Return the sum of the parts' values, gradients and Hessians."""
        of_parts = zip(self.parts, self.split(v), strict=True)
        return jax.tree.map(
            lambda *parts: reduce(operator.add, parts),
            *(part.weighted(u, X) for part, u in of_parts),
        )

    def directions(self) -> Float[Array, "U n"]:
        """Return those of all parts."""
        return jnp.concatenate([part.directions() for part in self.parts])

    def through(self, M: Float[Array, "n r"]) -> "ConcatenatedUnits":
        """Return all parts' functions of y, x = M y."""
        return ConcatenatedUnits(tuple(part.through(M) for part in self.parts))

    def expansion(
        self, v: Float[Array, " width"], X: Float[Array, "N n"], T: Float[Array, "n r"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], Curvature]:
        """Return the sum of the parts' values and gradients, and the terms of all."""
        of_parts = zip(self.parts, self.split(v), strict=True)
        values, gradients, curvatures = zip(
            *(part.expansion(u, X, T) for part, u in of_parts), strict=True
        )
        sums = (reduce(operator.add, parts) for parts in (values, gradients))
        return *sums, Curvature.of_parts(curvatures)

    def lower_bounds(self) -> "ConcatenatedUnits":
        """Return the parts' least values."""
        return ConcatenatedUnits(tuple(part.lower_bounds() for part in self.parts))

    def decayed(self) -> Sequence[Float[Array, "..."]]:
        """Return what weight decay acts on in all parts."""
        return [array for part in self.parts for array in part.decayed()]

    def split(self, v: Float[Array, " width"]) -> list[Float[Array, " _"]]:
        """Return the entries of v that belong to each part."""
        ends = np.cumsum([part.width for part in self.parts])
        return [v[end - part.width : end] for part, end in zip(self.parts, ends, strict=True)]
