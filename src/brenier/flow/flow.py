r"""A density from a convex potential.

With the preprocessing y = T(x) and the map z = grad Phi(y), Jacobian A(y) = hess Phi(y),

    log p(x) = -1/2 |z|^2 - (n/2) log 2 pi + log det A(y) + log |det dT/dx|.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from brenier.arrays import Array
from brenier.flow.inverse import Inversion, invert
from brenier.flow.preprocessing import Preprocessing
from brenier.linalg import log_det
from brenier.potential.head import ConvexPotential

LOG_2_PI = 1.8378770664093453


class ConvexFlow(eqx.Module):
    """The flow: data -> preprocessing -> gradient of the potential -> standard normal.

    Every method is a pure function of arrays; enter `jax.enable_x64(True)` for float64.
    """

    preprocessing: Preprocessing
    potential: ConvexPotential

    @property
    def n(self) -> int:
        """Number of columns."""
        return self.potential.n

    def log_density(self, X: Float[Array, "N n"]) -> Float[Array, " N"]:
        """Return log p(x) in nats; minus infinity outside the bounds and where p underflows."""
        Y, log_det_preprocessing = self.preprocessing.forward(X)
        z, A = self.potential.gradient_and_hessian(Y)
        normal = -0.5 * jnp.sum(z * z, axis=0) - 0.5 * self.n * LOG_2_PI
        value = normal + log_det(A) + log_det_preprocessing
        # So far out that |z|^2 overflows, the density is zero to every digit.
        value = jnp.where(jnp.all(jnp.isfinite(z), axis=0) & jnp.isfinite(value), value, -jnp.inf)
        return jnp.where(self.preprocessing.inside(X), value, -jnp.inf)

    def transform(self, X: Float[Array, "N n"]) -> Float[Array, "N n"]:
        """Return z, the image of the rows under the map; NaN outside the bounds."""
        Y, _ = self.preprocessing.forward(X)
        z, _ = self.potential.gradient_and_hessian(Y)
        return jnp.where(self.preprocessing.inside(X)[:, None], z.T, jnp.nan)

    def log_det_jacobian(self, X: Float[Array, "N n"]) -> Float[Array, " N"]:
        """Return log |det dz/dx|, preprocessing included."""
        Y, log_det_preprocessing = self.preprocessing.forward(X)
        _, A = self.potential.gradient_and_hessian(Y)
        return log_det(A) + log_det_preprocessing

    def inverse(self, Z: Float[Array, "N n"]) -> tuple[Float[Array, "N n"], Inversion]:
        """Return the rows x whose images are z, and how well each was solved for.

        The certificate is in the potential's coordinates, after preprocessing.
        """
        inversion = invert(self.potential, Z)
        return self.preprocessing.inverse(inversion.X), inversion
