"""J_tau as a function of one vector, for optimisers: value and gradient, warm-started."""

import time
from dataclasses import dataclass, field, replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from brenier.inner.solution import InnerSolution, WarmStart
from brenier.outer.reduced import VariableProjection
from brenier.outer.sample import Sample
from brenier.status import InnerStatus

# How far above the last finite value a point outside the domain is put, so that a line search
# turns back: relative to max(1, |value|).
OUTSIDE = 1e3


@dataclass(frozen=True)
class Evaluated:
    """J_tau and its gradient at one mu, with the inner solution behind it."""

    theta: Float[np.ndarray, " p"]
    w: Float[np.ndarray, " m"]
    loss: float
    value: float
    gradient: Float[np.ndarray, " p"]


@dataclass
class ReducedFunction:
    """theta -> (J_tau, gradient), each evaluation warm-started from the one before.

    Attributes
    ----------
    newton_steps : list of int
        Newton steps of every evaluation.
    failures : int
        Inner solves that did not converge, from a warm and then a cold start.
    last : Evaluated or None
        The latest finite evaluation.
    """

    problem: VariableProjection
    sample: Sample
    cold: WarmStart
    n_rows: int
    work_units_before: int = 0
    newton_steps: list[int] = field(default_factory=list)
    failures: int = 0
    last: Evaluated | None = None
    inner_seconds: float = 0.0
    gradient_seconds: float = 0.0
    _start: WarmStart | None = None

    @property
    def work_units(self) -> int:
        """Forward and backward passes of single samples so far."""
        return self.work_units_before + len(self.newton_steps) * self.n_rows

    def __call__(self, theta: Float[np.ndarray, " p"]) -> tuple[float, Float[np.ndarray, " p"]]:
        """Return J_tau and its gradient; a large value where J_tau is not finite."""
        evaluated = self.evaluate(theta)
        if np.isfinite(evaluated.value) and np.all(np.isfinite(evaluated.gradient)):
            self.last = evaluated
            return evaluated.value, evaluated.gradient
        if self.last is None:
            return evaluated.value, evaluated.gradient
        self._start = None
        return self.last.value + OUTSIDE * max(1.0, abs(self.last.value)), self.last.gradient

    def evaluate(self, theta: Float[np.ndarray, " p"]) -> Evaluated:
        """Solve for w and return J, J_tau and the gradient at theta."""
        point = jnp.asarray(theta)
        solution = self.solve(theta)
        before = time.perf_counter()
        loss, value, gradient = self.problem.value_and_gradient(point, solution.w, self.sample)
        gradient = np.asarray(gradient)
        self.gradient_seconds += time.perf_counter() - before
        return Evaluated(
            np.array(theta), np.asarray(solution.w), float(loss), float(value), gradient
        )

    def warm_up(self, theta: Float[np.ndarray, " p"]) -> float:
        """Compile by evaluating once, leaving no trace; return the seconds it took."""
        before = time.perf_counter()
        trial = replace(self, newton_steps=[], failures=0)
        trial.evaluate(theta)
        return time.perf_counter() - before

    def solve(self, theta: Float[np.ndarray, " p"]) -> InnerSolution:
        """Return the inner solution: warm-started, and once more from cold if that fails."""
        before = time.perf_counter()
        point = jnp.asarray(theta)
        solution = self.problem.solve(point, self.sample, self._start or self.cold)
        steps = int(solution.iterations)
        if solution.status != InnerStatus.CONVERGED and self._start is not None:
            solution = self.problem.solve(point, self.sample, self.cold)
            steps += int(solution.iterations)
        self.failures += int(solution.status) != InnerStatus.CONVERGED
        self.newton_steps.append(steps)
        # A failed solve's weights are no place to start from.
        self._start = solution.start if solution.status == InnerStatus.CONVERGED else None
        self.inner_seconds += time.perf_counter() - before
        return solution

    def at(self, theta: Float[np.ndarray, " p"]) -> Evaluated:
        """Return the evaluation at theta, the latest one if it was there."""
        if self.last is not None and np.array_equal(self.last.theta, theta):
            return self.last
        return self.evaluate(theta)
