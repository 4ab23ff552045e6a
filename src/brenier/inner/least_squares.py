r"""Least squares with Tikhonov's term: the inner problem of regression.

    J(W) = 1/2 sum_j omega_j |W^T f_j - y_j|^2 + 1/2 sum_i rho_i w_i^2,    w = vec W by rows,

f_j in R^m the basis functions at row j, y_j in R^o its targets. With M = sum_j omega_j f_j f_j^T,
and C = sum_j omega_j f_j y_j^T, which do not depend on W,

    gradient = M W - C + rho W,    Hessian = kron(M, I) + diag rho,

so every output is a system of its own with the same M. Without constraints the minimiser is known
in closed form; with w >= 0 the interior-point solvers find it.

References
----------
.. [1] G. H. Golub, V. Pereyra, "The Differentiation of Pseudo-Inverses and Nonlinear Least Squares
       Problems Whose Variables Separate", SIAM J. Numer. Anal. 10, 1973.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from brenier.arrays import Array
from brenier.inner.newton import newton_direction
from brenier.inner.objective import AbstractObjective, Evaluation
from brenier.inner.solution import AbstractInnerSolver, InnerSolution, WarmStart
from brenier.status import InnerStatus


class LeastSquares(AbstractObjective):
    """J as a function of w = vec W.

    Attributes
    ----------
    M : (m, m)
        Second moments of the basis functions.
    C : (m, o)
        Their moments with the targets.
    constant : ()
        1/2 sum_j omega_j |y_j|^2.
    ridge : (m, o)
        rho.
    """

    M: Float[Array, "m m"]
    C: Float[Array, "m o"]
    constant: Float[Array, ""]
    ridge: Float[Array, "m o"]

    @staticmethod
    def of(
        F: Float[Array, "N m"],
        Y: Float[Array, "N o"],
        omega: Float[Array, " N"],
        ridge: Float[Array, " mo"],
    ) -> "LeastSquares":
        """Return J of basis functions and targets at N rows."""
        weighted = omega[:, None] * F
        return LeastSquares(
            M=weighted.T @ F,
            C=weighted.T @ Y,
            constant=0.5 * jnp.sum(omega[:, None] * Y**2),
            ridge=jnp.reshape(ridge, (F.shape[1], Y.shape[1])),
        )

    def evaluate(
        self, w: Float[Array, " mo"], *, with_hessian: bool | Bool[Array, ""] = True
    ) -> Evaluation:
        """Return J(w), its gradient and its Hessian."""
        W = w.reshape(self.C.shape)
        MW, penalty = self.M @ W, self.ridge * W
        value = 0.5 * jnp.sum(W * (MW + penalty)) - jnp.sum(W * self.C) + self.constant

        def hessian() -> Array:
            return jnp.kron(self.M, jnp.eye(W.shape[1])) + jnp.diag(self.ridge.ravel())

        return Evaluation(
            value=value,
            gradient=(MW - self.C + penalty).ravel(),
            hessian=jax.lax.cond(
                with_hessian, hessian, lambda: jnp.zeros((len(w), len(w)), w.dtype)
            ),
        )

    def minimiser(self) -> Float[Array, " mo"]:
        """Return the W of no constraints, vec W.

        One output after the other: several threads that have batches of factorisations wait for
        each other.
        """

        def of_output(parts: tuple[Array, Array]) -> Array:
            c, rho = parts
            return -newton_direction(self.M + jnp.diag(rho), c)

        return jax.lax.map(of_output, (self.C.T, self.ridge.T)).T.ravel()


class ClosedForm(AbstractInnerSolver):
    """Solves least squares whose weights are all free, by Cholesky's factors."""

    # No barrier, and one Newton step.
    tau: float = 0.0
    max_steps: int = 1

    def solve(
        self, objective: AbstractObjective, lower: Float[Array, " m"], start: WarmStart
    ) -> InnerSolution:
        """Return the minimiser; lower bounds must be minus infinity."""
        if not isinstance(objective, LeastSquares):
            raise TypeError(f"Expected least squares; got {type(objective).__name__}.")
        w = objective.minimiser()
        finite = jnp.all(jnp.isfinite(w))
        return InnerSolution(
            w=w,
            multipliers=jnp.zeros_like(w),
            decrement=jnp.zeros((), w.dtype),
            complementarity=jnp.zeros((), w.dtype),
            newton_steps=jnp.asarray(1),
            chord_steps=jnp.asarray(0),
            status=jnp.where(
                finite, int(InnerStatus.CONVERGED), int(InnerStatus.NUMERICAL_FAILURE)
            ),
        )
