r"""The average of potentials, as one potential.

J is convex in Phi, for z and A are linear in it: so the average of potentials is, on any rows
whatever, at least as good as the average of their losses,

    J(sum_k a_k Phi_k) <= sum_k a_k J(Phi_k),    a_k >= 0,  sum_k a_k = 1,

and its gradient is still the gradient of a convex function, an optimal-transport map. (A mixture of
the densities would have no such map.) The average of networks is one network, with the members'
weights in diagonal blocks.
"""

from collections.abc import Sequence

import jax.scipy.linalg
import numpy as np

from brenier.potential.cones import Cones
from brenier.potential.features import AbstractPotential, AveragePotential
from brenier.potential.head import ConvexPotential, SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.units import AbstractUnits, SideBySide

# Hidden weights between members; through a softplus they cannot be zero.
NOTHING = 1e-20


def merge(
    units: Sequence[AbstractUnits], weights: Sequence[np.ndarray]
) -> tuple[AbstractUnits, np.ndarray]:
    """Return the units whose sum with the weights returned is the sum of all, each with its own."""
    composed = [member for member in units if isinstance(member, SideBySide)]
    if composed:
        parts = zip(*(member.parts for member in composed), strict=True)
        shares = zip(*(m.split(v) for m, v in zip(composed, weights, strict=True)), strict=True)
        merged = [merge(part, share) for part, share in zip(parts, shares, strict=True)]
        return SideBySide(tuple(part for part, _ in merged)), np.concatenate([w for _, w in merged])
    cones = [member for member in units if isinstance(member, Cones)]
    if cones:
        B, e = [c.B for c in cones], [c.e for c in cones]
        return Cones(np.concatenate(B), np.concatenate(e)), np.concatenate(weights)
    networks = [member for member in units if isinstance(member, InputConvexNetwork)]
    return merge_networks(networks), np.concatenate(weights)


def merge_networks(networks: Sequence[InputConvexNetwork]) -> InputConvexNetwork:
    """Return the network whose outputs are those of all `networks`, one after the other."""
    first = networks[0]
    layers = range(len(first.K))
    return InputConvexNetwork(
        K=tuple(np.concatenate([network.K[i] for network in networks]) for i in layers),
        b=tuple(np.concatenate([network.b[i] for network in networks]) for i in layers),
        L=tuple(_diagonal_blocks(networks, i) for i in layers[:-1]),
        activation=first.activation,
        nonnegativity=first.nonnegativity,
    )


def average(potentials: Sequence[ConvexPotential]) -> AbstractPotential:
    """Return the average of potentials with the same quadratic axes and depth.

    One potential where the features are separable ones; member by member for other features.
    """
    separable = [p.features for p in potentials if isinstance(p.features, SeparableFeatures)]
    if len(separable) < len(potentials):
        return AveragePotential(tuple(potentials))
    first = separable[0]
    weights = [np.asarray(p.w) for p in potentials]
    parts = [features.split(w) for features, w in zip(separable, weights, strict=True)]
    share = 1.0 / len(potentials)
    network, quadratic, free = zip(*parts, strict=True)
    merged, weights = merge([features.network for features in separable], network)
    w = share * np.concatenate([weights, sum(quadratic), sum(free)])
    return ConvexPotential(SeparableFeatures(merged, first.axes, first.normalised), w)


def _diagonal_blocks(networks: Sequence[InputConvexNetwork], i: int) -> np.ndarray:
    """Return layer i's L with the members' in diagonal blocks."""
    nonnegativity = networks[0].nonnegativity
    blocks = np.asarray(jax.scipy.linalg.block_diag(*(network.L[i] for network in networks)))
    inside = np.asarray(jax.scipy.linalg.block_diag(*(np.ones_like(n.L[i]) for n in networks)))
    return np.where(inside > 0, blocks, nonnegativity.raw(np.full_like(blocks, NOTHING)))
