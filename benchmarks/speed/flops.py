"""Job: the rates of the three kernels of a fit, in the operations that `benchmarks.counts` counts.

Float64, N = 2000 rows, hidden layers 2 x 32. Each function below returns a kernel, ready to be
called, with its operations; all rows are in tiles, as a solve has them, and what is compiled is
compiled as the parts of a fit are.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from benchmarks import counts
from benchmarks.clock import interleaved
from benchmarks.problems import Problem, derivatives, formed, newton_step
from benchmarks.speed.draws import smooth_rows

WIDTHS = (32, 32)
ROWS = 2000


class Kernel(NamedTuple):
    """What is called, and how many floating-point operations that takes."""

    call: Callable[[], Any]
    operations: int


def rates(n: int, rows: int = ROWS, rounds: int = 20) -> dict[str, float]:
    """Return the Gflop/s of every kernel at n columns, all called alternately."""
    with jax.enable_x64(True):
        problem = Problem.of(smooth_rows(rows, n, 0), WIDTHS)
        kernels = {
            "features": features(problem),
            "newton": newton(problem),
            "gradient": gradient(problem),
        }
        calls = {name: kernel.call for name, kernel in kernels.items()}
        seconds = interleaved(calls, rounds=rounds, most_seconds=30.0)
    return _gflops(kernels, seconds)


def _gflops(kernels: Mapping[str, Kernel], seconds: Mapping[str, float]) -> dict[str, float]:
    return {name: 1e-9 * kernel.operations / seconds[name] for name, kernel in kernels.items()}


def features(problem: Problem) -> Kernel:
    """Return what computes the derivatives of all features, and holds the Hessians."""
    operations = counts.feature_operations(len(problem.X), problem.features.n, WIDTHS)
    return Kernel(lambda: derivatives(problem.reduced, problem.theta, problem.sample), operations)


def newton(problem: Problem) -> Kernel:
    """Return what computes J, its gradient and Hessian in w, and a Newton direction."""
    w, n = problem.cold.w, problem.features.n
    found = formed(problem.reduced, problem.theta, problem.sample, exact=True)
    operations = counts.newton_operations(len(problem.X), n, WIDTHS[-1], n)
    return Kernel(lambda: newton_step(found, w), operations)


def gradient(problem: Problem) -> Kernel:
    """Return what computes J and its gradient in mu, on all rows."""
    theta, w, sample = problem.theta, problem.cold.w, problem.sample
    operations = counts.gradient_operations(len(problem.X), problem.features.n, WIDTHS)
    return Kernel(lambda: problem.reduced.value_and_gradient(theta, w, sample), operations)
