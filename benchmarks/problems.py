"""Separable problems whose parts are timed: features of given widths on given rows."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from brenier.arrays import Array
from brenier.inner.newton import newton_direction
from brenier.inner.objective import DenseObjective, Evaluation, LogDetTerm
from brenier.inner.primal_dual import PrimalDual
from brenier.inner.solution import InnerSolution, WarmStart
from brenier.potential.activations import ACTIVATIONS
from brenier.potential.head import SeparableFeatures
from brenier.potential.initialise import initial_network
from brenier.potential.nonnegativity import NONNEGATIVITY
from brenier.potential.wide import WideObjective
from brenier.program import program
from brenier.training.settings import Settings
from brenier.varpro.parameters import to_vector
from brenier.varpro.reduced import VariableProjection
from brenier.varpro.sample import PaddedSample, chunk_rows

LEAST_QUADRATIC = 1e-2
RIDGE = 1e-8


@dataclass(frozen=True)
class Problem:
    """Standardised rows, the separable problem on them, and where its run starts.

    Attributes
    ----------
    X : (N, n)
        Rows, each column with mean 0 and standard deviation 1.
    reduced : VariableProjection
        With quadratics along the columns.
    """

    X: np.ndarray
    reduced: VariableProjection

    @staticmethod
    def of(
        X: np.ndarray,
        widths: tuple[int, ...],
        activation: str = "gaussian-softplus",
        nonnegativity: str = "bounds",
        *,
        normalised: bool = True,
    ) -> "Problem":
        """Return the problem with hidden `widths`; call it where float64 is enabled."""
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        n = X.shape[1]
        network = initial_network(
            X[:16384],
            widths,
            ACTIVATIONS[activation],
            NONNEGATIVITY[nonnegativity],
            np.random.default_rng(0),
            spread=Settings().kink_spread,
        )
        features = SeparableFeatures(network, np.eye(n), normalised=normalised)
        lower = np.concatenate(
            [np.zeros(network.width), np.full(n, LEAST_QUADRATIC), np.full(n, -np.inf)]
        )
        ridge = np.concatenate([np.full(network.width, RIDGE), np.zeros(2 * n)])
        solver = PrimalDual(tau=1e-5)
        return Problem(X, VariableProjection(features, lower, ridge, solver, np.asarray(0.0)))

    @property
    def features(self) -> SeparableFeatures:
        """The features at the starting weights."""
        return self.reduced.template

    @cached_property
    def theta(self) -> jax.Array:
        """The starting weights as a vector."""
        return jnp.asarray(to_vector(self.features.network))

    @cached_property
    def sample(self) -> PaddedSample:
        """All rows, in chunks as a fit has them."""
        N, n = self.X.shape
        return PaddedSample.of(self.X, np.ones(N), chunk_rows(n, self.features.n_hessians))

    @cached_property
    def cold(self) -> WarmStart:
        """Feasible weights of the last layer: nearly the standard normal's."""
        width, n = self.features.network.width, self.features.n
        w = np.concatenate([np.full(width, 0.1 / width), np.ones(n), np.zeros(n)])
        return WarmStart.cold(jnp.asarray(w))

    @cached_property
    def solution(self) -> InnerSolution:
        """The inner solution at the starting weights."""
        return self.reduced.solve(self.theta, self.sample, self.cold)


class Formed(NamedTuple):
    """What a solve holds of the convex objective at one theta, all rows in one chunk."""

    M: Array
    term: LogDetTerm

    def evaluate(self, w: Array, *, with_hessian: bool = True) -> Evaluation:
        """Return J(w) and its derivatives."""
        objective = DenseObjective(self.M, lambda chunk: self.term, (self.term.omega[None],))
        return objective.evaluate(w, with_hessian=with_hessian)


@program
def derivatives(
    reduced: VariableProjection, theta: Array, sample: PaddedSample
) -> tuple[Array, Array, Array]:
    """Return the Hessians of all features, those of rank one by their shares; G's sum."""
    features = reduced.features(theta)

    def of_tile(total: Array, X: Array) -> tuple[Array, tuple[Array, Array]]:
        found = features.derivatives(X)
        return total + jnp.sum(found.gradients), (found.hessians, found.shares)

    (rows,) = sample.tiles(kept=True).X
    total, (hessians, shares) = jax.lax.scan(of_tile, 0.0, rows)
    return hessians, shares, total


Held = Formed | WideObjective


@program
def formed(
    reduced: VariableProjection, theta: Array, sample: PaddedSample, *, exact: bool = False
) -> Held:
    """Return the objective at theta, its Hessian exact or an estimate as in a fit."""
    objective = reduced.objective(theta, sample, exact=exact)
    if isinstance(objective, WideObjective):
        return objective
    return Formed(objective.M, objective.term(objective.chunks))


@program
def newton_step(objective: Held, w: Array) -> Array:
    """Return the direction of one Newton step, from derivatives and factorisation afresh."""
    here = objective.evaluate(w)
    return newton_direction(here.hessian + jnp.eye(len(w)), here.gradient)


@program
def chord_step(objective: Held, w: Array) -> tuple[Array, Array]:
    """Return J(w) and its gradient: a step without a Hessian of its own makes these."""
    here = objective.evaluate(w, with_hessian=False)
    return here.value, here.gradient
