"""What predictions are judged by, and the convex problem that it makes in the last layer's weights.

A loss sees outputs and targets, never what the outputs are made by.
"""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from brenier.arrays import Array
from brenier.inner.cross_entropy import CrossEntropy
from brenier.inner.least_squares import ClosedForm, LeastSquares
from brenier.inner.objective import AbstractObjective
from brenier.inner.solution import AbstractInnerSolver
from brenier.inner.truncated_newton import TruncatedNewton


class AbstractLoss(eqx.Module):
    """A convex function of a row's outputs, given its targets."""

    @abstractmethod
    def per_row(self, outputs: Float[Array, "N o"], Y: Float[Array, "N o"]) -> Float[Array, " N"]:
        """Return the loss of every row."""

    @abstractmethod
    def objective(
        self,
        F: Float[Array, "N m"],
        Y: Float[Array, "N o"],
        omega: Float[Array, " N"],
        ridge: Float[Array, " mo"],
    ) -> AbstractObjective:
        """Return the loss of the outputs F W as a function of w = vec W by rows.

        Parameters
        ----------
        F : (N, m)
            Basis functions.
        Y : (N, o)
            Targets.
        omega : (N,)
            Weights, summing to one; zero for padding.
        ridge : (m o,)
            rho of the ridge 1/2 sum_i rho_i w_i^2.
        """

    @property
    @abstractmethod
    def solver(self) -> AbstractInnerSolver:
        """What finds its minimiser where all weights are free."""


class SquaredError(AbstractLoss):
    """1/2 |o - y|^2."""

    def per_row(self, outputs: Float[Array, "N o"], Y: Float[Array, "N o"]) -> Float[Array, " N"]:
        """Return half the squared distances."""
        return 0.5 * jnp.sum((outputs - Y) ** 2, axis=1)

    def objective(
        self,
        F: Float[Array, "N m"],
        Y: Float[Array, "N o"],
        omega: Float[Array, " N"],
        ridge: Float[Array, " mo"],
    ) -> AbstractObjective:
        """Return least squares."""
        return LeastSquares.of(F, Y, omega, ridge)

    @property
    def solver(self) -> AbstractInnerSolver:
        """The closed form."""
        return ClosedForm()


class LogLoss(AbstractLoss):
    """- sum_k y_k log p_k, p = softmax o: the outputs are logits, the targets probabilities."""

    def per_row(self, outputs: Float[Array, "N o"], Y: Float[Array, "N o"]) -> Float[Array, " N"]:
        """Return the cross-entropies (nats)."""
        return -jnp.sum(Y * jax.nn.log_softmax(outputs, axis=1), axis=1)

    def objective(
        self,
        F: Float[Array, "N m"],
        Y: Float[Array, "N o"],
        omega: Float[Array, " N"],
        ridge: Float[Array, " mo"],
    ) -> AbstractObjective:
        """Return the cross-entropy."""
        return CrossEntropy.of(F, Y, omega, ridge)

    @property
    def solver(self) -> AbstractInnerSolver:
        """Newton's method by conjugate gradients."""
        return TruncatedNewton()
