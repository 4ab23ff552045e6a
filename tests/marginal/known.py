"""Densities whose conditionals and marginals are known, as `brenier.marginal` asks them."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import multivariate_normal

from brenier.marginal.joint import Coordinates, Joint
from brenier.marginal.proposals import NormalMixture

INF = np.inf


@dataclass
class Counted:
    """A function that counts the rows it was called with."""

    function: object
    rows: int = 0

    def __call__(self, X):
        self.rows += len(X)
        return self.function(X)


def joint_of(log_density, rows, low=None, high=None):
    n = rows.shape[1]
    low = np.full(n, -INF) if low is None else np.array(low, float)
    high = np.full(n, INF) if high is None else np.array(high, float)
    coordinates = Coordinates.about(rows, low, high)
    return Joint(Counted(log_density), coordinates, coordinates.inward(rows))


class Normal:
    """A normal distribution of correlated columns of different scales."""

    def __init__(self, n, seed=0):
        rng = np.random.default_rng(seed)
        A = rng.normal(size=(n, n)) + np.eye(n)
        scales = 10.0 ** rng.uniform(-3, 3, n)
        self.mean, self.covariance = scales * rng.normal(size=n), A @ A.T * np.outer(scales, scales)
        rows = rng.normal(size=(2000, n)) @ A.T * scales + self.mean
        self.joint = joint_of(self.marginal(range(n)), rows)

    def marginal(self, columns):
        """Return the logarithm of the density of some columns, as a function of their rows."""
        columns = list(columns)
        mean, sd = self.mean[columns], np.sqrt(np.diag(self.covariance))[columns]
        frozen = multivariate_normal(
            cov=self.covariance[np.ix_(columns, columns)] / np.outer(sd, sd)
        )

        def log_density(X):
            return frozen.logpdf((X - mean) / sd).reshape(len(X)) - np.sum(np.log(sd))

        return log_density

    def conditional(self, places, values):
        """Return mean and covariance of the other columns given values of some."""
        free = [j for j in range(len(self.mean)) if j not in places]
        S = self.covariance
        slopes = np.linalg.solve(S[np.ix_(places, places)], S[np.ix_(places, free)]).T
        mean = self.mean[free] + slopes @ (values - self.mean[places])
        return mean, S[np.ix_(free, free)] - slopes @ S[np.ix_(places, free)]

    def mixture(self):
        """Return a rough mixture in the coordinates of the joint density: too wide, and shifted."""
        U = self.joint.draws
        covariance = 1.5 * np.cov(U.T)
        means = np.mean(U, axis=0) + 0.5 * np.array([[1.0], [-1.0]])
        return NormalMixture(np.array([0.3, 0.7]), means, np.stack([covariance, covariance]))


def bent(X):
    """Return log p of x ~ N(0, 1), y ~ N(x^2, 0.3^2), z ~ N(x y, 0.5^2), or of the first two."""
    terms = [X[:, 0], (X[:, 1] - X[:, 0] ** 2) / 0.3]
    if X.shape[1] > 2:
        terms.append((X[:, 2] - X[:, 0] * X[:, 1]) / 0.5)
    scales = np.prod([1.0, 0.3, 0.5][: len(terms)])
    squares = sum(term**2 for term in terms)
    return -0.5 * squares - 0.5 * len(terms) * np.log(2 * np.pi) - np.log(scales)


def bent_rows(n, N=2000, seed=0):
    z = np.random.default_rng(seed).normal(size=(N, 3))
    x = z[:, 0]
    y = x**2 + 0.3 * z[:, 1]
    return np.column_stack([x, y, x * y + 0.5 * z[:, 2]])[:, :n]
