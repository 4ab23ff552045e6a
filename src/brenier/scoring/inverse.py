"""The inverse of a potential's gradient by damped Newton steps: `brenier.flow.inverse` in NumPy."""

import numpy as np

from brenier.scoring.potential import Potential

# As there.
ARMIJO, SHRINK, MAX_HALVINGS, MAX_STEPS = 1e-4, 0.5, 30, 400
TOLERANCE, ROUNDING, HIDDEN, REACHED = 1e-11, 1e-13, 1e-9, 100.0


def invert(potential: Potential, Z: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x with grad Phi(x) = z for every row of Z, (N, n), and where it was found, (N,).

    C, (N, q), is the context.
    """
    N, n = Z.shape
    target = TOLERANCE * np.maximum(1.0, np.linalg.norm(Z, axis=1))
    X, t = np.zeros((N, n)), np.ones(N)
    value, gradient, step = _evaluated(potential, X, Z, C)
    active = np.linalg.norm(gradient, axis=1) > target
    for k in range(MAX_STEPS):
        rows = np.flatnonzero(active)
        if len(rows) == 0:
            break
        tried = X[rows] + t[rows, None] * step[rows]
        found, slopes, next_step = _evaluated(potential, tried, Z[rows], C[rows])
        better = (k == 0) | _improves(
            value[rows], gradient[rows], step[rows], t[rows], found, slopes
        )
        stuck = np.where(better, np.all(tried == X[rows], axis=1), t[rows] <= SHRINK**MAX_HALVINGS)
        arrived = better & (np.linalg.norm(slopes, axis=1) <= target[rows])
        moved = rows[better]
        X[moved], value[moved] = tried[better], found[better]
        gradient[moved], step[moved] = slopes[better], next_step[better]
        t[rows] = np.where(better, 1.0, SHRINK * t[rows])
        active[rows] = ~(stuck | arrived)
    return X, np.linalg.norm(gradient, axis=1) <= REACHED * target


def _evaluated(
    potential: Potential, X: np.ndarray, Z: np.ndarray, C: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Phi(x) - z . x, its gradient, and the Newton step."""
    value, image, A = potential.jet(np.concatenate([X, C], axis=1))
    gradient = image - Z
    try:
        step = -np.linalg.solve(A, gradient[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        step = -gradient
    descends = np.sum(step * gradient, axis=1)
    # The steepest one where rounding leaves no Newton step, far out.
    is_newton = (descends < 0.0) & np.isfinite(descends)
    return value - np.sum(X * Z, axis=1), gradient, np.where(is_newton[:, None], step, -gradient)


def _improves(
    value: np.ndarray,
    gradient: np.ndarray,
    step: np.ndarray,
    t: np.ndarray,
    found: np.ndarray,
    slopes: np.ndarray,
) -> np.ndarray:
    """Return whether a point that was tried is better: row by row."""
    slope = np.sum(gradient * step, axis=1)
    allowance = ROUNDING * np.maximum(1.0, np.abs(value))
    lower = found <= value + ARMIJO * t * slope + allowance
    hidden = (t == 1.0) & (-slope < HIDDEN)
    halves = np.linalg.norm(slopes, axis=1) < 0.5 * np.linalg.norm(gradient, axis=1)
    return lower | (hidden & halves)
