r"""What is trained where targets are given a context: conditional features, and their Gaussian.

The log-likelihood of p(y | c) is a sum over rows like any other, with derivatives in y only: the
search does not know that part of a row is a context.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from brenier.potential.conditional import ConditionalFeatures, GatedNetwork
from brenier.potential.gaussian import AbstractGaussian
from brenier.potential.initialise import initial_conditional_network
from brenier.training.settings import Hyperparameters, Settings
from brenier.training.start import RIDGE, AbstractModel, AbstractStart

# Ridge of the regression, and least standard deviation of its residuals, relative to those of the
# columns.
REGRESSION_RIDGE = 1e-8
LEAST_SD = 1e-6


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
        X: Float[np.ndarray, "N d"], n: int, weights: Float[np.ndarray, " N"], shrinkage: float
    ) -> "ConditionalGaussian":
        """Return the weighted linear regression of n targets on the context after them.

        `shrinkage` is added to the variances of the (standardised) context in the regression, and
        taken from the correlations of its residuals.
        """
        omega = weights / np.sum(weights)
        mean = omega @ X
        y, c = X[:, :n] - mean[:n], X[:, n:] - mean[n:]
        weighted = omega[:, None] * c
        gram = weighted.T @ c + (REGRESSION_RIDGE + shrinkage) * np.eye(c.shape[1])
        coefficients = np.linalg.solve(gram, weighted.T @ y).T
        residual = y - c @ coefficients.T
        covariance = (omega[:, None] * residual).T @ residual
        covariance += shrinkage * (np.diag(np.diag(covariance)) - covariance)
        variances, vectors = np.linalg.eigh(covariance)
        least = LEAST_SD * np.sqrt(np.max(omega @ y**2))
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


@dataclass(frozen=True)
class ConditionalStart(AbstractStart):
    """Initial weights."""

    network: GatedNetwork

    def features(
        self, form: Hyperparameters, settings: Settings, gaussian: ConditionalGaussian
    ) -> ConditionalFeatures:
        """Return the features at these weights, the same in all forms."""
        return ConditionalFeatures(self.network, gaussian.axes)


@dataclass(frozen=True)
class ConditionalModel(AbstractModel):
    """The density of n targets given a context: `ConditionalFeatures`.

    Parameters
    ----------
    n : int
        Number of targets, the first columns of the rows.
    context_widths : tuple of int
        Widths of the context's layers.
    n_gates : int
        Gated quadratics along each axis.
    """

    n: int
    context_widths: tuple[int, ...]
    n_gates: int

    def gaussian(
        self, X: Float[np.ndarray, "N d"], weights: Float[np.ndarray, " N"], shrinkage: float
    ) -> ConditionalGaussian:
        """Return the linear regression with constant covariance."""
        return ConditionalGaussian.fit(X, self.n, weights, shrinkage)

    def start(
        self, X: Float[np.ndarray, "N d"], settings: Settings, rng: np.random.Generator
    ) -> ConditionalStart:
        """Return a network placed by the rows."""
        parts = settings.widths, self.context_widths, self.n_gates, settings.activation
        return ConditionalStart(initial_conditional_network(X, self.n, *parts, rng))

    def floor_and_ridge(
        self, features: ConditionalFeatures, settings: Settings, gaussian: ConditionalGaussian
    ) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Return floors of network and quadratics, and a ridge on all that others may equal."""
        m_plus, width, n = features.n_constrained, features.width, features.n
        floor = np.full(features.n_features, -np.inf)
        floor[:m_plus] = 0.0
        floor[width : width + n] = settings.w_min / gaussian.sd
        # The free features of context features may be the same as others.
        ridge = np.full(features.n_features, RIDGE)
        ridge[width : width + n] = 0.0
        ridge[m_plus : m_plus + n] = 0.0
        return floor, ridge

    def gaussian_weights(
        self, features: ConditionalFeatures, gaussian: ConditionalGaussian
    ) -> Float[np.ndarray, " m"]:
        """Return the regression's w."""
        return gaussian.weights(features)

    def cold_weights(
        self, features: ConditionalFeatures, gaussian: ConditionalGaussian
    ) -> Float[np.ndarray, " m"]:
        """Return the regression's w, with a little of every network feature and gate."""
        w = gaussian.weights(features)
        width, n = features.width, features.n
        w[:width] = 0.1 / width
        w[width + n : features.n_constrained] = 0.1
        return w
