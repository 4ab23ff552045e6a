r"""The weighted sum of potentials, as one potential.

J is convex in Phi, for z and A are linear in it: so an average of potentials is, on any rows
whatever, at least as good as the average of their losses,

    J(sum_k a_k Phi_k) <= sum_k a_k J(Phi_k),    a_k >= 0,  sum_k a_k = 1,

and its gradient is still the gradient of a convex function, an optimal-transport map. (A mixture of
the densities would have no such map.)
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from brenier.potential.features import AbstractPotential, ConvexPotential
from brenier.potential.head import NEGLIGIBLE, SeparableFeatures, curved_axes
from brenier.potential.radial import RadialUnits
from brenier.potential.sums import SumPotential, separable, share_axes
from brenier.potential.units import AbstractUnits, ConcatenatedUnits


def combine(
    potentials: Sequence[AbstractPotential], shares: Sequence[float] | Float[np.ndarray, " K"]
) -> AbstractPotential:
    """Return sum_k a_k Phi_k, without the potentials whose share is zero.

    Of separable potentials of the same quadratic axes, those that give their units no weight are no
    members: their other terms are added to the first one's. Of many columns axes are made the same.
    """
    heads = separable(potentials)
    if len(heads) == len(potentials):
        scaled = [
            (features, share * np.asarray(w))
            for (features, w), share in zip(heads, shares, strict=True)
        ]
        if share_axes(potentials):
            return _of_heads(scaled)
        if all(features.is_wide for features, _ in heads):
            return _of_heads(_along_common_axes(scaled))
    kept = [k for k, share in enumerate(shares) if share]
    return SumPotential.of([potentials[k] for k in kept], np.asarray(shares)[kept])


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
    head = replace(features, network=left)
    return ConvexPotential(head, np.asarray(potential.w)[~idle])


def _along_common_axes(
    heads: Sequence[tuple[SeparableFeatures, np.ndarray]],
) -> list[tuple[SeparableFeatures, np.ndarray]]:
    """Return separable features and weights with the same sum, all quadratics along its own axes.

    The first has them all.
    """
    parts = [features.split(w) for features, w in heads]
    total = sum(
        (features.axes.T * quadratic) @ features.axes
        for (features, _), (_, quadratic, _) in zip(heads, parts, strict=True)
    )
    # Those that no unit is curved along stay apart, and last.
    first = np.asarray(heads[0][0].axes)
    directions = [np.asarray(features.network.directions()) for features, _ in heads]
    curved = curved_axes(np.concatenate(directions), first)
    across = first[curved] @ total @ first[~curved].T
    if np.max(np.abs(across), initial=0.0) > NEGLIGIBLE * np.max(np.abs(total)):
        curved[:] = True
    blocks = [first[part] for part in (curved, ~curved) if np.any(part)]
    weights, vectors = zip(*(np.linalg.eigh(B @ total @ B.T) for B in blocks), strict=True)
    weights = np.concatenate(weights)
    axes = np.concatenate([V.T @ block for V, block in zip(vectors, blocks, strict=True)])
    return [
        (
            replace(features, axes=axes, n_curved=None).with_n_curved(),
            np.concatenate([network, weights if k == 0 else 0.0 * weights, free]),
        )
        for k, ((features, _), (network, _, free)) in enumerate(zip(heads, parts, strict=True))
    ]


def _of_heads(heads: Sequence[tuple[SeparableFeatures, np.ndarray]]) -> AbstractPotential:
    """Return the sum of w . f over separable features f with weights w.

    The first member has all quadratics and linear terms: its least quadratic weight is the sum's.
    """
    network, quadratic, free = zip(*(features.split(w) for features, w in heads), strict=True)
    present = [k for k, weights in enumerate(network) if np.any(weights)] or [0]
    common = np.concatenate([sum(quadratic), sum(free)])
    members = tuple(
        ConvexPotential(heads[k][0], np.concatenate([network[k], common if i == 0 else 0 * common]))
        for i, k in enumerate(present)
    )
    return members[0] if len(members) == 1 else SumPotential.of(members, np.ones(len(members)))
