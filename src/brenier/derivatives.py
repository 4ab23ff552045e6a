"""What passes between features and the convex problem in their weights."""

import equinox as eqx
from jaxtyping import Float

from brenier.arrays import Array


class FeatureDerivatives(eqx.Module):
    """What J needs of the features at N points.

    Attributes
    ----------
    gradients : (n, N, m)
        G: gradients of all features.
    hessians : (P, N, k)
        H: packed Hessians of the first k features.
    directions : (n, N, r)
        d: the next r features have Hessians d d^T; those of the others are zero.
    """

    gradients: Float[Array, "n N m"]
    hessians: Float[Array, "P N k"]
    directions: Float[Array, "n N r"]
