r"""L-BFGS on the reduced objective: the thesis's Algorithm 2 with its second choice of step.

The hidden weights' bounds are SciPy's business (L-BFGS-B, [1]_); the objective is J_tau, so the
line search sees the function whose exact gradient it is given.

References
----------
.. [1] R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, "A Limited Memory Algorithm for Bound Constrained
       Optimization", SIAM J. Sci. Comput. 16, 1995.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import OptimizeResult, minimize

from brenier.outer.function import ReducedFunction
from brenier.outer.monitor import Monitor, StopSearch
from brenier.outer.scheme import AbstractScheme, SearchEnd, projected_gradient
from brenier.status import FitStatus

# A search that ran out of progress with a projected gradient below this many `tol` has
# converged to a loose tolerance.
LOOSE = 1e2


@dataclass(frozen=True)
class LBFGS(AbstractScheme):
    """L-BFGS-B on J_tau(mu).

    Parameters
    ----------
    tol : float
        Converged when the projected gradient's largest entry (nats) is below it, or when J_tau
        falls by less than tol^2 of its size in one iteration.
    memory : int
        Number of correction pairs.
    """

    tol: float = 1e-5
    memory: int = 20

    def search(
        self,
        function: ReducedFunction,
        theta: Float[np.ndarray, " p"],
        lower: Float[np.ndarray, " p"],
        monitor: Monitor,
    ) -> SearchEnd:
        """Search from `theta`, reporting every accepted iterate to `monitor`."""
        reported = 0

        def value_and_gradient(theta):
            monitor.check_time()
            return function(theta)

        def report(intermediate_result: OptimizeResult) -> None:
            nonlocal reported
            here = function.at(intermediate_result.x)
            steps = sum(function.newton_steps[reported:])
            reported = len(function.newton_steps)
            monitor.observe(
                here.theta,
                here.w,
                loss=here.loss,
                n_rows=function.n_rows,
                newton_steps=steps,
                work_units=function.work_units,
            )

        try:
            result = minimize(
                value_and_gradient,
                theta,
                jac=True,
                method="L-BFGS-B",
                bounds=[(low, np.inf) for low in lower],
                callback=report,
                options={
                    "maxiter": monitor.limits.max_iter + 1,
                    "maxfun": 20 * (monitor.limits.max_iter + 1),
                    "maxcor": self.memory,
                    "ftol": self.tol**2,
                    "gtol": self.tol,
                },
            )
        except StopSearch as stop:
            last = function.last
            return SearchEnd(theta if last is None else last.theta, stop.status)
        return SearchEnd(result.x, self._status(result, lower))

    def _status(self, result: OptimizeResult, lower: np.ndarray) -> FitStatus:
        if not np.isfinite(result.fun):
            return FitStatus.NUMERICAL_FAILURE
        residual = projected_gradient(result.x, result.jac, lower)
        if residual <= self.tol:
            return FitStatus.CONVERGED
        # SciPy's status 0 here means that J_tau stopped falling; 2 that no step was found.
        if result.status == 0 or residual <= LOOSE * self.tol:
            return FitStatus.CONVERGED_LOOSELY
        return FitStatus.ITERATION_LIMIT if result.status == 1 else FitStatus.NO_PROGRESS
