r"""Projected gradient descent with a line search: the thesis's Algorithm 2, first choice of step.

    x <- max(x - t g, lower),    t the first of t_0, t_0 / 2, ... with sufficient decrease ([1]_):

    f(x(t)) <= f(x) - c |x(t) - x|^2 / t,    t_0 twice the last step.

References
----------
.. [1] D. P. Bertsekas, "On the Goldstein-Levitin-Polyak Gradient Projection Method", IEEE Trans.
       Automat. Control 21, 1976.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.optimizers.base import AbstractOptimizer, OptimizerEnd, projected_gradient, stalled
from brenier.optimizers.early_stopping import EarlyStopping, StopRun
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction, Evaluated

ARMIJO = 1e-4
GROWTH = 2.0
SHRINK = 0.5
MAX_SHRINKS = 40


@dataclass(frozen=True)
class GradientDescent(AbstractOptimizer):
    """Gradient descent with backtracking.

    Parameters
    ----------
    eliminates : bool
        Whether w is eliminated.
    tol : float
        Converged when the projected gradient's largest entry (nats) is below it.
    first_step : float
        First step tried.
    """

    eliminates: bool = True
    tol: float = 1e-5
    first_step: float = 1.0

    def minimize(
        self, function: AbstractFunction, x: Float[np.ndarray, " p"], early_stopping: EarlyStopping
    ) -> OptimizerEnd:
        """Minimise from `x`, reporting every accepted iterate to `early_stopping`."""
        lower = function.lower
        here = function.evaluate(x)
        if not here.finite:
            return OptimizerEnd(x, FitStatus.NUMERICAL_FAILURE)
        step = self.first_step
        try:
            while projected_gradient(here.x, here.gradient, lower) > self.tol:
                early_stopping.check_time()
                step, after = _line_search(function, here, lower, GROWTH * step)
                if after is None:
                    break
                here = after
                early_stopping.observe(here, function)
        except StopRun as stop:
            return OptimizerEnd(here.x, stop.status)
        return OptimizerEnd(
            here.x, stalled(projected_gradient(here.x, here.gradient, lower), self.tol)
        )


def _line_search(
    function: AbstractFunction, here: Evaluated, lower: np.ndarray, step: float
) -> tuple[float, Evaluated | None]:
    """Return the step taken and the point it led to, None where no step descends."""
    for _ in range(MAX_SHRINKS):
        after = function.evaluate(np.maximum(here.x - step * here.gradient, lower))
        moved = float(np.sum((after.x - here.x) ** 2))
        if after.finite and moved > 0 and after.value <= here.value - ARMIJO * moved / step:
            return step, after
        step *= SHRINK
    return step, None
