r"""Multinomial cross-entropy with Tikhonov's term: the inner problem of classification.

    J(W) = sum_j omega_j [ log sum_k exp o_jk - sum_k y_jk o_jk ] + 1/2 sum_i rho_i w_i^2,

o_j = W^T f_j the logits of row j, f_j in R^m its basis functions, y_j its classes' probabilities,
with the sum one (most often a one among zeros). With p_j = softmax o_j,

    gradient = sum_j omega_j f_j (p_j - y_j)^T + rho W,
    Hessian_(ik)(jl) = sum_r omega_r f_ri f_rj (p_rk delta_kl - p_rk p_rl) + diag rho.

The same added to all logits of a row changes nothing, so rho must be positive.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from brenier.arrays import Array
from brenier.inner.objective import AbstractObjective, Evaluation

Product = Callable[[Array], Array]
"""A symmetric matrix, as what it does to a vector."""


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

    def curvature(self, w: Float[Array, " mo"]) -> tuple[Product, Product]:
        """Return the Hessian at w as what it does to a vector, and nearly its inverse.

        Nearly: every row's diag p - p p^T is taken for the multiple of the identity, between
        vectors with the sum zero, that has the same trace. Such vectors are all that Newton's
        method meets from weights whose classes have the sum zero, where rho is the same for all
        classes; along the others the Hessian is next to nothing. A single matrix is factorised, not
        one a class: several threads that have batches of factorisations wait for each other.
        """
        m, o = self.ridge.shape
        p = jax.nn.softmax(self.F @ w.reshape(m, o), axis=1)
        weighted = self.omega[:, None] * p

        def product(v: Array) -> Array:
            V = v.reshape(m, o)
            change = self.F @ V
            change = weighted * (change - jnp.sum(p * change, axis=1, keepdims=True))
            return (self.F.T @ change + self.ridge * V).ravel()

        # A single class is certain, whatever its logits.
        alike = self.omega * (1.0 - jnp.sum(p * p, axis=1)) / max(o - 1, 1)
        near = (alike[:, None] * self.F).T @ self.F + jnp.diag(jnp.mean(self.ridge, axis=1))
        factor = jnp.linalg.cholesky(near)

        def precondition(v: Array) -> Array:
            V = jax.scipy.linalg.cho_solve((factor, True), v.reshape(m, o))
            return (V - jnp.mean(V, axis=1, keepdims=True)).ravel()

        return product, precondition

    def _hessian(self, p: Float[Array, "N o"]) -> Float[Array, "mo mo"]:
        m, o = self.ridge.shape
        weighted = self.omega[:, None] * p
        # The blocks on the diagonal of classes, (o, m, m), then what couples the classes.
        own = jax.vmap(lambda weight: (weight[:, None] * self.F).T @ self.F, in_axes=1)(weighted)
        spread = jnp.einsum("kij,kl->ikjl", own, jnp.eye(o)).reshape(m * o, m * o)
        rows = jnp.sqrt(self.omega)[:, None, None] * self.F[:, :, None] * p[:, None, :]
        rows = rows.reshape(-1, m * o)
        return spread - rows.T @ rows + jnp.diag(self.ridge.ravel())
