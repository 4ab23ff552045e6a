r"""L-BFGS: the thesis's Algorithm 2 with its second choice of step.

The hidden weights' bounds are SciPy's business (L-BFGS-B, [1]_). Where w is eliminated the
objective is J_tau, so the line search sees the function whose exact gradient it is given.

References
----------
.. [1] R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, "A Limited Memory Algorithm for Bound Constrained
       Optimization", SIAM J. Sci. Comput. 16, 1995.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import OptimizeResult, minimize

from brenier.optimizers.base import AbstractOptimizer, OptimizerEnd, projected_gradient, stalled
from brenier.optimizers.early_stopping import EarlyStopping, StopRun
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction


@dataclass(frozen=True)
class LBFGS(AbstractOptimizer):
    """L-BFGS-B.

    Parameters
    ----------
    eliminates : bool
        Whether w is eliminated.
    tol : float
        Converged when the projected gradient's largest entry (nats) is below it, or when the
        objective falls by less than tol^2 of its size in one iteration.
    memory : int
        Number of correction pairs.
    max_evaluations_per_iteration : int
        Evaluations that line searches may take, on the average of all iterations allowed.
    """

    eliminates: bool = True
    tol: float = 1e-5
    memory: int = 20
    max_evaluations_per_iteration: int = 20

    def minimize(
        self, function: AbstractFunction, x: Float[np.ndarray, " p"], early_stopping: EarlyStopping
    ) -> OptimizerEnd:
        """Minimise from `x`, reporting every accepted iterate to `early_stopping`."""
        # Early stopping counts iterations, so that all optimizers end alike.
        max_iter = early_stopping.criteria.max_iter + 1

        def value_and_gradient(x):
            early_stopping.check_time()
            return function(x)

        def report(intermediate_result: OptimizeResult) -> None:
            early_stopping.observe(function.at(intermediate_result.x), function)

        try:
            result = minimize(
                value_and_gradient,
                x,
                jac=True,
                method="L-BFGS-B",
                bounds=[(low, np.inf) for low in function.lower],
                callback=report,
                options={
                    "maxiter": max_iter,
                    "maxfun": self.max_evaluations_per_iteration * max_iter,
                    "maxcor": self.memory,
                    "ftol": self.tol**2,
                    "gtol": self.tol,
                },
            )
        except StopRun as stop:
            return OptimizerEnd(x if function.last is None else function.last.x, stop.status)
        return OptimizerEnd(result.x, self._status(result, function.lower))

    def _status(self, result: OptimizeResult, lower: np.ndarray) -> FitStatus:
        if not np.isfinite(result.fun):
            return FitStatus.NUMERICAL_FAILURE
        status = stalled(projected_gradient(result.x, result.jac, lower), self.tol)
        # SciPy's status 0 here means that the objective stopped falling; 1 that a limit was met.
        if status is FitStatus.NO_PROGRESS and result.status == 0:
            return FitStatus.CONVERGED_LOOSELY
        if status is FitStatus.NO_PROGRESS and result.status == 1:
            return FitStatus.ITERATION_LIMIT
        return status
