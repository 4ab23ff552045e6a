"""A Gaussian, and scikit-learn's mixture and kernel density."""

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.model_selection import KFold
from sklearn.neighbors import KernelDensity

from benchmarks.data import Split
from benchmarks.peers.protocol import (
    Clock,
    Fitted,
    drawn_in_data_units,
    in_data_units,
    whitened,
)
from brenier.reproduce.images import peers

BANDWIDTHS = (0.01, 2.0)
FOLDS = 5


def gaussian(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit one Gaussian; nothing but its draws is random."""
    return Fitted(*peers.gaussian(rows.train, rows.valid, seed, clock))


def shrunk(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit one Gaussian with a shrunk covariance; nothing but its draws is random."""
    return Fitted(*peers.shrunk(rows.train, rows.valid, seed, clock))


def factors(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit Gaussians of a few factors and noise; the validation rows choose how many."""
    return Fitted(*peers.factors(rows.train, rows.valid, seed, clock))


def mixture(rows: Split, seed: int, clock: Clock) -> Fitted:
    """Fit mixtures with more and more components; the validation rows choose, or else the BIC."""
    return Fitted(*peers.mixture(rows.train, rows.valid, seed, clock))


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
