"""The Gaussian fit: candidate 0 of every fit, and the baseline it is measured against."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


class AbstractGaussian(ABC):
    """A Gaussian of the targets in the potential's coordinates, inside the model.

    Its covariance is R^T diag(sd^2) R.

    Attributes
    ----------
    axes : (n, n)
        The rows of R, orthonormal.
    sd : (n,)
        Standard deviations along them.
    """

    axes: Float[np.ndarray, "n n"]
    sd: Float[np.ndarray, " n"]

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of targets."""

    @abstractmethod
    def losses(self, X: Float[np.ndarray, "N d"]) -> Float[np.ndarray, " N"]:
        """Return 1/2 |z_j|^2 - log det A_j, row by row."""

    def loss(self, X: Float[np.ndarray, "N d"], weights: Float[np.ndarray, " N"]) -> float:
        """Return J of weighted rows."""
        return float(np.average(self.losses(X), weights=weights))


@dataclass(frozen=True)
class Gaussian(AbstractGaussian):
    """The Gaussian fit in the potential's coordinates.

    Phi(x) = 1/2 (x - m)^T S^{-1/2} (x - m), S = R^T diag(sd^2) R: quadratic weights 1 / sd along
    the rows of R, linear weights -S^{-1/2} m.
    """

    axes: Float[np.ndarray, "n n"]
    sd: Float[np.ndarray, " n"]
    linear: Float[np.ndarray, " n"]

    @staticmethod
    def fit(
        X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"], shrinkage: float = 0.0
    ) -> "Gaussian":
        """Return the weighted maximum-likelihood Gaussian.

        With `shrinkage` a > 0 its covariance is (1 - a) S + a diag(S), positive definite for any
        number of rows.
        """
        omega = weights / np.sum(weights)
        mean = omega @ X
        centred = X - mean
        covariance = (omega[:, None] * centred).T @ centred
        covariance += shrinkage * (np.diag(np.diag(covariance)) - covariance)
        if np.allclose(covariance, np.eye(X.shape[1]), rtol=0.0, atol=1e-9):
            # Whitened rows: every basis diagonalises the identity; take the plain one.
            return Gaussian(np.eye(X.shape[1]), np.ones(X.shape[1]), -mean)
        variances, vectors = np.linalg.eigh(covariance)
        sd = np.sqrt(variances)
        return Gaussian(vectors.T, sd, -(vectors / sd) @ (vectors.T @ mean))

    @property
    def n(self) -> int:
        """Number of columns."""
        return len(self.sd)

    def weights(self, width: int) -> Float[np.ndarray, " m"]:
        """Return w of a head with `width` network features and quadratics along `axes`."""
        return np.concatenate([np.zeros(width), 1.0 / self.sd, self.linear])

    def losses(self, X: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
        """Return 1/2 |z_j|^2 - log det A_j, row by row."""
        z = (X @ self.axes.T / self.sd) @ self.axes + self.linear
        return 0.5 * np.sum(z**2, axis=1) + np.sum(np.log(self.sd))
