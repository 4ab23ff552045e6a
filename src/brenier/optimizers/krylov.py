r"""A trust region's subproblem, solved in a Krylov space.

    minimise  g . d + 1/2 d . M d  over  |d| <= radius,  d = V z,

M symmetric and positive semidefinite, known by its products, V an orthonormal basis of the space
that g, M g, M^2 g, ... span, T = V^T M V tridiagonal (Lanczos). With V^T g = |g| e_1,

    z = - |g| (T + lambda I)^{-1} e_1,

lambda zero where that is within the region, else the one that puts it on the boundary ([1]_): the
step turns from what Newton's method would do towards steepest descent as the region shrinks, where
conjugate gradients that end at the boundary do not turn. GNvpro does the same ([2]_). A smaller
region costs no further product.

References
----------
.. [1] N. I. M. Gould, S. Lucidi, M. Roma, P. L. Toint, "Solving the Trust-Region Subproblem Using
       the Lanczos Method", SIAM J. Optim. 9, 1999.
.. [2] E. Newman, L. Ruthotto, J. Hart, B. van Bloemen Waanders, "Train Like a (Var)Pro: Efficient
       Training of Neural Networks with Variable Projection", 2021, arXiv 2007.13171, section 3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import brentq

Product = Callable[[np.ndarray], np.ndarray]
"""A symmetric positive semidefinite matrix, as what it does to a vector."""

# Of M's largest eigenvalue: curvatures below this, and what is left of a vector, are rounding.
ROUNDING = 1e-14
# Least curvature, relative to the gradient: the longest step is its inverse.
LEAST_CURVATURE = 1e-100


@dataclass(frozen=True)
class KrylovSpace:
    """V and T, and the gradient's size.

    Attributes
    ----------
    V : (p, k)
        Orthonormal basis.
    diagonal, beside : (k,), (k - 1,)
        T.
    size : float
        |g|.
    """

    V: Float[np.ndarray, "p k"]
    diagonal: Float[np.ndarray, " k"]
    beside: Float[np.ndarray, " j"]
    size: float

    @staticmethod
    def of(
        product: Product,
        gradient: Float[np.ndarray, " p"],
        radius: float,
        tolerance: float,
        max_products: int,
    ) -> "KrylovSpace":
        """Return the space in which the step to a region's boundary is right to a tolerance.

        Parameters
        ----------
        product, gradient
            M and g.
        radius : float
            Of the region.
        tolerance : float
            Norm of (M + lambda I) d + g, relative to |g|, at which no more products are made.
        max_products : int
            Most products, the space's dimension.
        """
        size = float(np.linalg.norm(gradient))
        V, diagonal, beside = [gradient / size], [], []
        while True:
            image = product(V[-1])
            diagonal.append(V[-1] @ image)
            left = _without(np.stack(V, axis=1), image)
            space = KrylovSpace(
                np.stack(V, axis=1), np.array(diagonal), np.array(beside, dtype=float), size
            )
            norm = float(np.linalg.norm(left))
            residual = norm * abs(space.coordinates(radius)[-1])
            done = residual <= tolerance * size or norm <= ROUNDING * float(np.max(diagonal))
            if done or len(V) == max_products:
                return space
            beside.append(norm)
            V.append(left / norm)

    def coordinates(self, radius: float) -> Float[np.ndarray, " k"]:
        """Return z."""
        curvature, Q = eigh_tridiagonal(self.diagonal, self.beside)
        # Without any curvature still so much that the step is a number.
        least = max(ROUNDING * float(curvature[-1]), LEAST_CURVATURE * self.size)
        curvature, slopes = np.maximum(curvature, least), -self.size * Q[0]

        def shifted(shift: float) -> Float[np.ndarray, " k"]:
            return slopes / (curvature + shift)

        def beyond(shift: float) -> float:
            # Nearly linear in the shift, as |z| itself is not.
            return 1.0 / radius - 1.0 / float(np.linalg.norm(shifted(shift)))

        # Curvature is not negative: at twice |g| / radius |z| is at most half the radius.
        shift: Any = brentq(beyond, 0.0, 2.0 * self.size / radius) if beyond(0.0) > 0.0 else 0.0
        return Q @ shifted(shift)

    def step(self, radius: float) -> tuple[Float[np.ndarray, " p"], float]:
        """Return d, and by how much the model is lower there."""
        z = self.coordinates(radius)
        curved = self.diagonal @ z**2 + 2.0 * self.beside @ (z[:-1] * z[1:])
        return self.V @ z, float(-self.size * z[0] - 0.5 * curved)


def _without(V: Float[np.ndarray, "p k"], v: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
    """Return what of a vector is orthogonal to a basis; once leaves more than rounding."""
    v = v - V @ (V.T @ v)
    return v - V @ (V.T @ v)
