r"""Checks of the method itself: its gradient (thesis Table 3.1), its inner solvers.

The network is the reproduction's (`ConvexPotentialFlow.thesis`), the rows are those of its first
seed, and mu begins at the initial weights of that seed.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from brenier.estimators.parameters import settings_of
from brenier.inner.solution import AbstractInnerSolver, InnerSolution, WarmStart
from brenier.optimizers.early_stopping import EarlyStopping, StoppingCriteria
from brenier.optimizers.lbfgs import LBFGS
from brenier.potential.head import SeparableFeatures
from brenier.potential.initialise import initial_network
from brenier.reproduce.setting import Setting
from brenier.status import InnerStatus
from brenier.training.settings import INNER_SOLVERS, Settings
from brenier.varpro.function import ReducedFunction
from brenier.varpro.parameters import to_vector
from brenier.varpro.reduced import VariableProjection
from brenier.varpro.sample import PaddedSample
from brenier.varpro.taylor import taylor_check

SOLVERS = ("barrier", "primal-dual")
# Steps h of the Taylor check, with a direction of this norm.
STEPS, DIRECTION_NORM = 0.5 ** np.arange(1, 13), 1.0
# Remainders below this are rounding, or the inner solver's own error.
CLEAR = 1e-11


@dataclass(frozen=True)
class Taylor:
    """Remainders of one gradient check.

    Attributes
    ----------
    solver, value : str
        Inner solver; "J" or "J_tau": which of the two the expansion is of.
    table : structured array
        As `taylor_check` returns it.
    """

    solver: str
    value: str
    table: np.ndarray

    @property
    def order(self) -> float:
        """Observed order over the smaller half of the steps: the slope of log error in log h."""
        t = self.table[len(self.table) // 2 :]
        t = t[t["error"] > CLEAR]
        if len(t) < 2:
            return float("nan")
        return float(np.polyfit(np.log(t["h"]), np.log(t["error"]), 1)[0])


@dataclass(frozen=True)
class InnerComparison:
    """What an inner solver did over the iterates of an optimizer, solve by solve.

    Attributes
    ----------
    solver, start : str
        Inner solver; "cold" or "warm".
    newton_steps : list of int
        Steps with a Hessian of their own.
    chord_steps : list of int
        Steps that kept the Hessian of an earlier one.
    seconds : list of float
        Wall time.
    failures : int
        Solves that did not converge.
    """

    solver: str
    start: str
    newton_steps: list[int] = field(default_factory=list)
    chord_steps: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    failures: int = 0


@dataclass(frozen=True)
class Checks:
    """What was checked, and on what."""

    taylor: list[Taylor]
    inner: list[InnerComparison]
    n_rows: int
    tau: float


def run_checks(setting: Setting) -> Checks:
    """Return the Taylor remainders and the comparison of the inner solvers."""
    X = setting.rows(setting.seeds[0]).train
    tau = thesis_settings(setting).tau
    with jax.enable_x64(True):
        taylor = [table for name in SOLVERS for table in _taylor(setting, X, name, tau)]
        return Checks(taylor, _inner(setting, X, tau), len(X), tau)


def thesis_settings(setting: Setting) -> Settings:
    """Return all numbers of a run of the thesis's form, the first seed."""
    return settings_of(
        setting.estimator(setting.optimizers[0], setting.seeds[0]), conditional=False
    )


def problem_of(
    setting: Setting, X: np.ndarray, solver: AbstractInnerSolver
) -> tuple[VariableProjection, WarmStart]:
    """Return the separable problem of the thesis's form at initial weights, and a cold start."""
    form, rng = thesis_settings(setting), np.random.default_rng(setting.seeds[0])
    parts = form.widths, form.activation, form.nonnegativity
    network = initial_network(X, *parts, rng, spread=form.kink_spread)
    n, width = X.shape[1], network.width
    features = SeparableFeatures(network, np.zeros((0, n)), normalised=False)
    lower = np.concatenate([np.zeros(width), np.full(n, -np.inf)])
    # No ridge, no decay: (3.4) as it stands.
    problem = VariableProjection(features, lower, np.zeros(width + n), solver, np.asarray(0.0))
    cold = WarmStart.cold(jnp.asarray(np.concatenate([np.ones(width), np.zeros(n)])))
    return problem, cold


def _sample(X: np.ndarray) -> PaddedSample:
    return PaddedSample.of(X, np.ones(len(X)), chunk_rows=len(X))


def _taylor(setting: Setting, X: np.ndarray, name: str, tau: float) -> list[Taylor]:
    problem, cold = problem_of(setting, X, INNER_SOLVERS[name](tau=tau))
    function = ReducedFunction(problem, _sample(X), cold, len(X))
    theta = to_vector(problem.template.network)
    direction = np.random.default_rng(setting.seeds[0]).normal(size=theta.size)
    direction *= DIRECTION_NORM / np.linalg.norm(direction)

    def value_of(quantity: str) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
        def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
            here = function.evaluate(x)
            return (here.loss if quantity == "J" else here.value), here.gradient

        return evaluate

    return [
        Taylor(name, quantity, taylor_check(value_of(quantity), theta, direction, h=STEPS))
        for quantity in ("J", "J_tau")
    ]


def iterates(
    problem: VariableProjection, cold: WarmStart, X: np.ndarray, n: int
) -> list[np.ndarray]:
    """Return mu along the first n iterations of L-BFGS on J_tau."""
    found = [to_vector(problem.template.network)]

    def keep(_) -> None:
        # Without held-out rows the best iterate so far is, but for rare ones, the latest.
        if early_stopping.best is not None:
            found.append(early_stopping.best.theta)

    criteria = StoppingCriteria(max_iter=n, patience=n, patience_share=0.0)
    early_stopping = EarlyStopping(criteria, tell=keep)
    LBFGS().minimize(ReducedFunction(problem, _sample(X), cold, len(X)), found[0], early_stopping)
    return found


def _inner(setting: Setting, X: np.ndarray, tau: float) -> list[InnerComparison]:
    problem, cold = problem_of(setting, X, INNER_SOLVERS["primal-dual"](tau=tau))
    path, sample = iterates(problem, cold, X, setting.n_iterates), _sample(X)
    compared = []
    for name in SOLVERS:
        problem, _ = problem_of(setting, X, INNER_SOLVERS[name](tau=tau))
        for start in ("cold", "warm"):
            solves = _along(problem, sample, path, cold, warm=start == "warm", n=setting.n_timings)
            compared.append(_compared(name, start, solves))
    return compared


def _along(
    problem: VariableProjection,
    sample: PaddedSample,
    path: list[np.ndarray],
    cold: WarmStart,
    *,
    warm: bool,
    n: int,
) -> Iterator[tuple[InnerSolution, float]]:
    """Yield the solutions along the path with their seconds; warm: from the iterate before."""
    before = problem.solve(jnp.asarray(path[0]), sample, cold).start
    for theta in path[1:]:
        begin = before if warm else cold
        solution, seconds = _timed(problem, jnp.asarray(theta), sample, begin, n)
        yield solution, seconds
        before = solution.start if _converged(solution) else cold


def _compared(
    name: str, start: str, solves: Iterable[tuple[InnerSolution, float]]
) -> InnerComparison:
    solutions, seconds = zip(*solves, strict=True)
    return InnerComparison(
        name,
        start,
        newton_steps=[int(solution.newton_steps) for solution in solutions],
        chord_steps=[int(solution.chord_steps) for solution in solutions],
        seconds=list(seconds),
        failures=sum(not _converged(solution) for solution in solutions),
    )


def _converged(solution: InnerSolution) -> bool:
    return int(solution.status) == InnerStatus.CONVERGED


def _timed(
    problem: VariableProjection, theta: jax.Array, sample: PaddedSample, start: WarmStart, n: int
) -> tuple[InnerSolution, float]:
    """Return the solution, and the least wall time of n solves."""
    times = []
    for _ in range(n):
        before = time.perf_counter()
        solution = jax.block_until_ready(problem.solve(theta, sample, start))
        times.append(time.perf_counter() - before)
    return solution, min(times)
