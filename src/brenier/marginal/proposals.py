r"""What points of an importance sample are drawn from: mixtures of Student's distributions.

They begin as Gaussian mixtures of all columns given values of some, by formula: with means m, and
covariances S, of the free columns (1) and the given ones (2) of a component,

    m_1 + S_12 S_22^{-1} (v - m_2),    S_11 - S_12 S_22^{-1} S_21,

and weights that are in proportion to pi N(v; m_2, S_22). Student's distribution with the same
centre and scale has heavier tails, so that weights stay bounded where a density's are a normal's.
A mixture is then moved to where the weighted points of a sample lie (population Monte Carlo [1]_).

References
----------
.. [1] O. Cappé, R. Douc, A. Guillin, J.-M. Marin, C. P. Robert, "Adaptive importance sampling in
       general mixture classes", Statistics and Computing 18, 2008.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import gammaln, logsumexp

from brenier.arrays import LOG_2_PI

# Degrees of freedom of Student's distributions.
DEGREES = 5.0
# The least variance of a component, in units of the draws' scale; the least weight of one that a
# sample moves.
LEAST_VARIANCE, LEAST_WEIGHT = 1e-10, 1e-3


@dataclass(frozen=True)
class NormalMixture:
    """A Gaussian mixture of all columns.

    Attributes
    ----------
    weights : (G,)
        Summing to one.
    means : (G, n)
        Of the components.
    covariances : (G, n, n)
        Theirs.
    """

    weights: Float[np.ndarray, " G"]
    means: Float[np.ndarray, "G n"]
    covariances: Float[np.ndarray, "G n n"]

    def given(
        self, columns: Int[np.ndarray, " m"], values: Float[np.ndarray, "K n"]
    ) -> "Proposals":
        """Return proposals of some columns given all others in each of K rows."""
        others = np.setdiff1d(np.arange(values.shape[1]), columns)
        of_free = self.covariances[:, columns[:, None], columns]
        crossed = self.covariances[:, columns[:, None], others]
        of_given = self.covariances[:, others[:, None], others]
        slopes = np.linalg.solve(of_given, crossed.transpose(0, 2, 1)).transpose(0, 2, 1)
        centred = values[:, None, others] - self.means[:, others]
        means = self.means[:, columns] + np.einsum("gij,kgj->kgi", slopes, centred)
        least = LEAST_VARIANCE * np.eye(len(columns))
        factors = np.linalg.cholesky(of_free - slopes @ crossed.transpose(0, 2, 1) + least)
        logs = np.log(self.weights) + _log_normals(centred, np.linalg.cholesky(of_given))
        weights = np.exp(logs - np.asarray(logsumexp(logs, axis=1, keepdims=True)))
        return Proposals(weights, means, factors)


def _log_normals(
    centred: Float[np.ndarray, "K G q"], factors: Float[np.ndarray, "G q q"]
) -> Float[np.ndarray, "K G"]:
    """Return the log-densities of normal distributions at centred points."""
    z = np.einsum("gij,kgj->kgi", np.linalg.inv(factors), centred)
    log_dets = np.sum(np.log(np.diagonal(factors, axis1=1, axis2=2)), axis=1)
    return -0.5 * np.sum(z * z, axis=2) - log_dets - 0.5 * centred.shape[2] * LOG_2_PI


@dataclass(frozen=True)
class Proposals:
    """A mixture of Student's distributions of m columns for each of K rows.

    Attributes
    ----------
    weights : (K, G)
        Of the components, summing to one in every row.
    means : (K, G, m)
        Their centres.
    factors : (G, m, m)
        Lower Cholesky factors of their scales, alike for all rows.
    """

    weights: Float[np.ndarray, "K G"]
    means: Float[np.ndarray, "K G m"]
    factors: Float[np.ndarray, "G m m"]

    def __getitem__(self, rows) -> "Proposals":
        """Return those of some rows."""
        return Proposals(self.weights[rows], self.means[rows], self.factors)

    def sample(self, S: int, rng: np.random.Generator) -> Float[np.ndarray, "K S m"]:
        """Return S points for every row."""
        K, _, m = self.means.shape
        below = np.cumsum(self.weights, axis=1)[:, None, :-1]
        component = np.sum(rng.random((K, S, 1)) > below, axis=2)
        spread = np.sqrt(DEGREES / rng.chisquare(DEGREES, size=(K, S, 1)))
        z = rng.normal(size=(K, S, m)) * spread
        steps = np.einsum("ksij,ksj->ksi", self.factors[component], z)
        return self.means[np.arange(K)[:, None], component] + steps

    def log_density(self, T: Float[np.ndarray, "K S m"]) -> Float[np.ndarray, "K S"]:
        """Return the log-density of every row's points."""
        return np.asarray(logsumexp(self._terms(T)[0], axis=2))

    def adapted(self, T: Float[np.ndarray, "S m"], weights: Float[np.ndarray, " S"]) -> "Proposals":
        """Return the one row's mixture, moved to weighted points (weights sum to one)."""
        terms, squares = (part[0] for part in self._terms(T[None]))
        m = T.shape[1]
        shares = np.exp(terms - np.asarray(logsumexp(terms, axis=1, keepdims=True)))
        shares = weights[:, None] * shares
        kept = shares.sum(axis=0) > LEAST_WEIGHT
        shares, squares = shares[:, kept], squares[:, kept]
        of_components = shares.sum(axis=0)
        # Far points count less, as in the maximum likelihood of Student's distribution.
        scaled = shares * (DEGREES + m) / (DEGREES + squares)
        means = (scaled / scaled.sum(axis=0)).T @ T
        centred = T[:, None] - means
        moments = np.einsum("sg,sgi,sgj->gij", scaled, centred, centred)
        scales = moments / of_components[:, None, None] + LEAST_VARIANCE * np.eye(m)
        total = of_components / of_components.sum()
        return Proposals(total[None], means[None], np.linalg.cholesky(scales))

    def _terms(
        self, T: Float[np.ndarray, "K S m"]
    ) -> tuple[Float[np.ndarray, "K S G"], Float[np.ndarray, "K S G"]]:
        """Return the logarithms of weights times densities, and squared distances."""
        m = T.shape[2]
        inverses = np.linalg.inv(self.factors)
        z = np.einsum("gij,ksgj->ksgi", inverses, T[:, :, None] - self.means[:, None])
        squares = np.sum(z * z, axis=3)
        log_dets = np.sum(np.log(np.diagonal(self.factors, axis1=1, axis2=2)), axis=1)
        constant = gammaln(0.5 * (DEGREES + m)) - gammaln(0.5 * DEGREES)
        constant -= 0.5 * m * np.log(DEGREES * np.pi)
        logs = constant - log_dets - 0.5 * (DEGREES + m) * np.log1p(squares / DEGREES)
        with np.errstate(divide="ignore"):
            return logs + np.log(self.weights)[:, None], squares
