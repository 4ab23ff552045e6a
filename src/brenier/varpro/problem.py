r"""Separable problems: a loss of features' weighted sums, in mu with the weights w eliminated.

    J(mu, w) = sum_j omega_j l(outputs_j) + 1/2 sum_i rho_i w_i^2 + decay / 2 |D mu|^2,

outputs linear in w, l convex, so that J(mu, .) is a convex problem. What is written here holds for
all of them: the reduced objective J_tau(mu) (`brenier.varpro.reduced`), J in (mu, w), their
gradients. A density's loss is its negative log-likelihood, of the map and its Jacobian
(`brenier.varpro.reduced`); those of regression and classification are in
`brenier.varpro.supervised`.
"""

from abc import abstractmethod
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree

from brenier.arrays import Array
from brenier.inner.objective import AbstractObjective
from brenier.inner.solution import (
    AbstractInnerSolver,
    InnerSolution,
    WarmStart,
    barrier_term,
    slack,
)
from brenier.potential.features import AbstractTrained
from brenier.program import program
from brenier.varpro.parameters import decayed_weights, from_vector
from brenier.varpro.sample import AbstractSample, PaddedSample


class AbstractProblem(eqx.Module):
    """A separable problem: features of given shapes, constraints, inner solver, decay.

    Attributes
    ----------
    template : eqx.Module
        Features whose trained arrays give the shapes of mu; its values do not matter.
    lower : (m,)
        Lower bounds of w, minus infinity where free.
    ridge : (m,)
        rho, zero for the weights that need none.
    solver : AbstractInnerSolver
        Solves for w.
    decay : () or (d,)
        Weight of half the squared slopes: of all of them, or of each.
    """

    template: eqx.AbstractVar[eqx.Module]
    lower: eqx.AbstractVar[Array]
    ridge: eqx.AbstractVar[Array]
    solver: eqx.AbstractVar[AbstractInnerSolver]
    decay: eqx.AbstractVar[Array]

    @property
    @abstractmethod
    def network(self) -> AbstractTrained:
        """Trained arrays that have the shapes of mu; their values do not matter."""

    @property
    @abstractmethod
    def row_bits(self) -> type[np.floating]:
        """Floating-point numbers in which features are computed row by row in a search."""

    @property
    @abstractmethod
    def in_tiles(self) -> bool:
        """Whether loss and gradient go through the rows tile by tile, or chunk by chunk."""

    @abstractmethod
    def sample(
        self, X: Float[np.ndarray, "N d"], weights: Float[np.ndarray, " N"], *, least: int = 1
    ) -> AbstractSample:
        """Return rows, padded to `least` or more, where the problem has them."""

    @abstractmethod
    def objective(
        self, theta: Float[Array, " p"], sample: AbstractSample, *, exact: bool = False
    ) -> AbstractObjective:
        """Return J(mu, .), its Hessian exact or an estimate."""

    @abstractmethod
    def chunk_loss(
        self, theta: Float[Array, " p"], w: Float[Array, " m"], chunk: PaddedSample
    ) -> Float[Array, ""]:
        """Return J without ridge and decay over some rows, in the form quickest to differentiate.

        It computes in the bits of the rows.
        """

    @abstractmethod
    def outputs(
        self, theta: Float[Array, " p"], w: Float[Array, " m"], chunk: PaddedSample
    ) -> PyTree:
        """Return what the loss is a convex function of, linear in w."""

    @abstractmethod
    def loss_of_outputs(self, outputs: PyTree, chunk: PaddedSample) -> Float[Array, ""]:
        """Return J without ridge and decay from the outputs at some rows."""

    @property
    def duality_gap(self) -> float:
        """S . lambda on the central path."""
        return float(self.solver.tau * np.sum(np.isfinite(self.lower)))

    def network_at(self, theta: Float[Array, " p"]) -> AbstractTrained:
        """Return the trained arrays that are mu = theta."""
        return from_vector(self.network, theta)

    @program
    def solve(
        self, theta: Float[Array, " p"], sample: AbstractSample, start: WarmStart
    ) -> InnerSolution:
        """Return the minimiser w of J_tau(mu, .), one compiled call."""
        return self.solver.solve(self.objective(theta, sample), jnp.asarray(self.lower), start)

    def regularisation(self, theta: Array, w: Array) -> Float[Array, ""]:
        """Return the ridge and the weight decay."""
        decay = 0.5 * jnp.sum(self.decay * decayed_weights(self.network_at(theta)) ** 2)
        ridge = 0.5 * jnp.sum(jnp.asarray(self.ridge) * w**2)
        return ridge + decay

    def penalty(self, theta: Array, w: Array) -> Float[Array, ""]:
        """Return what J_tau adds to J: the barrier, the ridge and the weight decay."""
        barrier = self.solver.tau * barrier_term(w, jnp.asarray(self.lower))
        return barrier + self.regularisation(theta, w)

    @program
    def value_and_gradient(
        self, theta: Float[Array, " p"], w: Float[Array, " m"], sample: AbstractSample
    ) -> "Slope":
        """Return J, J_tau with the decay, and their derivatives."""
        both = jax.value_and_grad(self.chunk_loss, argnums=(0, 1))
        J, of_loss = sample.total(lambda chunk: both(theta, w, chunk), tiled=self.in_tiles)
        penalty, of_penalty = jax.value_and_grad(self.penalty, argnums=(0, 1))(theta, w)
        gradient, in_w = jax.tree.map(jnp.add, of_loss, of_penalty)
        return Slope(J, J + penalty, gradient, jnp.max(jnp.abs(in_w)))

    def split(self, x: Float[Array, " p"]) -> tuple[Float[Array, " q"], Float[Array, " m"]]:
        """Return mu and w of a vector of all variables.

        Constrained weights are lower + s, s from its variable as the hidden weights are from
        theirs; free ones are variables themselves.
        """
        lower = jnp.asarray(self.lower)
        theta, last = x[: -lower.shape[0]], x[-lower.shape[0] :]
        constrained = jnp.isfinite(lower)
        above = jnp.where(constrained, lower, 0.0) + self.network.nonnegative_by.weights(
            jnp.where(constrained, last, 0.0)
        )
        return theta, jnp.where(constrained, above, last)

    @program
    def full_value_and_gradient(
        self, x: Float[Array, " p"], sample: AbstractSample
    ) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, " p"], Float[Array, " m"]]:
        """Return J, J with ridge and decay, the latter's gradient in x = (mu, w), and w."""

        def loss_of(x, chunk):
            return self.chunk_loss(*self.split(x), chunk)

        J, gradient = sample.total(
            lambda chunk: jax.value_and_grad(loss_of)(x, chunk), tiled=self.in_tiles
        )
        extra, extra_gradient = jax.value_and_grad(lambda x: self.regularisation(*self.split(x)))(x)
        return J, J + extra, gradient + extra_gradient, self.split(x)[1]

    @program
    def inner_factor(
        self, theta: Float[Array, " p"], w: Float[Array, " m"], sample: AbstractSample
    ) -> Float[Array, "m m"]:
        """Return the Cholesky factor of the Hessian of J_tau(mu, .) at w."""
        lower = jnp.asarray(self.lower)
        barrier = jnp.where(jnp.isfinite(lower), self.solver.tau / slack(w, lower) ** 2, 0.0)
        return jnp.linalg.cholesky(
            self.objective(theta, sample, exact=True).evaluate(w).hessian + jnp.diag(barrier)
        )


class Slope(NamedTuple):
    """J_tau at (mu, w) and its derivatives.

    Attributes
    ----------
    loss : ()
        J.
    value, gradient : (), (p,)
        J_tau with the weight decay, and its gradient in mu at fixed w.
    stationarity : ()
        |grad J - tau / s|_inf in w: zero at the inner solution.
    """

    loss: Float[Array, ""]
    value: Float[Array, ""]
    gradient: Float[Array, " p"]
    stationarity: Float[Array, ""]
