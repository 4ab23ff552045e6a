r"""The inverse of a curvature that changes little from step to step, from products already made.

A trust region's Krylov space leaves directions d_i with M d_i, conjugate to each other. Limited
memory BFGS ([1]_) makes of the latest of them a positive definite matrix H with H M d_i = d_i for
those of the last space, which preconditions the next one ([2]_): few products a step then do what
many do without, for what one space has found need not be found again.

References
----------
.. [1] J. Nocedal, "Updating Quasi-Newton Matrices with Limited Storage", Mathematics of
       Computation 35, 1980.
.. [2] J. L. Morales, J. Nocedal, "Automatic Preconditioning by Limited Memory Quasi-Newton
       Updating", SIAM J. Optim. 10, 2000.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from brenier.optimizers.krylov import KrylovSpace


class InverseCurvature(NamedTuple):
    """H.

    Attributes
    ----------
    memory : int
        Most pairs that are kept; without any, H is the identity.
    pairs : tuple of ((p,), (p,), float)
        Directions d, the oldest first, their images M d, and d . M d.
    scale : float
        H of what no pair is of.
    """

    memory: int
    pairs: tuple[tuple[np.ndarray, np.ndarray, float], ...] = ()
    scale: float = 1.0

    def after(self, space: KrylovSpace) -> "InverseCurvature":
        """Return what is known after another space."""
        found = space.conjugate
        if not self.memory or not found:
            return self
        # The inverse of the middle one of the curvatures.
        scale = 1.0 / float(np.median([curvature for *_, curvature in found]))
        return InverseCurvature(self.memory, (*self.pairs, *found)[-self.memory :], scale)

    def __call__(self, v: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
        """Return H v: the two loops of [1]_."""
        back = []
        for d, image, curvature in reversed(self.pairs):
            share = (d @ v) / curvature
            v = v - share * image
            back.append(share)
        v = self.scale * v
        for (d, image, curvature), share in zip(self.pairs, reversed(back), strict=True):
            v = v + (share - (image @ v) / curvature) * d
        return v
