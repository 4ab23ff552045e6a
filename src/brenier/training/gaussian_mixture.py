"""Gaussian mixtures of weighted rows, by expectation maximisation.

scikit-learn's takes no weights; its k-means, from which this one starts, does.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from brenier.arrays import log_sums
from brenier.data.rows import WeightedRows
from brenier.flow.gaussians import Gaussians, blocks
from brenier.training.settings import Settings


class GaussianMixture(NamedTuple):
    """Gaussians and their weights.

    Attributes
    ----------
    weights : (G,)
        Summing to one.
    gaussians : Gaussians
        In the rows' coordinates.
    n_rows : float
        How many independent rows they were fitted to.
    """

    weights: Float[np.ndarray, " G"]
    gaussians: Gaussians
    n_rows: float

    def log_density(self, Y: Float[np.ndarray, "N n"]) -> Float[np.ndarray, " N"]:
        """Return log p of every row."""
        return self.gaussians.log_density_of_sum(Y, self.weights)


def fit_gaussian_mixture(
    rows: WeightedRows,
    size: int,
    seed: Sequence[int],
    settings: Settings,
    prior: float = 0.0,
) -> GaussianMixture:
    r"""Return the mixture of at most so many Gaussians that the rows are likeliest under.

    A component that no row is left to is left out. With a prior each covariance S_g, of N_g rows,
    is drawn towards their mean,

        (N_g S_g + prior S) / (N_g + prior),    S = sum_g N_g S_g / sum_g N_g,

    as if so many rows more had been seen of it (the posterior mode under an inverse Wishart
    distribution [1]_): components of few rows a column do not learn them by heart.

    Parameters
    ----------
    rows : WeightedRows
        In whitened coordinates: the least variance of a component is `settings.least_variance`.
    size : int
        Components at first.
    seed : sequence of int
        Of the starts of k-means.
    settings : Settings
        Of the fit.
    prior : float
        Rows that count as having been seen of every component besides its own.

    References
    ----------
    .. [1] C. Fraley, A. Raftery, "Bayesian Regularization for Normal Mixture Estimation and
           Model-Based Clustering", Journal of Classification 24, 2007.
    """
    omega = rows.weights / np.sum(rows.weights)
    responsibilities = _nearest(rows, size, seed)
    mixture, before = _maximised(rows, responsibilities, settings, prior), -np.inf
    for _ in range(settings.mixture_iterations):
        terms = mixture.gaussians.log_density(rows.X) + np.log(mixture.weights)
        log_density, responsibilities = log_sums(terms)
        reached = float(omega @ log_density)
        if reached - before < settings.mixture_tol:
            break
        before = reached
        mixture = _maximised(rows, responsibilities, settings, prior)
    return mixture


def conditional_log_density(
    mixture: GaussianMixture, rows: Float[np.ndarray, "N d"], n: int
) -> Float[np.ndarray, " N"]:
    """Return log p(y | c) of preprocessed rows (y, c) under a mixture of rows (c, y)."""
    whole, q = mixture.gaussians, rows.shape[1] - n
    of_context = Gaussians(whole.means[:, :q], whole.factors[:, :q, :q])
    turned = np.roll(rows, q, axis=1)
    log_joint = whole.log_density_of_sum(turned, mixture.weights)
    return log_joint - of_context.log_density_of_sum(turned[:, :q], mixture.weights)


def _nearest(rows: WeightedRows, size: int, seed: Sequence[int]) -> Float[np.ndarray, "N size"]:
    """Return 1 for the nearest of so many centres, by k-means, and 0 for all others."""
    # With it comes half of scikit-learn, which other fits do without.
    from sklearn.cluster import KMeans

    (state,) = np.random.SeedSequence(seed).generate_state(1)
    # scikit-learn's annotations know n_init as a word alone.
    kmeans = KMeans(size, random_state=int(state)).set_params(n_init=1)
    return np.eye(size)[kmeans.fit_predict(rows.X, sample_weight=rows.weights)]


def _maximised(
    rows: WeightedRows,
    responsibilities: Float[np.ndarray, "N G"],
    settings: Settings,
    prior: float,
) -> GaussianMixture:
    """Return the Gaussians of weighted rows, each of its share of every row (the M-step)."""
    Y, omega = rows.X, rows.weights / np.sum(rows.weights)
    shares = omega[:, None] * responsibilities
    shares = shares[:, shares.sum(axis=0) > 0]
    weights = shares.sum(axis=0)
    shares = (shares / weights).T
    means, (N, n) = shares @ Y, Y.shape
    # The second moments of many components in one product of matrices.
    products = [
        (shares[part, None] * Y.T).reshape(-1, N) @ Y for part in blocks(len(shares), N * n)
    ]
    moments = np.concatenate(products)
    own = moments.reshape(-1, n, n) - means[:, :, None] * means[:, None]
    covariances = _shrunk(own, weights * rows.effective_size, prior)
    factors = np.linalg.cholesky(covariances + settings.least_variance * np.eye(n))
    gaussians = Gaussians(means, factors)
    return GaussianMixture(weights / np.sum(weights), gaussians, rows.effective_size)


def _shrunk(
    covariances: Float[np.ndarray, "G n n"], n_rows: Float[np.ndarray, " G"], prior: float
) -> Float[np.ndarray, "G n n"]:
    """Return covariances of so many rows each, drawn towards their mean by the prior's rows."""
    if prior == 0.0:
        return covariances
    common = np.tensordot(n_rows / np.sum(n_rows), covariances, axes=1)
    own = n_rows[:, None, None]
    return (own * covariances + prior * common) / (own + prior)
