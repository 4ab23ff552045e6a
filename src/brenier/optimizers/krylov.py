r"""A trust region's subproblem, solved in a preconditioned Krylov space.

    minimise  g . d + 1/2 d . M d  over  |d| <= radius,  d = V z,

M symmetric and positive semidefinite, known by its products, V an orthonormal basis that grows by
what the last step leaves over, preconditioned: H r with r = (M + lambda I) d + g and H near the
inverse of M (generalised Davidson, [1]_; with H = I it is Lanczos's method). With T = V^T M V,

    z = - (T + lambda I)^{-1} V^T g,

lambda zero where that is within the region, else the one that puts it on the boundary ([2]_): the
step turns from what Newton's method would do towards steepest descent as the region shrinks, where
conjugate gradients that end at the boundary do not turn. A smaller region costs no further product.

References
----------
.. [1] R. B. Morgan, D. S. Scott, "Generalizations of Davidson's Method for Computing Eigenvalues of
       Sparse Symmetric Matrices", SIAM J. Sci. Stat. Comput. 7, 1986.
.. [2] N. I. M. Gould, S. Lucidi, M. Roma, P. L. Toint, "Solving the Trust-Region Subproblem Using
       the Lanczos Method", SIAM J. Optim. 9, 1999.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq

Product = Callable[[np.ndarray], np.ndarray]
"""A symmetric positive semidefinite matrix, as what it does to a vector."""

# Of M's largest eigenvalue: curvatures below this are rounding.
ROUNDING = 1e-14
# Of a vector: what is left of it beside a basis is rounding below this.
DEPENDENT = 1e-10
# Least curvature, relative to the gradient: the longest step is its inverse.
LEAST_CURVATURE = 1e-100


@dataclass(frozen=True)
class KrylovSpace:
    """A space with all that the model is in it.

    Attributes
    ----------
    V, images : (p, k)
        Orthonormal basis, and M V.
    gradient : (p,)
        g.
    curvature, Q : (k,), (k, k)
        Eigenvalues of T, ascending, and its eigenvectors.
    """

    V: Float[np.ndarray, "p k"]
    images: Float[np.ndarray, "p k"]
    gradient: Float[np.ndarray, " p"]
    curvature: Float[np.ndarray, " k"]
    Q: Float[np.ndarray, "k k"]

    @staticmethod
    def of(
        product: Product,
        gradient: Float[np.ndarray, " p"],
        radius: float,
        tolerance: float,
        max_products: int,
        precondition: Product = lambda v: v,
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
        precondition : callable
            H, positive definite.
        """
        size = float(np.linalg.norm(gradient))
        V = images = np.empty((len(gradient), 0))
        v = precondition(gradient)
        v = v / np.linalg.norm(v)
        while True:
            V, images = np.column_stack([V, v]), np.column_stack([images, product(v)])
            T = V.T @ images
            space = KrylovSpace(V, images, gradient, *np.linalg.eigh(0.5 * (T + T.T)))
            z, shift = space._solved(radius)
            left = images @ z + shift * (V @ z) + gradient
            if np.linalg.norm(left) <= tolerance * size or V.shape[1] == max_products:
                return space
            wanted = precondition(left)
            v = _without(V, wanted)
            norm = float(np.linalg.norm(v))
            if not norm > DEPENDENT * np.linalg.norm(wanted):
                return space
            v = v / norm

    def step(self, radius: float) -> tuple[Float[np.ndarray, " p"], float]:
        """Return d, and by how much the model is lower there."""
        z, _ = self._solved(radius)
        d = self.V @ z
        return d, float(-self.gradient @ d - 0.5 * d @ (self.images @ z))

    @property
    def conjugate(self) -> list[tuple[np.ndarray, np.ndarray, float]]:
        """Directions d conjugate to each other, M d and d . M d, where that is not rounding."""
        kept = self.curvature > ROUNDING * max(float(self.curvature[-1]), 0.0)
        directions, images = (self.V @ self.Q[:, kept]).T, (self.images @ self.Q[:, kept]).T
        return list(zip(directions, images, self.curvature[kept].tolist(), strict=True))

    def _solved(self, radius: float) -> tuple[Float[np.ndarray, " k"], float]:
        """Return z and lambda."""
        slopes = -self.Q.T @ (self.V.T @ self.gradient)
        size = float(np.linalg.norm(slopes))
        # Without any curvature still so much that the step is a number.
        least = max(ROUNDING * float(self.curvature[-1]), LEAST_CURVATURE * size)
        curvature = np.maximum(self.curvature, least)

        def shifted(shift: float) -> Float[np.ndarray, " k"]:
            return slopes / (curvature + shift)

        def beyond(shift: float) -> float:
            # Nearly linear in the shift, as |z| itself is not.
            return 1.0 / radius - 1.0 / float(np.linalg.norm(shifted(shift)))

        # Curvature is not negative: at twice |g| / radius |z| is at most half the radius.
        shift: Any = brentq(beyond, 0.0, 2.0 * size / radius) if beyond(0.0) > 0.0 else 0.0
        return self.Q @ shifted(shift), shift


def _without(V: Float[np.ndarray, "p k"], v: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
    """Return what of a vector is orthogonal to a basis; once leaves more than rounding."""
    v = v - V @ (V.T @ v)
    return v - V @ (V.T @ v)
