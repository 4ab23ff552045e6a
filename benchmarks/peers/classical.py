"""A Gaussian, and scikit-learn's mixture and kernel density."""

import warnings

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold
from sklearn.neighbors import KernelDensity
from threadpoolctl import threadpool_limits

from benchmarks.data import Split
from benchmarks.peers.protocol import (
    Clock,
    Fitted,
    drawn_in_data_units,
    in_data_units,
    whitened,
)
from benchmarks.whitening import Whitening

COMPONENTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 40)
# Rungs without improvement after which the ladder ends.
PATIENCE = 3
BANDWIDTHS = (0.01, 2.0)
FOLDS = 5
FACTORS = (1, 2, 4, 8, 16, 32, 64)


def gaussian(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit one Gaussian; nothing but its draws is random."""
    whiten, (train, _, _) = whitened(rows)
    constant = 0.5 * train.shape[1] * np.log(2 * np.pi)
    log_density = in_data_units(lambda Z: -0.5 * np.sum(Z**2, axis=1) - constant, whiten)
    rng, n = np.random.default_rng(seed), train.shape[1]
    draw = drawn_in_data_units(lambda N: rng.normal(size=(N, n)), whiten)
    return Fitted(log_density, draw, clock(), {})


def shrunk(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit one Gaussian with a shrunk covariance; nothing but its draws is random."""
    scale, (train, _, _) = _standardised(rows)
    fitted = LedoitWolf().fit(train)
    model = multivariate_normal(fitted.location_, fitted.covariance_)
    log_density = in_data_units(model.logpdf, scale)
    draw = drawn_in_data_units(lambda N: model.rvs(N, random_state=seed), scale)
    return Fitted(log_density, draw, clock(), {"shrinkage": float(fitted.shrinkage_)})


def factors(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit Gaussians of a few factors and noise; the validation rows choose how many."""
    scale, (train, valid, _) = _standardised(rows)
    numbers = [k for k in FACTORS if k < train.shape[1]]
    models = [FactorAnalysis(k, random_state=seed).fit(train) for k in numbers]
    best = max(models, key=lambda model: model.score(valid))
    model = multivariate_normal(best.mean_, best.get_covariance())
    log_density = in_data_units(model.logpdf, scale)
    draw = drawn_in_data_units(lambda N: model.rvs(N, random_state=seed), scale)
    return Fitted(log_density, draw, clock(), {"factors": best.n_components})


def _standardised(rows: Split) -> tuple[Whitening, Split]:
    """Return the map that standardises columns by the training rows, and all rows through it."""
    mean, sd = rows.train.mean(axis=0), rows.train.std(axis=0)
    scale = Whitening(mean, np.diag(sd))
    return scale, Split(*map(scale, rows))


def mixture(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit mixtures with more and more components; the validation rows choose, or else the BIC."""
    whiten, (train, valid, _) = whitened(rows)
    best, best_at, score, fruitless = None, 0.0, -np.inf, 0
    for k in COMPONENTS:
        model = GaussianMixture(k, n_init=3, max_iter=1000, random_state=seed)
        # Its matrices are small: on a busy machine a second thread made 214 s of 12.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(train)
        reached = model.score(valid) if len(valid) else -model.bic(train)
        fruitless += 1
        if reached > score:
            best, best_at, score, fruitless = model, clock(), reached, 0
        if fruitless == PATIENCE:
            break
    log_density = in_data_units(best.score_samples, whiten)
    draw = drawn_in_data_units(lambda N: best.sample(N)[0], whiten)
    return Fitted(log_density, draw, best_at, {"components": best.n_components})


def kernel(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit a kernel density; a search over the logarithm of the bandwidth.

    The validation rows choose, or else cross-validation, whose folds alone are random.
    """
    whiten, (train, valid, _) = whitened(rows)
    tried = []

    def loss(log_bandwidth: float) -> float:
        model = KernelDensity(bandwidth=np.exp(log_bandwidth)).fit(train)
        reached = (
            _loss(model, valid) if len(valid) else _cross_validated(model.bandwidth, train, seed)
        )
        tried.append((reached, clock(), model))
        return reached

    bounds = tuple(np.log(BANDWIDTHS))
    minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 0.02})
    _, best_at, model = min(tried, key=lambda trial: trial[0])
    log_density = in_data_units(model.score_samples, whiten)
    draw = drawn_in_data_units(lambda N: model.sample(N, random_state=seed), whiten)
    return Fitted(log_density, draw, best_at, {"bandwidth": model.bandwidth})


def _loss(model: KernelDensity, rows: np.ndarray) -> float:
    return -float(model.score_samples(rows).mean())


def _cross_validated(bandwidth: float, rows: np.ndarray, seed: int) -> float:
    """Return the mean loss of folds, each with a model of all others."""
    kernel = KernelDensity(bandwidth=bandwidth)
    folds = KFold(FOLDS, shuffle=True, random_state=seed).split(rows)
    return float(np.mean([_loss(kernel.fit(rows[rest]), rows[fold]) for rest, fold in folds]))
