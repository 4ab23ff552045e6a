r"""Gauss-Newton-Krylov in a trust region, with or without elimination of w.

Around x the function is modelled by m(d) = g . d + 1/2 d . M d, M the Gauss-Newton matrix
(`brenier.varpro.curvature`), known by its products only. d is the model's minimiser within the
trust region, in a Krylov space (`brenier.optimizers.krylov`) preconditioned by what the spaces
before it found out about the curvature (`brenier.optimizers.inverse_curvature`): of few products,
for another step is worth more than one more product. Variables at their bound with the gradient
pushing outwards stay there; the step is then projected on the bounds, and the model judged at what
is left of it. GNvpro ([2]_) has the same with more products and no memory of earlier ones.

References
----------
.. [1] J. Nocedal, S. J. Wright, "Numerical Optimization", 2nd ed., 2006, algorithm 4.1.
.. [2] E. Newman, L. Ruthotto, J. Hart, B. van Bloemen Waanders, "Train Like a (Var)Pro: Efficient
       Training of Neural Networks with Variable Projection", 2021, arXiv 2007.13171, section 3.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from brenier.optimizers.base import AbstractOptimizer, OptimizerEnd, projected_gradient, stalled
from brenier.optimizers.early_stopping import EarlyStopping, StopRun
from brenier.optimizers.inverse_curvature import InverseCurvature
from brenier.optimizers.krylov import KrylovSpace, Product
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction, Evaluated

# Shares of the predicted decrease above which a step is taken, and the region kept or widened.
ACCEPT, KEEP, WIDEN = 1e-4, 0.25, 0.75
LEAST_RADIUS = 1e-10


@dataclass(frozen=True)
class GaussNewton(AbstractOptimizer):
    """Trust-region Gauss-Newton.

    Parameters
    ----------
    eliminates : bool
        Whether w is eliminated.
    tol : float
        Converged when the projected gradient's largest entry (nats) is below it.
    max_products : int
        Most products for one step: the Krylov space's dimension. Its trial, and the memory's, is in
        benchmarks/NOTES.md ("Optimisers").
    memory : int
        Most directions of earlier spaces that precondition a space; zero: none does.
    first_radius : float
        Trust radius to begin with.
    """

    eliminates: bool = True
    tol: float = 1e-5
    max_products: int = 3
    memory: int = 200
    first_radius: float = 1.0

    def minimize(
        self, function: AbstractFunction, x: Float[np.ndarray, " p"], early_stopping: EarlyStopping
    ) -> OptimizerEnd:
        """Minimise from `x`, reporting every accepted iterate to `early_stopping`."""
        lower, radius = function.lower, self.first_radius
        here = function.evaluate(x)
        if not here.finite:
            return OptimizerEnd(x, FitStatus.NUMERICAL_FAILURE)
        inverse = InverseCurvature(self.memory)
        region = _Region(here, function.curvature(here), lower, radius, self.max_products, inverse)
        try:
            while projected_gradient(here.x, here.gradient, lower) > self.tol:
                early_stopping.check_time()
                step, predicted = region.trial(radius)
                after = function.evaluate(here.x + step)
                ratio = (here.value - after.value) / predicted if after.finite else -np.inf
                radius = _next_radius(radius, float(np.linalg.norm(step)), ratio)
                if ratio > ACCEPT:
                    here = after
                    early_stopping.observe(here, function)
                    product, inverse = function.curvature(here), inverse.after(region.space)
                    region = _Region(here, product, lower, radius, self.max_products, inverse)
                elif radius < LEAST_RADIUS:
                    break
        except StopRun as stop:
            return OptimizerEnd(here.x, stop.status)
        return OptimizerEnd(
            here.x, stalled(projected_gradient(here.x, here.gradient, lower), self.tol)
        )


class _Region:
    """The model around a point; where a step is refused, its Krylov space serves the next."""

    def __init__(
        self,
        here: Evaluated,
        product: Product,
        lower: Float[np.ndarray, " p"],
        radius: float,
        max_products: int,
        inverse: InverseCurvature,
    ):
        self.here, self.product, self.lower = here, product, lower
        self._radius, self._max_products, self._inverse = radius, max_products, inverse

    @cached_property
    def space(self) -> KrylovSpace:
        """The space of steps that leave variables alone which their bounds hold.

        The less the gradient is, the closer steps are to the model's minimiser, as far as there are
        products for it.
        """
        free = ~((self.here.x <= self.lower) & (self.here.gradient > 0.0))
        gradient = np.where(free, self.here.gradient, 0.0)
        return KrylovSpace.of(
            lambda v: np.where(free, self.product(v), 0.0),
            gradient,
            self._radius,
            min(0.5, np.sqrt(float(np.linalg.norm(gradient)))),
            self._max_products,
            lambda v: np.where(free, self._inverse(v), 0.0),
        )

    def trial(self, radius: float) -> tuple[np.ndarray, float]:
        """Return a step within bounds and region, and the decrease that the model predicts."""
        here, lower = self.here, self.lower
        unbounded, predicted = self.space.step(radius)
        step = np.maximum(here.x + unbounded, lower) - here.x
        if np.all(here.x + unbounded >= lower):
            return unbounded, predicted
        predicted = -_model(self.product, here.gradient, step)
        if predicted > 0.0:
            return step, predicted
        # Projection spoilt the step; along the projected gradient the model does descend.
        gradient = here.x - np.maximum(here.x - here.gradient, lower)
        curvature = gradient @ self.product(gradient)
        length = gradient @ gradient / max(curvature, np.finfo(float).tiny)
        step = -min(length, radius / float(np.linalg.norm(gradient)), 1.0) * gradient
        return step, -_model(self.product, here.gradient, step)


def _model(product: Product, gradient: np.ndarray, step: np.ndarray) -> float:
    return float(gradient @ step + 0.5 * step @ product(step))


def _next_radius(radius: float, length: float, ratio: float) -> float:
    if ratio < KEEP:
        return 0.25 * length
    return max(radius, 2.0 * length) if ratio > WIDEN else radius
