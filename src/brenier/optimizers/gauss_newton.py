r"""Gauss-Newton-Krylov in a trust region, with or without elimination of w.

Around x the function is modelled by m(d) = g . d + 1/2 d . M d, M the Gauss-Newton matrix
(`brenier.varpro.curvature`), known by its products only. d comes from conjugate gradients, cut off
at the trust region's boundary ([1]_). Variables at their bound with the gradient pushing outwards
stay there; the step is then projected on the bounds, and the model judged at what is left of it.

References
----------
.. [1] T. Steihaug, "The Conjugate Gradient Method and Trust Regions in Large Scale Optimization",
       SIAM J. Numer. Anal. 20, 1983.
.. [2] J. Nocedal, S. J. Wright, "Numerical Optimization", 2nd ed., 2006, algorithms 4.1 and 7.2.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.optimizers.base import AbstractOptimizer, OptimizerEnd, projected_gradient, stalled
from brenier.optimizers.early_stopping import EarlyStopping, StopRun
from brenier.status import FitStatus
from brenier.varpro.function import AbstractFunction, Evaluated, Product

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
        Most conjugate-gradient steps for one trial step.
    first_radius : float
        Trust radius to begin with.
    """

    eliminates: bool = True
    tol: float = 1e-5
    max_products: int = 30
    first_radius: float = 1.0

    def minimize(
        self, function: AbstractFunction, x: Float[np.ndarray, " p"], early_stopping: EarlyStopping
    ) -> OptimizerEnd:
        """Minimise from `x`, reporting every accepted iterate to `early_stopping`."""
        lower, radius = function.lower, self.first_radius
        here = function.evaluate(x)
        if not here.finite:
            return OptimizerEnd(x, FitStatus.NUMERICAL_FAILURE)
        product = function.curvature(here)
        try:
            while projected_gradient(here.x, here.gradient, lower) > self.tol:
                early_stopping.check_time()
                step, predicted = self._trial(product, here, lower, radius)
                after = function.evaluate(here.x + step)
                ratio = (here.value - after.value) / predicted if after.finite else -np.inf
                radius = _next_radius(radius, float(np.linalg.norm(step)), ratio)
                if ratio > ACCEPT:
                    here, product = after, function.curvature(after)
                    early_stopping.observe(here, function)
                elif radius < LEAST_RADIUS:
                    break
        except StopRun as stop:
            return OptimizerEnd(here.x, stop.status)
        return OptimizerEnd(
            here.x, stalled(projected_gradient(here.x, here.gradient, lower), self.tol)
        )

    def _trial(
        self, product: Product, here: Evaluated, lower: np.ndarray, radius: float
    ) -> tuple[np.ndarray, float]:
        """Return a step within bounds and region, and the decrease that the model predicts."""
        free = ~((here.x <= lower) & (here.gradient > 0.0))
        unbounded = steihaug(
            lambda v: np.where(free, product(v), 0.0),
            np.where(free, here.gradient, 0.0),
            radius,
            self.max_products,
        )
        step = np.maximum(here.x + unbounded, lower) - here.x
        predicted = -_model(product, here.gradient, step)
        if predicted > 0.0:
            return step, predicted
        # Projection spoilt the step; along the projected gradient the model does descend.
        gradient = here.x - np.maximum(here.x - here.gradient, lower)
        length = gradient @ gradient / max(gradient @ product(gradient), np.finfo(float).tiny)
        step = -min(length, radius / float(np.linalg.norm(gradient)), 1.0) * gradient
        return step, -_model(product, here.gradient, step)


def _model(product: Product, gradient: np.ndarray, step: np.ndarray) -> float:
    return float(gradient @ step + 0.5 * step @ product(step))


def _next_radius(radius: float, length: float, ratio: float) -> float:
    if ratio < KEEP:
        return 0.25 * length
    return max(radius, 2.0 * length) if ratio > WIDEN else radius


def steihaug(
    product: Product, gradient: Float[np.ndarray, " p"], radius: float, max_products: int
) -> Float[np.ndarray, " p"]:
    """Return an approximate minimiser of g . d + 1/2 d . M d within |d| <= radius.

    Conjugate gradients stop at a residual of min(1/2, sqrt |g|) |g|, so that the outer iteration
    converges superlinearly, at the boundary, or after `max_products`.
    """
    d = np.zeros_like(gradient)
    residual, direction = gradient.copy(), -gradient
    size = float(np.linalg.norm(gradient))
    target = min(0.5, np.sqrt(size)) * size
    for _ in range(max_products):
        Mp = product(direction)
        curvature = direction @ Mp
        squared = residual @ residual
        if curvature <= 0.0:
            return d + _to_boundary(d, direction, radius) * direction
        step = squared / curvature
        if np.linalg.norm(d + step * direction) >= radius:
            return d + _to_boundary(d, direction, radius) * direction
        d = d + step * direction
        residual = residual + step * Mp
        if np.linalg.norm(residual) <= target:
            break
        direction = -residual + (residual @ residual / squared) * direction
    return d


def _to_boundary(d: np.ndarray, direction: np.ndarray, radius: float) -> float:
    """Return the t >= 0 with |d + t direction| = radius."""
    a, b, c = direction @ direction, d @ direction, d @ d - radius**2
    return float((-b + np.sqrt(max(b * b - a * c, 0.0))) / a) if a > 0.0 else 0.0
