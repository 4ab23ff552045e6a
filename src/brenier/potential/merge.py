r"""The weighted sum of potentials, as one potential.

J is convex in Phi, for z and A are linear in it: so an average of potentials is, on any rows
whatever, at least as good as the average of their losses,

    J(sum_k a_k Phi_k) <= sum_k a_k J(Phi_k),    a_k >= 0,  sum_k a_k = 1,

and its gradient is still the gradient of a convex function, an optimal-transport map. (A mixture of
the densities would have no such map.) The sum of fully convex networks is one network, with the
members' weights in diagonal blocks.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import block_diag

from brenier.potential.features import AbstractPotential, ConvexPotential, SumPotential
from brenier.potential.head import SeparableFeatures
from brenier.potential.icnn import InputConvexNetwork
from brenier.potential.radial import RadialUnits
from brenier.potential.units import AbstractUnits, ConcatenatedUnits

# Hidden weights between members; through a softplus they cannot be zero.
NOTHING = 1e-20


def merge(
    units: Sequence[AbstractUnits], weights: Sequence[np.ndarray]
) -> tuple[AbstractUnits, np.ndarray]:
    """Return the units whose sum with the weights returned is the sum of all, each with its own.

    Units of one kind become one; some may have kinds that others lack.
    """
    kinds: dict[type[AbstractUnits], list[tuple[AbstractUnits, np.ndarray]]] = {}
    for member, v in zip(units, weights, strict=True):
        several = member if isinstance(member, ConcatenatedUnits) else ConcatenatedUnits((member,))
        for part, share in zip(several.parts, several.split(v), strict=True):
            kinds.setdefault(type(part), []).append((part, np.asarray(share)))
    merged = tuple(_MERGED[kind]([part for part, _ in of_kind]) for kind, of_kind in kinds.items())
    w = np.concatenate([share for of_kind in kinds.values() for _, share in of_kind])
    return (merged[0] if len(merged) == 1 else ConcatenatedUnits(merged)), w


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


def merge_radial(parts: Sequence[RadialUnits]) -> RadialUnits:
    """Return all units, one after the other."""
    return RadialUnits(
        np.concatenate([part.B for part in parts]), np.concatenate([part.e for part in parts])
    )


_MERGED: dict[type[AbstractUnits], Callable[[Sequence], AbstractUnits]] = {
    InputConvexNetwork: merge_networks,
    RadialUnits: merge_radial,
}


def combine(
    potentials: Sequence[AbstractPotential], shares: Sequence[float] | Float[np.ndarray, " K"]
) -> AbstractPotential:
    """Return sum_k a_k Phi_k, without the potentials whose share is zero.

    Separable potentials, which must have the same quadratic axes and depth, become one, without
    the units of those that give their units no weight; others are summed member by member.
    """
    heads = [
        (p.features, share * np.asarray(p.w))
        for p, share in zip(potentials, shares, strict=True)
        if isinstance(p, ConvexPotential) and isinstance(p.features, SeparableFeatures)
    ]
    if len(heads) == len(potentials):
        return _one_head(heads)
    kept = [k for k, share in enumerate(shares) if share]
    return SumPotential(tuple(potentials[k] for k in kept), np.asarray(shares)[kept])


def without_idle(potential: AbstractPotential, idle: Bool[np.ndarray, " m"]) -> AbstractPotential:
    """Return the potential without the units whose weights are idle; these must be radial."""
    if not np.any(idle):
        return potential
    if not isinstance(potential, ConvexPotential):
        raise TypeError("Expected the potential of some features; got a sum.")
    features = potential.features
    if not isinstance(features, SeparableFeatures):
        raise TypeError("Expected idle units beside a network; got other features.")
    units = features.network
    if not isinstance(units, ConcatenatedUnits):
        raise TypeError("Expected idle units beside a network; got it alone.")
    network, radial = units.parts
    if not isinstance(radial, RadialUnits):
        raise TypeError("Expected radial units beside a network; got others.")
    kept = ~idle[network.width : units.width]
    left: AbstractUnits = network
    if np.any(kept):
        left = ConcatenatedUnits((network, RadialUnits(radial.B[kept], radial.e[kept])))
    head = SeparableFeatures(left, features.axes, features.normalised)
    return ConvexPotential(head, np.asarray(potential.w)[~idle])


def _one_head(heads: Sequence[tuple[SeparableFeatures, np.ndarray]]) -> ConvexPotential:
    """Return the sum of w . f over separable features f with weights w."""
    first = heads[0][0]
    network, quadratic, free = zip(*(features.split(w) for features, w in heads), strict=True)
    present = [k for k, weights in enumerate(network) if np.any(weights)] or [0]
    merged, weights = merge([heads[k][0].network for k in present], [network[k] for k in present])
    w = np.concatenate([weights, sum(quadratic), sum(free)])
    return ConvexPotential(SeparableFeatures(merged, first.axes, first.normalised), w)


def _diagonal_blocks(networks: Sequence[InputConvexNetwork], i: int) -> np.ndarray:
    """Return layer i's L with the members' in diagonal blocks."""
    nonnegativity = networks[0].nonnegativity
    blocks = block_diag(*(np.asarray(network.L[i]) for network in networks))
    inside = block_diag(*(np.ones(n.L[i].shape) for n in networks))
    return np.where(inside > 0, blocks, nonnegativity.raw(np.full_like(blocks, NOTHING)))
