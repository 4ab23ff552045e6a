r"""What an optimizer minimises: a loss and its gradient as a function of one vector.

`ReducedFunction` is the reduced objective J_tau(mu), w eliminated by the inner solver
(`brenier.varpro.reduced`). `FullFunction` is J(mu, w) with both in the vector: what elimination is
compared with.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from brenier.inner.solution import InnerSolution, WarmStart
from brenier.status import InnerStatus
from brenier.varpro.curvature import full_product, reduced_product
from brenier.varpro.memory import AbstractMemory, Values
from brenier.varpro.parameters import lower_bounds
from brenier.varpro.problem import AbstractProblem
from brenier.varpro.sample import AbstractSample

# How far above the last finite value a point outside the domain is put, so that a line search
# turns back: relative to max(1, |value|).
OUTSIDE = 1e3

# Least distance from its bound at which a weight of the last layer starts where it is a variable.
LEAST_SLACK = 1e-6

Product = Callable[[np.ndarray], np.ndarray]
"""A symmetric positive semidefinite matrix, as what it does to a vector."""


@dataclass(frozen=True)
class Evaluated:
    """The function at one x, and the weights (mu, w) that x stands for.

    Attributes
    ----------
    x : (p,)
        The point.
    theta, w : (.,), (m,)
        mu as a vector, and the last layer's weights.
    loss : float
        J, without penalties; of a density in nats.
    value, gradient : float, (p,)
        What is minimised: J with its penalties, and with the barrier where w is eliminated. NaN
        where a gradient is not known (`brenier.varpro.mini_batches`).
    """

    x: Float[np.ndarray, " p"]
    theta: Float[np.ndarray, " q"]
    w: Float[np.ndarray, " m"]
    loss: float
    value: float
    gradient: Float[np.ndarray, " p"]

    @property
    def finite(self) -> bool:
        """Whether value and gradient are numbers."""
        return bool(np.isfinite(self.value) and np.all(np.isfinite(self.gradient)))

    @property
    def values(self) -> Values:
        """All but x itself, as arrays."""
        numbers = np.array([self.loss, self.value])
        return {
            "numbers": numbers,
            "n_theta": np.array(len(self.theta)),
            "w": self.w,
            "gradient": self.gradient,
        }

    @staticmethod
    def of(x: Float[np.ndarray, " p"], values: Values) -> "Evaluated":
        """Return the evaluation at x that has these values."""
        loss, value = values["numbers"].tolist()
        x = np.array(x)
        theta = x[: int(values["n_theta"])]
        return Evaluated(x, theta, values["w"], loss, value, values["gradient"])


@dataclass
class Counters:
    """What evaluations cost.

    Attributes
    ----------
    evaluations : int
        Of value and gradient, on the whole sample or a mini-batch.
    newton_steps : list of int
        Evaluations of the inner objective with its Hessian, solve by solve.
    chord_steps : list of int
        Those with its gradient only (`brenier.inner.primal_dual`), solve by solve.
    failures : int
        Inner solves that did not converge, from a warm and then a cold start.
    work_units : int
        Forward and backward passes of single samples (thesis 4.1).
    inner_seconds, gradient_seconds : float
        Wall time.
    """

    evaluations: int = 0
    newton_steps: list[int] = field(default_factory=list)
    chord_steps: list[int] = field(default_factory=list)
    failures: int = 0
    work_units: int = 0
    inner_seconds: float = 0.0
    gradient_seconds: float = 0.0

    @property
    def n_solves(self) -> int:
        """Inner solves so far."""
        return len(self.newton_steps)

    def values(self, n_before: int) -> Values:
        """Return what was counted, as arrays; of solves, those after the first `n_before`."""
        return {
            "counted": np.array([self.evaluations, self.failures, self.work_units]),
            "newton_steps": np.array(self.newton_steps[n_before:], int),
            "chord_steps": np.array(self.chord_steps[n_before:], int),
        }

    def recall(self, values: Values) -> None:
        """Count as it was after an evaluation that is not made again."""
        self.evaluations, self.failures, self.work_units = values["counted"].tolist()
        self.newton_steps += values["newton_steps"].tolist()
        self.chord_steps += values["chord_steps"].tolist()


@dataclass
class AbstractFunction(ABC):
    """x -> (value, gradient) on a fixed sample, under lower bounds.

    Attributes
    ----------
    problem : AbstractProblem
        The separable problem.
    sample : AbstractSample
        The rows.
    cold : WarmStart
        Feasible weights to start from.
    n_rows : int
        Rows that are no padding.
    counters : Counters
        Shared with the functions that `on` makes.
    last : Evaluated or None
        The latest finite evaluation.
    memory : AbstractMemory or None
        Where evaluations are kept, and recalled from.
    """

    problem: AbstractProblem
    sample: AbstractSample
    cold: WarmStart
    n_rows: int
    counters: Counters = field(default_factory=Counters)
    last: Evaluated | None = None
    memory: AbstractMemory | None = None

    @staticmethod
    def sample_of(
        problem: AbstractProblem, X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"]
    ) -> AbstractSample:
        """Return rows as the function evaluates them."""
        return problem.sample(X, weights)

    @property
    @abstractmethod
    def lower(self) -> Float[np.ndarray, " p"]:
        """Lower bounds of x."""

    @abstractmethod
    def start(self, theta: Float[np.ndarray, " q"]) -> Float[np.ndarray, " p"]:
        """Return the x to begin at, mu = theta."""

    @abstractmethod
    def compute(self, x: Float[np.ndarray, " p"]) -> Evaluated:
        """Return value and gradient at x, with the weights behind them."""

    @property
    @abstractmethod
    def state(self) -> Values:
        """What an evaluation leaves behind for the next, as arrays."""

    @abstractmethod
    def recall(self, values: Values) -> None:
        """Be in the state that an evaluation has left behind."""

    @abstractmethod
    def curvature(self, here: Evaluated) -> Product:
        """Return the Gauss-Newton matrix at a point, each product costing a unit a sample."""

    def evaluate(self, x: Float[np.ndarray, " p"]) -> Evaluated:
        """Return value and gradient at x, from memory where that has them."""
        if self.memory is None:
            return self.compute(x)
        known = self.memory.recall("evaluation", x)
        if known is not None:
            self.counters.recall(known)
            self.recall(known)
            return Evaluated.of(x, known)
        n_before = self.counters.n_solves
        here = self.compute(x)
        counted = self.counters.values(n_before)
        self.memory.keep("evaluation", x, {**here.values, **counted, **self.state})
        return here

    def __call__(self, x: Float[np.ndarray, " p"]) -> tuple[float, Float[np.ndarray, " p"]]:
        """Return value and gradient; a large value where they are not finite."""
        evaluated = self.evaluate(x)
        if evaluated.finite:
            self.last = evaluated
        if evaluated.finite or self.last is None:
            return evaluated.value, evaluated.gradient
        return self.last.value + OUTSIDE * max(1.0, abs(self.last.value)), self.last.gradient

    def at(self, x: Float[np.ndarray, " p"]) -> Evaluated:
        """Return the evaluation at x, the latest one if it was there."""
        if self.last is not None and np.array_equal(self.last.x, x):
            return self.last
        return self.evaluate(x)

    def on(self, sample: AbstractSample, n_rows: int) -> "AbstractFunction":
        """Return the function on other rows (a mini-batch), counting into the same counters."""
        return replace(self, sample=sample, n_rows=n_rows, last=None)

    def uncounted(self) -> "AbstractFunction":
        """Return the same function with counters of its own."""
        return replace(self, counters=Counters(), last=None)

    def first_calls(self, x: Float[np.ndarray, " p"]) -> list[Callable[[], Any]]:
        """Return what compiles the programs of an evaluation, each by calling it once.

        They do not depend on each other, and leave no trace.
        """
        return [lambda: self.uncounted().compute(x)]

    def _count(self, since: float) -> None:
        self.counters.gradient_seconds += time.perf_counter() - since
        self.counters.evaluations += 1
        self.counters.work_units += self.n_rows


@dataclass
class ReducedFunction(AbstractFunction):
    """theta -> (J_tau, gradient), each inner solve warm-started from the one before."""

    _warm: WarmStart | None = None

    @staticmethod
    def sample_of(
        problem: AbstractProblem, X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"]
    ) -> AbstractSample:
        """Return rows in the bits that the features are computed in."""
        sample = problem.sample(X, weights)
        return sample.in_bits(problem.row_bits)

    @property
    def lower(self) -> Float[np.ndarray, " p"]:
        """Lower bounds of mu."""
        return lower_bounds(self.problem.network)

    def start(self, theta: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
        """Return theta: w is no variable."""
        return theta

    def compute(self, x: Float[np.ndarray, " p"]) -> Evaluated:
        """Solve for w and return J, J_tau and the gradient at theta = x."""
        solution = self.solve(x)
        before = time.perf_counter()
        slope = self.problem.value_and_gradient(x, solution.w, self.sample)
        gradient = np.asarray(slope.gradient)
        self._count(before)
        theta = np.array(x)
        evaluated = Evaluated(
            theta, theta, np.asarray(solution.w), float(slope.loss), float(slope.value), gradient
        )
        if not evaluated.finite:
            self._warm = None
        return evaluated

    @property
    def state(self) -> Values:
        """The next solve's warm start, if there is one, and the bits of the rows."""
        bits = {"bits": np.array(self.sample.X.dtype.itemsize)}
        if self._warm is None:
            return bits
        start, multipliers = np.asarray(self._warm.w), np.asarray(self._warm.multipliers)
        return {**bits, "start": start, "multipliers": multipliers}

    def recall(self, values: Values) -> None:
        """Start the next solve where it would have started."""
        if int(values["bits"]) != self.sample.X.dtype.itemsize:
            self.sample = self.sample.in_bits(np.float64)
        self._warm = None
        if "start" in values:
            warm = np.ones((), dtype=bool)
            self._warm = WarmStart(values["start"], values["multipliers"], warm)

    def first_calls(self, x: Float[np.ndarray, " p"]) -> list[Callable[[], Any]]:
        """Return calls of value and gradient at the cold start's w, and of the inner solve.

        What compiles for longest comes first.
        """
        return [
            lambda: self.problem.value_and_gradient(x, self.cold.w, self.sample),
            lambda: self.problem.solve(x, self.sample, self.cold),
        ]

    def solve(self, theta: Float[np.ndarray, " p"]) -> InnerSolution:
        """Return the inner solution: warm-started, and once more from cold if that fails.

        Where 32 bits are too few for either, all is of 64 from then on.
        """
        before = time.perf_counter()
        solutions = [self.problem.solve(theta, self.sample, self._warm or self.cold)]
        if not _converged(solutions[0]) and self._warm is not None:
            solutions.append(self.problem.solve(theta, self.sample, self.cold))
        if not _converged(solutions[-1]) and self.sample.X.dtype != np.float64:
            self.sample = self.sample.in_bits(np.float64)
            solutions.append(self.problem.solve(theta, self.sample, self.cold))
        solution = solutions[-1]
        chord_steps = sum(int(solved.chord_steps) for solved in solutions)
        converged = _converged(solution)
        self.counters.failures += not converged
        self.counters.chord_steps.append(chord_steps)
        self.counters.newton_steps.append(sum(int(solved.newton_steps) for solved in solutions))
        # A failed solve's weights are no place to start from.
        self._warm = solution.start if converged else None
        self.counters.inner_seconds += time.perf_counter() - before
        return solution

    def curvature(self, here: Evaluated) -> Product:
        """Return the reduced (Schur) Gauss-Newton matrix of J_tau in mu."""
        theta, w, sample = here.theta, here.w, self.sample.in_bits(np.float64)
        factor = self.problem.inner_factor(theta, w, sample)

        def product(v: np.ndarray) -> np.ndarray:
            self.counters.work_units += self.n_rows
            return np.asarray(reduced_product(self.problem, theta, w, sample, factor, v))

        return product


def _converged(solution: InnerSolution) -> bool:
    return int(solution.status) == InnerStatus.CONVERGED


@dataclass
class FullFunction(AbstractFunction):
    """(mu, w) -> J with its penalties but without barrier: nothing is eliminated.

    The constrained weights of the last layer stay above their lower bounds the way the hidden
    weights stay non-negative: as bounds, or through a softplus.
    """

    @property
    def lower(self) -> Float[np.ndarray, " p"]:
        """Lower bounds of mu, then of the last layer's variables."""
        network = self.problem.network
        lower = np.asarray(self.problem.lower)
        last = np.where(np.isfinite(lower), network.nonnegative_by.lower_bound, -np.inf)
        return np.concatenate([lower_bounds(network), last])

    def start(self, theta: Float[np.ndarray, " q"]) -> Float[np.ndarray, " p"]:
        """Return theta and the cold start's weights."""
        lower = np.asarray(self.problem.lower)
        w, constrained = np.asarray(self.cold.w), np.isfinite(lower)
        slack = np.where(constrained, w - np.where(constrained, lower, 0.0), 1.0)
        # On its bound a softplus would stay for ever.
        slack = np.maximum(slack, LEAST_SLACK)
        raw = self.problem.network.nonnegative_by.raw(slack)
        return np.concatenate([theta, np.where(constrained, raw, w)])

    def compute(self, x: Float[np.ndarray, " p"]) -> Evaluated:
        """Return J, J with its penalties, and the gradient of the latter at x = (mu, w)."""
        before = time.perf_counter()
        loss, value, gradient, w = self.problem.full_value_and_gradient(x, self.sample)
        gradient = np.asarray(gradient)
        self._count(before)
        theta = x[: len(x) - len(w)].copy()
        return Evaluated(np.array(x), theta, np.asarray(w), float(loss), float(value), gradient)

    @property
    def state(self) -> Values:
        """Nothing: all that it depends on is in x."""
        return {}

    def recall(self, values: Values) -> None:
        """Nothing is left behind."""

    def curvature(self, here: Evaluated) -> Product:
        """Return the Gauss-Newton matrix of J with its penalties in (mu, w)."""

        def product(v: np.ndarray) -> np.ndarray:
            self.counters.work_units += self.n_rows
            return np.asarray(full_product(self.problem, here.x, self.sample, v))

        return product
