r"""A location and a scale of the targets that depend on the context.

With the context scaled, and a one after it, c,

    y -> exp(-S c) (y - M c),

column by column: what is left has no linear trend, and no trend of its scale. A scale that is the
exponential of a line goes on beyond the rows as it does among them: a funnel's neck, noise in
proportion to what is measured. `brenier.training.context_spread` finds it.
"""

import equinox as eqx
from jaxtyping import Float

from brenier.arrays import Array, library_of


class ContextSpread(eqx.Module):
    """y -> exp(-S c) (y - M c) with c the scaled context, then a one.

    Attributes
    ----------
    location, log_scale : (n, q + 1)
        M and S.
    """

    location: Float[Array, "n q_and_1"]
    log_scale: Float[Array, "n q_and_1"]

    def forward(
        self, Y: Float[Array, "N n"], C: Float[Array, "N q"]
    ) -> tuple[Float[Array, "N n"], Float[Array, " N"]]:
        """Return what is left of the targets at their contexts, and log |det| of the map there."""
        means, log_scales = self._at(C)
        xp = library_of(Y)
        return (Y - means) * xp.exp(-log_scales), -xp.sum(log_scales, axis=1)

    def inverse(self, Y: Float[Array, "N n"], C: Float[Array, "N q"]) -> Float[Array, "N n"]:
        """Return the targets of which Y is left at their contexts."""
        means, log_scales = self._at(C)
        return means + Y * library_of(Y).exp(log_scales)

    def _at(self, C: Float[Array, "N q"]) -> tuple[Array, Array]:
        """Return location and logarithm of the scale at every context."""
        M, S = (library_of(C).asarray(part) for part in (self.location, self.log_scale))
        return C @ M[:, :-1].T + M[:, -1], C @ S[:, :-1].T + S[:, -1]
