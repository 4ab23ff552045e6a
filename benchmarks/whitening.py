"""Coordinates in which the training rows have mean zero and covariance one."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Whitening:
    """The affine map z = L^-1 (x - mean), L L' the covariance of the rows it was made from."""

    mean: np.ndarray
    factor: np.ndarray

    @staticmethod
    def of(X: np.ndarray) -> "Whitening":
        """Return the map that whitens X."""
        return Whitening(X.mean(axis=0), np.linalg.cholesky(np.atleast_2d(np.cov(X.T))))

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the rows z of the rows x."""
        return np.linalg.solve(self.factor, (X - self.mean).T).T

    def back(self, Z: np.ndarray) -> np.ndarray:
        """Return the rows x of the rows z."""
        return self.mean + Z @ self.factor.T

    @property
    def log_det(self) -> float:
        """Log det L: a log-density in z, less this, is one in x."""
        return float(np.log(np.diag(self.factor)).sum())
