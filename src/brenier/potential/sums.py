"""Weighted sums of potentials, as one potential."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.arrays import Array, scan_alike
from brenier.potential.features import AbstractPotential, ConvexPotential
from brenier.potential.head import SeparableFeatures
from brenier.potential.hessians import AbstractHessians, PackedHessians
from brenier.potential.units import ConcatenatedUnits

Part = TypeVar("Part", bound=Any)


class SumPotential(AbstractPotential):
    """The weighted sum of potentials, member by member.

    Parameters
    ----------
    members : tuple of K AbstractPotential
        With the same number of targets.
    shares : (K,)
        Their weights in the sum, none of them negative.
    shared_axes : bool
        Whether all members are separable, with their quadratics along the same axes.
    """

    members: tuple[AbstractPotential, ...]
    shares: Float[Array, " K"]
    shared_axes: bool = eqx.field(static=True, default=False)

    @staticmethod
    def of(members: Sequence[AbstractPotential], shares: Float[np.ndarray, " K"]) -> "SumPotential":
        """Return the sum of members whose arrays are at hand: it is seen what they share."""
        return SumPotential(tuple(members), shares, share_axes(members))

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

    def expansion(
        self, X: Float[Array, "N d"]
    ) -> tuple[Float[Array, " N"], Float[Array, "n N"], AbstractHessians]:
        """Return Phi, z = grad Phi, and the Hessians in the form that is quickest to solve."""
        if self.shared_axes and all(features.is_wide for features, _ in separable(self.members)):
            return self._as_one().expansion(X)
        value, z, A = self.jet(X)
        return value, z, PackedHessians(A)

    def _as_one(self) -> ConvexPotential:
        """Return the potential with the units of all members, which share their axes."""
        network, others, units = [], [], []
        for (features, w), share in zip(separable(self.members), self.shares, strict=True):
            of_units, quadratic, free = features.split(share * jnp.asarray(w))
            network.append(features.network_scale() * of_units)
            others.append(jnp.concatenate([quadratic, free]))
            part = features.network
            units.extend(part.parts if isinstance(part, ConcatenatedUnits) else (part,))
        heads = [features for features, _ in separable(self.members)]
        curved = [head.n_curved for head in heads if head.n_curved is not None]
        features = SeparableFeatures(
            ConcatenatedUnits(tuple(units)),
            heads[0].axes,
            normalised=False,
            n_curved=max(curved) if len(curved) == len(heads) else None,
        )
        return ConvexPotential(features, jnp.concatenate([*network, sum(others)]))

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


def separable(
    potentials: Sequence[AbstractPotential],
) -> list[tuple[SeparableFeatures, Float[Array, " m"]]]:
    """Return features and weights of those potentials that are separable."""
    return [
        (potential.features, potential.w)
        for potential in potentials
        if isinstance(potential, ConvexPotential)
        and isinstance(potential.features, SeparableFeatures)
    ]


def share_axes(potentials: Sequence[AbstractPotential]) -> bool:
    """Whether all potentials are separable, with their quadratics along the same axes."""
    axes = [np.asarray(features.axes) for features, _ in separable(potentials)]
    return len(axes) == len(potentials) and all(np.array_equal(own, axes[0]) for own in axes)
