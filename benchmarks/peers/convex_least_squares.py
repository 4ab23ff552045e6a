r"""Convex least squares: the convex function closest to targets at the rows, by CVXPY.

    min sum_i (f_i - y_i)^2 / N + penalty sum_i |g_i|^2 / N,   f_j >= f_i + g_i . (x_j - x_i),

and the prediction max_i f_i + g_i . (x - x_i). Of the N (N - 1) constraints few bind: they are
added where they are broken until none is, which is the same minimum.

References
----------
.. [1] S. Boyd, L. Vandenberghe, "Convex Optimization", 2004, section 6.5.5.
.. [2] D. Bertsimas, N. Mundru, "Sparse convex regression", INFORMS J. Comput. 33, 2021.
"""

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

# Constraints of a row with which the first problem begins, and how many a round adds for each row.
NEAREST, ADDED = 10, 3
ROUNDS = 60
# By how much of a standard deviation of targets a constraint may be broken.
BROKEN = 1e-5


class ConvexLeastSquares(RegressorMixin, BaseEstimator):
    """Convex least squares with, where `penalty` is positive, short subgradients preferred."""

    def __init__(self, penalty: float = 0.0):
        self.penalty = penalty

    def fit(self, X: np.ndarray, y: np.ndarray) -> "ConvexLeastSquares":
        """Fit rows and targets."""
        distance = np.sum((X[:, None] - X[None]) ** 2, axis=2)
        np.fill_diagonal(distance, np.inf)
        kept = np.zeros(distance.shape, dtype=bool)
        nearest = np.argsort(distance, axis=1)[:, :NEAREST]
        np.put_along_axis(kept, nearest, values=True, axis=1)
        for _ in range(ROUNDS):
            f, G = self._solve(X, y, kept)
            # How far f_j is below the tangent at x_i.
            below = f[:, None] + G @ X.T - np.sum(G * X, axis=1)[:, None] - f[None]
            below[kept] = 0.0
            worst = np.argsort(-below, axis=1)[:, :ADDED]
            broken = np.take_along_axis(below, worst, axis=1) > BROKEN * np.std(y)
            if not broken.any():
                break
            rows, places = np.nonzero(broken)
            kept[rows, worst[rows, places]] = True
        else:
            raise FloatingPointError("constraints are broken still")
        self.f_, self.G_, self.X_ = f, G, X
        return self

    def _solve(
        self, X: np.ndarray, y: np.ndarray, kept: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return values and subgradients under the constraints (i, j) that are kept."""
        import cvxpy

        N, n = X.shape
        i, j = np.nonzero(kept)
        f, G = cvxpy.Variable(N), cvxpy.Variable((N, n))
        slope: Any = cvxpy.sum(cvxpy.multiply(G[i], X[j] - X[i]), axis=1)
        loss = cvxpy.sum_squares(f - y) + self.penalty * cvxpy.sum_squares(G)
        problem = cvxpy.Problem(cvxpy.Minimize(loss / N), [f[j] >= f[i] + slope])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problem.solve(solver="CLARABEL")
        if f.value is None or G.value is None:
            raise FloatingPointError(f"no solution: {problem.status}")
        return f.value, G.value

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the largest of the tangents."""
        return np.max(X @ self.G_.T + self.f_ - np.sum(self.G_ * self.X_, axis=1), axis=1)
