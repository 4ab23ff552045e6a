r"""Tails heavier than a normal's: the inverse of Tukey's h transformation, radially in z.

A map whose slope is bounded away from zero gives a density tails no heavier than a normal's, and a
row that is ten standard deviations from all others costs fifty nats. With

    z = u exp(h (|u|^2 - a) / 2),    h > 0,   a = n + 1,

and u in the place of z as the standard normal, the tails fall like the power 1 / h [1, 2]. Solved
for u, with W Lambert's function:

    v = h |z|^2 exp(h a),   w = W(v),   u = z exp((h a - w) / 2),
    log |det du/dz| = n (h a - w) / 2 - log(1 + w).

The map is the gradient of a convex function of |z|. It leaves the sphere |u|^2 = a where it is,
which lies between the mean of |u|^2, n, and its mean weighted by |u|^2, n + 2: heavier tails then
hardly move the quantiles in the middle. How heavy is decided by rows that were not trained on.

References
----------
.. [1] D. C. Hoaglin, "Summarizing Shape Numerically: The g-and-h Distributions", in "Exploring Data
       Tables, Trends, and Shapes", 1985.
.. [2] G. M. Goerg, "The Lambert Way to Gaussianize Heavy-Tailed Data with the Inverse of Tukey's h
       Transformation as a Special Case", The Scientific World Journal, 2015.
"""

import equinox as eqx
from jaxtyping import Float

from brenier.arrays import Array, library_of

# |z|^2 is taken for this where it is more, so that nothing overflows.
MOST_SQUARED = 1e300
# Largest exponent of a stretch, likewise.
MOST_EXPONENT = 300.0
# Halley steps for Lambert's function that reach rounding from log(1 + v), for all finite v >= 0.
HALLEY_STEPS = 7


class Tail(eqx.Module):
    """The map from z to u.

    Parameters
    ----------
    h : ()
        How heavy; positive.
    """

    h: Float[Array, ""]

    def forward(self, z: Float[Array, "n N"]) -> tuple[Float[Array, "n N"], Float[Array, " N"]]:
        """Return u and log |det du/dz|."""
        xp, n = library_of(z), z.shape[0]
        shift = self.h * (n + 1)
        squared = xp.minimum(xp.sum(z * z, axis=0), MOST_SQUARED)
        w = lambert_w(self.h * squared * xp.exp(shift))
        half = 0.5 * (shift - w)
        return z * xp.exp(half), n * half - xp.log1p(w)

    def inverse(self, u: Float[Array, "N n"]) -> Float[Array, "N n"]:
        """Return z of rows u."""
        xp, n = library_of(u), u.shape[1]
        squared = xp.sum(u * u, axis=1, keepdims=True)
        return u * xp.exp(xp.minimum(0.5 * self.h * (squared - (n + 1)), MOST_EXPONENT))


def lambert_w(v: Float[Array, "*_"]) -> Float[Array, "*_"]:
    """Return the w >= 0 with w exp(w) = v, for v >= 0."""
    xp = library_of(v)
    w = xp.log1p(v)
    for _ in range(HALLEY_STEPS):
        excess = w - v * xp.exp(-w)
        w = w - excess / (w + 1.0 - 0.5 * (w + 2.0) * excess / (w + 1.0))
    return w
