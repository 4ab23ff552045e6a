r"""A density from a convex potential, given a context or not.

With the preprocessing y = T(x) and the map z = grad Phi(y), Jacobian A(y) = hess Phi(y),

    log p(x) = -1/2 |z|^2 - (n/2) log 2 pi + log det A(y) + log |det dT/dx|.

Where the potential depends on a context, rows are the targets' columns, then the context's; every
formula is that of the targets at fixed context.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from brenier.arrays import Array
from brenier.flow.inverse import Inversion, invert
from brenier.flow.preprocessing import AbstractPreprocessing
from brenier.linalg import log_det
from brenier.potential.features import AbstractPotential

LOG_2_PI = 1.8378770664093453


class ConvexFlow(eqx.Module):
    """The flow: data -> preprocessing -> gradient of the potential -> standard normal.

    Every method is a pure function of arrays; enter `jax.enable_x64(True)` for float64.
    """

    preprocessing: AbstractPreprocessing
    potential: AbstractPotential

    @property
    def n(self) -> int:
        """Number of columns, the context's not counted."""
        return self.potential.n

    def log_density(self, X: Float[Array, "N d"]) -> Float[Array, " N"]:
        """Return log p(x) in nats; minus infinity outside the bounds and where p underflows."""
        Y, log_det_preprocessing = self.preprocessing.forward(X)
        z, A = self.potential.gradient_and_hessian(Y)
        normal = -0.5 * jnp.sum(z * z, axis=0) - 0.5 * self.n * LOG_2_PI
        value = normal + log_det(A) + log_det_preprocessing
        # So far out that |z|^2 overflows, the density is zero to every digit.
        value = jnp.where(jnp.all(jnp.isfinite(z), axis=0) & jnp.isfinite(value), value, -jnp.inf)
        return jnp.where(self.preprocessing.inside(X), value, -jnp.inf)

    def transform(self, X: Float[Array, "N d"]) -> Float[Array, "N n"]:
        """Return z, the image of the rows under the map; NaN outside the bounds."""
        Y, _ = self.preprocessing.forward(X)
        z, _ = self.potential.gradient_and_hessian(Y)
        return jnp.where(self.preprocessing.inside(X)[:, None], z.T, jnp.nan)

    def log_det_jacobian(self, X: Float[Array, "N d"]) -> Float[Array, " N"]:
        """Return log |det dz/dx|, preprocessing included."""
        Y, log_det_preprocessing = self.preprocessing.forward(X)
        _, A = self.potential.gradient_and_hessian(Y)
        return log_det(A) + log_det_preprocessing

    def inverse(self, Z: Float[Array, "N d"]) -> tuple[Float[Array, "N n"], Inversion]:
        """Return the rows x whose images are z, and how well each was solved for.

        Rows of Z are images, then the context's columns. The certificate is in the potential's
        coordinates, after preprocessing.
        """
        context = self.preprocessing.context(Z[:, self.n :])
        inversion = invert(self.potential, Z[:, : self.n], context)
        return self.preprocessing.inverse(inversion.X), inversion
