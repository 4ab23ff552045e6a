r"""Multinomial cross-entropy with Tikhonov's term: the inner problem of classification.

    J(W) = sum_j omega_j [ log sum_k exp o_jk - sum_k y_jk o_jk ] + 1/2 sum_i rho_i w_i^2,

o_j = W^T f_j the logits of row j, f_j in R^m its basis functions, y_j its classes' probabilities,
with the sum one (most often a one among zeros). With p_j = softmax o_j,

    gradient = sum_j omega_j f_j (p_j - y_j)^T + rho W,
    Hessian_(ik)(jl) = sum_r omega_r f_ri f_rj (p_rk delta_kl - p_rk p_rl) + diag rho.

The same added to all logits of a row changes nothing, so rho must be positive.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from brenier.arrays import Array
from brenier.inner.objective import AbstractObjective, Evaluation


class CrossEntropy(AbstractObjective):
    """J as a function of w = vec W by rows.

    Attributes
    ----------
    F : (N, m)
        Basis functions at every row.
    Y : (N, o)
        Probabilities of the classes.
    omega : (N,)
        Weights; rows of weight zero are padding.
    ridge : (m, o)
        rho.
    """

    F: Float[Array, "N m"]
    Y: Float[Array, "N o"]
    omega: Float[Array, " N"]
    ridge: Float[Array, "m o"]

    @staticmethod
    def of(
        F: Float[Array, "N m"],
        Y: Float[Array, "N o"],
        omega: Float[Array, " N"],
        ridge: Float[Array, " mo"],
    ) -> "CrossEntropy":
        """Return J of basis functions and probabilities at N rows."""
        return CrossEntropy(F, Y, omega, jnp.reshape(ridge, (F.shape[1], Y.shape[1])))

    def evaluate(
        self, w: Float[Array, " mo"], *, with_hessian: bool | Bool[Array, ""] = True
    ) -> Evaluation:
        """Return J(w), its gradient and its Hessian."""
        W = w.reshape(self.ridge.shape)
        logits = self.F @ W
        log_p = jax.nn.log_softmax(logits, axis=1)
        p, penalty = jnp.exp(log_p), self.ridge * W
        gradient = self.F.T @ (self.omega[:, None] * (p - self.Y)) + penalty
        return Evaluation(
            value=-self.omega @ jnp.sum(self.Y * log_p, axis=1) + 0.5 * jnp.sum(W * penalty),
            gradient=gradient.ravel(),
            hessian=jax.lax.cond(
                with_hessian,
                lambda: self._hessian(p),
                lambda: jnp.zeros((len(w), len(w)), w.dtype),
            ),
        )

    def _hessian(self, p: Float[Array, "N o"]) -> Float[Array, "mo mo"]:
        m, o = self.ridge.shape
        weighted = self.omega[:, None] * p
        # The blocks on the diagonal of classes, (o, m, m), then what couples the classes.
        own = jax.vmap(lambda weight: (weight[:, None] * self.F).T @ self.F, in_axes=1)(weighted)
        spread = jnp.einsum("kij,kl->ikjl", own, jnp.eye(o)).reshape(m * o, m * o)
        rows = jnp.sqrt(self.omega)[:, None, None] * self.F[:, :, None] * p[:, None, :]
        rows = rows.reshape(-1, m * o)
        return spread - rows.T @ rows + jnp.diag(self.ridge.ravel())
