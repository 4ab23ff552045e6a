r"""The Gaussian baselines: inside the model of every fit, and what it is measured against.

Of all columns, a Gaussian; of targets given a context, a linear regression with Gaussian noise of
one covariance. Both are potentials of the model whatever mu is: no weight on the network,
quadratics along the covariance's eigenvectors r_k with weights 1 / sd_k, and the mean in the free
weights.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.potential.conditional import ConditionalFeatures


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

    @abstractmethod
    def leverages(
        self, X: Float[np.ndarray, "N d"], weights: Float[np.ndarray, " N"]
    ) -> Float[np.ndarray, " N"]:
        """Return how far every row draws its own fitted mean, of the rows that this is fitted to.

        The diagonal h of the least-squares fit's hat matrix.
        """

    def squares(self, X: Float[np.ndarray, "N d"]) -> Float[np.ndarray, " N"]:
        """Return |z_j|^2, row by row: squared Mahalanobis distances of the targets."""
        return 2.0 * (self.losses(X) - np.sum(np.log(self.sd)))

    def squares_left_out(
        self, X: Float[np.ndarray, "N d"], weights: Float[np.ndarray, " N"]
    ) -> Float[np.ndarray, " N"]:
        r"""Return |z_j|^2 of the rows that this is fitted to, each under the fit without it.

        With shares omega_j, leverages h_j and squares q_j, without fitting anything anew,

            (1 - omega_j) / (1 - h_j)^2  q_j / (1 - omega_j q_j / (1 - h_j)).

        Infinite where a row alone spans a direction.

        Parameters
        ----------
        X : (N, d)
            The rows.
        weights : (N,)
            Their weights, in any unit.
        """
        omega, q = weights / np.sum(weights), self.squares(X)
        rest = 1.0 - self.leverages(X, weights)
        left = 1.0 - omega * q / np.where(rest > 0.0, rest, 1.0)
        alone = (rest <= 0.0) | (left <= 0.0)
        safe = np.where(alone, 1.0, rest**2 * left)
        return np.where(alone, np.inf, (1.0 - omega) * q / safe)

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
    def fit(X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"]) -> "Gaussian":
        """Return the weighted maximum-likelihood Gaussian."""
        omega = weights / np.sum(weights)
        mean = omega @ X
        centred = X - mean
        return Gaussian.of(mean, (omega[:, None] * centred).T @ centred)

    @staticmethod
    def of(mean: Float[np.ndarray, " n"], covariance: Float[np.ndarray, "n n"]) -> "Gaussian":
        """Return the Gaussian of a mean and a covariance."""
        n = len(mean)
        if np.allclose(covariance, np.eye(n), rtol=0.0, atol=1e-9):
            # Whitened rows: every basis diagonalises the identity; take the plain one.
            return Gaussian(np.eye(n), np.ones(n), -mean)
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

    def leverages(
        self, X: Float[np.ndarray, "N n"], weights: Float[np.ndarray, " N"]
    ) -> Float[np.ndarray, " N"]:
        """Return the rows' shares: they draw the mean."""
        return weights / np.sum(weights)


@dataclass(frozen=True)
class ConditionalGaussian(AbstractGaussian):
    """y = coefficients c + intercept + noise: z = S^{-1/2} (y - mean(c)), S = R^T diag(sd^2) R.

    `axes` has the rows of R.
    """

    axes: Float[np.ndarray, "n n"]
    sd: Float[np.ndarray, " n"]
    coefficients: Float[np.ndarray, "n q"]
    intercept: Float[np.ndarray, " n"]

    @staticmethod
    def fit(
        X: Float[np.ndarray, "N d"],
        n: int,
        weights: Float[np.ndarray, " N"],
        shrinkage: float,
        *,
        ridge: float,
        least_sd: float,
    ) -> "ConditionalGaussian":
        """Return the weighted linear regression of n targets on the context after them.

        Parameters
        ----------
        X : (N, d)
            Rows (y, c).
        n : int
            Number of targets.
        weights : (N,)
            Weights of the rows, in any unit.
        shrinkage : float
            Added to the variances of the (standardised) context in the regression, and taken from
            the correlations of its residuals.
        ridge : float
            Added to these variances in any case.
        least_sd : float
            Least standard deviation of the residuals, in that of the widest target.
        """
        omega = weights / np.sum(weights)
        mean = omega @ X
        y, c = X[:, :n] - mean[:n], X[:, n:] - mean[n:]
        weighted = omega[:, None] * c
        gram = weighted.T @ c + (ridge + shrinkage) * np.eye(c.shape[1])
        coefficients = np.linalg.solve(gram, weighted.T @ y).T
        residual = y - c @ coefficients.T
        covariance = (omega[:, None] * residual).T @ residual
        covariance += shrinkage * (np.diag(np.diag(covariance)) - covariance)
        variances, vectors = np.linalg.eigh(covariance)
        least = least_sd * np.sqrt(np.max(omega @ y**2))
        return ConditionalGaussian(
            axes=vectors.T,
            sd=np.sqrt(np.maximum(variances, least**2)),
            coefficients=coefficients,
            intercept=mean[:n] - coefficients @ mean[n:],
        )

    @property
    def n(self) -> int:
        """Number of targets."""
        return len(self.sd)

    def losses(self, X: Float[np.ndarray, "N d"]) -> Float[np.ndarray, " N"]:
        """Return 1/2 |z_j|^2 - log det A_j, row by row."""
        n = self.n
        residual = X[:, :n] - X[:, n:] @ self.coefficients.T - self.intercept
        z = residual @ self.axes.T / self.sd
        return 0.5 * np.sum(z**2, axis=1) + np.sum(np.log(self.sd))

    def leverages(
        self, X: Float[np.ndarray, "N d"], weights: Float[np.ndarray, " N"]
    ) -> Float[np.ndarray, " N"]:
        """Return omega_j (1 + squared Mahalanobis distance of the context)."""
        omega = weights / np.sum(weights)
        c = X[:, self.n :] - omega @ X[:, self.n :]
        inverse = np.linalg.pinv((omega[:, None] * c).T @ c, hermitian=True)
        return omega * (1.0 + np.sum((c @ inverse) * c, axis=1))

    def weights(self, features: ConditionalFeatures) -> Float[np.ndarray, " m"]:
        """Return w of features with these axes: no network, no gates, and a free mean."""
        shift = features.network.units.shift
        q = self.coefficients.shape[1]
        # What the mean has beyond the features' own shift, by [1, c, h].
        beyond = -np.column_stack([shift.b, shift.W])
        beyond[:, 0] += self.intercept
        beyond[:, 1 : 1 + q] += self.coefficients
        free = -(self.axes.T / self.sd) @ self.axes @ beyond
        none = np.zeros(features.width), np.zeros(features.n_gated)
        return np.concatenate([none[0], 1.0 / self.sd, none[1], free.T.ravel()])
