"""Densities of other kinds for tables of many columns, as scikit-learn has them.

The rows to choose by choose the numbers of factors and of components; where there are none of them
that of components is chosen by the BIC.
"""

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from brenier.arrays import LOG_2_PI

COMPONENTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 40)
# Numbers of components without improvement after which no more are tried.
PATIENCE = 3
FACTORS = (1, 2, 4, 8, 16, 32, 64)

Rows = Float[np.ndarray, "_ n"]
Clock = Callable[[], float]
"""Seconds since the fit began."""


class Density(NamedTuple):
    """A fitted density.

    Attributes
    ----------
    log_density : callable
        Of rows (nats).
    draw : callable
        Returns so many new rows.
    best_at : float
        Seconds after which the model that is returned was there, though others were tried later.
    chosen : dict
        Settings that were chosen.
    """

    log_density: Callable[[Rows], Float[np.ndarray, " _"]]
    draw: Callable[[int], Rows]
    best_at: float
    chosen: dict[str, Any]


Fit = Callable[[Rows, Rows, int, Clock], Density]
"""From rows to fit, rows to choose by, a seed and a clock."""


def gaussian(train: Rows, valid: Rows, seed: int, clock: Clock) -> Density:
    """Fit one Gaussian; nothing but its draws is random."""
    return _gaussian(train.mean(axis=0), np.cov(train.T), seed, clock, {})


def shrunk(train: Rows, valid: Rows, seed: int, clock: Clock) -> Density:
    """Fit one Gaussian, the covariance of standardised rows shrunk as Ledoit and Wolf do."""
    scaler = StandardScaler().fit(train)
    model = LedoitWolf().fit(scaler.transform(train))
    chosen = {"shrinkage": float(model.shrinkage_)}
    return _gaussian(train.mean(axis=0), _unscaled(model.covariance_, scaler), seed, clock, chosen)


def factors(train: Rows, valid: Rows, seed: int, clock: Clock) -> Density:
    """Fit Gaussians of a few factors and noise to standardised rows; rows choose how many."""
    scaler = StandardScaler().fit(train)
    numbers = [k for k in FACTORS if k < train.shape[1]]
    scaled = scaler.transform(train)
    models = [FactorAnalysis(k, random_state=seed).fit(scaled) for k in numbers]
    best = max(models, key=lambda model: model.score(scaler.transform(valid)))
    chosen = {"factors": best.n_components}
    covariance = _unscaled(best.get_covariance(), scaler)
    return _gaussian(train.mean(axis=0), covariance, seed, clock, chosen)


def _unscaled(covariance: Float[np.ndarray, "n n"], scaler: Any) -> Float[np.ndarray, "n n"]:
    return covariance * np.outer(scaler.scale_, scaler.scale_)


def _gaussian(
    mean: Float[np.ndarray, " n"],
    covariance: Float[np.ndarray, "n n"],
    seed: int,
    clock: Clock,
    chosen: dict[str, Any],
) -> Density:
    factor = np.linalg.cholesky(np.atleast_2d(covariance))
    log_det, rng = float(np.sum(np.log(np.diag(factor)))), np.random.default_rng(seed)

    def log_density(X: Rows) -> Float[np.ndarray, " _"]:
        Z = solve_triangular(factor, (X - mean).T, lower=True)
        return -0.5 * np.sum(Z**2, axis=0) - log_det - 0.5 * len(mean) * LOG_2_PI

    def draw(N: int) -> Rows:
        return mean + rng.normal(size=(N, len(mean))) @ factor.T

    return Density(log_density, draw, clock(), chosen)


def mixture(train: Rows, valid: Rows, seed: int, clock: Clock) -> Density:
    """Fit mixtures of more and more Gaussians with full covariances to whitened rows."""
    whiten = PCA(whiten=True).fit(train)
    rows = whiten.transform(train)
    best, best_at, score, fruitless = GaussianMixture(), 0.0, -np.inf, 0
    for k in COMPONENTS:
        model = GaussianMixture(k, n_init=3, max_iter=1000, random_state=seed)
        # Its matrices are small: on a busy machine a second thread made 214 s of 12.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(rows)
        reached = model.score(whiten.transform(valid)) if len(valid) else -model.bic(rows)
        fruitless += 1
        if reached > score:
            best, best_at, score, fruitless = model, clock(), reached, 0
        if fruitless == PATIENCE:
            break
    log_det = -0.5 * float(np.sum(np.log(whiten.explained_variance_)))
    return Density(
        lambda X: best.score_samples(whiten.transform(X)) + log_det,
        lambda N: whiten.inverse_transform(best.sample(N)[0]),
        best_at,
        {"components": best.n_components},  # pyright: ignore[reportAttributeAccessIssue]
    )


PEERS: Mapping[str, Fit] = MappingProxyType(
    {"gaussian": gaussian, "shrunk": shrunk, "factors": factors, "mixture": mixture}
)
"""By name."""
